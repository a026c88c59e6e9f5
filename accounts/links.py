"""One-time links by which a person sets a password: dead after its use, and after PASSWORD_RESET_TIMEOUT."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.models import User


def set_password_link(user: User, base: str = "") -> str:
    """Return the whole address; `base` is scheme and host when they differ from HOST and PORT."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("set-password", args=[uid, default_token_generator.make_token(user)])
    return f"{(base or _own_address()).rstrip('/')}{path}"


def _own_address() -> str:
    host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
    return f"{'https' if settings.SESSION_COOKIE_SECURE else 'http'}://{host}:{settings.PORT}"
