"""Every address of the product. Pages live in each app's `urls`, the API in each app's `api`."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.set_password import SetPassword
from config.health import healthz, readyz
from config.metrics import metrics

api = [
    path("", include("accounts.api")),
    path("", include("exchanges.api")),
    path("", include("risk.api")),
    path("", include("bots.api")),
    path("", include("trading.api")),
    path("", include("trading.api_halts")),
    path("", include("trading.api_holds")),
]

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}logo.svg"), name="favicon"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/v1/", include((api, "api"))),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_docs.html"),
        name="api-docs",
    ),
    path("set-password/<uidb64>/<token>/", SetPassword.as_view(), name="set-password"),
    path("", include("accounts.urls")),
    path("", include("risk.urls")),
    path("", include("bots.urls")),
    path("", include("trading.urls")),
]

handler400 = "accounts.api_errors.bad_request"
handler403 = "accounts.api_errors.permission_denied"
handler404 = "accounts.api_errors.not_found"
handler500 = "accounts.api_errors.server_error"
