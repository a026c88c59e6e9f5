"""Websocket addresses."""

from django.urls import path

from trading.consumers import PageConsumer

# channels routes ASGI applications through `path`, which Django types for views only.
websocket_urlpatterns = [path("ws/", PageConsumer.as_asgi())]  # type: ignore[arg-type]
