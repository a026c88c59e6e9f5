"""Coming in and going out."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.forms import SignInForm
from accounts.models import User


class SignIn(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    http_method_names = ("post", "options")


@require_POST
def demo(request: HttpRequest) -> HttpResponse:
    """Sign in as the demo user: only on a machine of one's own, where everybody at the keyboard is the owner."""
    user = User.objects.filter(is_demo=True, is_active=True).order_by("id").first()
    if user is None or not (settings.EMBEDDED and settings.LOOPBACK):
        raise Http404("There is no demo here")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect(settings.LOGIN_REDIRECT_URL)
