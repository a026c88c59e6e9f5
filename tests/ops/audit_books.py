"""What an audit is made of: rows by table as they stood at one moment, and findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
LIVE = ("planned", "sending", "working", "unknown")
ENDED = ("filled", "cancelled", "rejected")


@dataclass(frozen=True)
class Finding:
    """One broken invariant; `record` is what isn't one of them: the events that pages tell."""

    invariant: str
    what: str
    where: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.invariant} {self.what}: {', '.join(self.where[:5])}"


@dataclass(frozen=True)
class Books:
    """All rows of one consistent moment."""

    tables: dict[str, list[Row]]

    def __getitem__(self, name: str) -> list[Row]:
        return self.tables.get(name, [])


def differences(invariant: str, what: str, where: Iterable[str]) -> list[Finding]:
    places = tuple(sorted(set(where)))
    return [Finding(invariant, what, places)] if places else []


def names(table: str, rows: Iterable[Row]) -> list[str]:
    return [f"{table} {row['id']}" for row in rows]
