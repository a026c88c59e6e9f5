"""How log lines look: for people (`line`) or for machines (`json`); each bears the id of what it belongs to."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from accounts.correlation import correlation

slow = logging.getLogger("binnacle.slow")
STATEMENT_MAX = 300


class Correlated(logging.Filter):
    """Give each record its id as `correlation`: "-" outside of any work."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation = correlation() or "-"
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "correlation": getattr(record, "correlation", "-"),
            "text": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def logging_of(level: str, form: str) -> dict[str, Any]:
    """Return Django's LOGGING."""
    quiet = ("daphne", "django.channels.server", "celery", "django_celery_beat", "kombu")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"correlated": {"()": Correlated}},
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(correlation)s] %(message)s"},
            "json": {"()": JsonLines},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form, "filters": ["correlated"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in quiet},
    }


def slow_queries_watch(connection: Any, **_: Any) -> None:
    """From now on log the statements of this connection that take longer than SLOW_QUERY_MS (0: none).

    Called at each connect; the wrappers outlive the connection, so one is enough.
    """
    from django.conf import settings  # this module is read by the settings

    if settings.SLOW_QUERY_MS > 0 and not any(isinstance(one, SlowQueries) for one in connection.execute_wrappers):
        connection.execute_wrappers.append(SlowQueries(settings.SLOW_QUERY_MS))


@dataclass(frozen=True, slots=True)
class SlowQueries:
    """Wraps the statements of a connection: those that took longer than this are logged, their parameters never."""

    limit_ms: int

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        began = time.monotonic()
        try:
            return execute(sql, params, many, context)
        finally:
            took_ms = (time.monotonic() - began) * 1000
            if took_ms > self.limit_ms:
                slow.warning("%.0f ms: %s", took_ms, sql[:STATEMENT_MAX])
