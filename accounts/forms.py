"""Forms about people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest


class SignInForm(AuthenticationForm):
    """E-mail and password. One answer for every failure, so that nobody learns which addresses exist."""

    error_messages = {  # noqa: RUF012  (Django's own shape)
        "invalid_login": "Wrong e-mail or password.",
        "inactive": "Wrong e-mail or password.",
    }

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        email, password = self.fields["username"], self.fields["password"]
        email.label = "E-mail"
        email.widget = forms.EmailInput(
            attrs={"class": "form-control", "autocomplete": "username", "autofocus": True, "maxlength": 254}
        )
        password.widget.attrs |= {"class": "form-control", "autocomplete": "current-password"}

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()
