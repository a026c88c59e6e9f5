"""The page behind a one-time link: set a password, and be signed in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.urls import reverse_lazy

from accounts.models import User


class NewPasswordForm(SetPasswordForm):
    """A new password, twice."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        for name, label in (("new_password1", "New password"), ("new_password2", "The same again")):
            field = self.fields[name]
            field.label = label
            field.help_text = ""
            field.widget = forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"})
        self.fields["new_password1"].help_text = "At least 12 characters; a few unrelated words do well."


class SetPassword(PasswordResetConfirmView):
    """The token goes from the address into the session at once, so that it can't leak through a Referer header."""

    template_name = "accounts/set_password.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy(settings.LOGIN_REDIRECT_URL)
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"
