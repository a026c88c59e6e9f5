"""What every page says while a kill switch is pulled."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import Membership
from risk.selectors import halts_active


def halted(request: HttpRequest) -> dict[str, Any]:
    """Template context of every page: the halts that stand; read only by templates that show them."""
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None:
        return {"halts": []}
    workspace = membership.workspace
    return {"halts": SimpleLazyObject(lambda: halts_active(workspace))}
