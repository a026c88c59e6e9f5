"""What a web process does beside serving: it shows its sign of life."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from accounts.containment import failure_counts
from trading.consumers import sockets_open
from trading.signs import Sign, start


def web_facts() -> dict[str, Any]:
    return {"sockets": sockets_open(), "failures": sum(failure_counts().values())}


class Signed:
    """Wraps an application. Only a server of its own shows a sign: embedded mode has one for all its parts."""

    def __init__(self, application: Callable[..., Awaitable[Any]]) -> None:
        self._application = application
        self._sign = Sign("web", facts=web_facts)
        if "daphne" in sys.argv[0]:
            start(self._sign)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        self._sign.worked()
        return await self._application(scope, receive, send)
