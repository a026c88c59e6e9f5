"""What runs here: versions, and how much the database holds."""

from __future__ import annotations

import platform
import sqlite3
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import django
from django.conf import settings
from django.db import connection


@dataclass(frozen=True, slots=True)
class Facts:
    release: str
    python: str
    django: str
    celery: str
    database: str
    database_bytes: int | None


def database_facts() -> Facts:
    served = connection.vendor == "postgresql"
    return Facts(
        settings.RELEASE,
        platform.python_version(),
        django.get_version(),
        version("celery"),
        f"PostgreSQL {_server()}" if served else f"SQLite {sqlite3.sqlite_version}",
        database_bytes(),
    )


def _server() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0]).split(" ")[0]


def database_bytes() -> int | None:
    """Return the size of the database; None of one that lives in memory."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    path = Path(str(connection.settings_dict["NAME"]))
    return path.stat().st_size if path.is_file() else None
