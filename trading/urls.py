"""Addresses of the pages that move money or tell a running bot something."""

from django.urls import path

from trading import views, views_halt, views_health, views_holds, views_steer

app_name = "trading"
urlpatterns = [
    path("ops/health/", views_health.operators, name="health"),
    path("status/", views_health.status, name="status"),
    path("accounts/open/", views.open_account, name="open-account"),
    path("bots/<uuid:public_id>/tell/<slug:kind>/", views_steer.tell, name="tell"),
    path("bots/<uuid:public_id>/tell/<slug:kind>/preview/", views_steer.tell_preview, name="tell-preview"),
    path("bots/<uuid:public_id>/close/", views_steer.close, name="close"),
    path("orders/<uuid:order_id>/cancel/", views_steer.cancel, name="cancel"),
    path("holds/<int:hold_id>/lift/", views_holds.lift, name="lift"),
    path("kill/", views_halt.kill, name="kill"),
    path("kill/foreign/", views_halt.kill_foreign, name="kill-foreign"),
    path("halts/<uuid:halt_id>/", views_halt.halt, name="halt"),
    path("halts/<uuid:halt_id>/rearm/", views_halt.rearm_page, name="rearm"),
]
