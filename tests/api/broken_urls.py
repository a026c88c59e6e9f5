"""The product's addresses, and one more whose view always breaks."""

from __future__ import annotations

from django.urls import path

from accounts.api_base import WorkspaceView
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as real

__all__ = ["handler400", "handler403", "handler404", "handler500"]


class BrokenView(WorkspaceView):
    def get(self, request):
        raise ZeroDivisionError("a secret of ours")


urlpatterns = [path("api/v1/broken/", BrokenView.as_view()), *real]
