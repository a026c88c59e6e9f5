"""Faults on demand: what shall go wrong with which calls, how often, by which dice.

Told over the control endpoint or by a file at the start. A rule with the same seed hits the same calls in a row again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter

from exchanges.adapters.paperwire import parse


class Fault(StrEnum):
    DROP_BEFORE = "drop_before"  # the request is lost
    DROP_AFTER = "drop_after"  # it is done, and the line is cut before the answer
    DELAY = "delay"  # it arrives `seconds` late
    DELAY_AFTER = "delay_after"  # it is done, and its answer comes `seconds` late
    GATEWAY_BEFORE = "gateway_before"  # 502, 503 or 504 with a page, and nothing is done
    GATEWAY_AFTER = "gateway_after"  # the same, and it is done
    TRUNCATED = "truncated"  # done; half an answer
    GARBLED = "garbled"  # done; an answer of random bytes
    WRONG_TYPE = "wrong_type"  # done; the answer says that it is a page
    RATE_LIMITED = "rate_limited"  # 429, nothing is done
    LAG = "lag"  # reads don't know the orders of the last `seconds`
    MISSING = "missing"  # of executions or funding, one row is left out
    DUPLICATED = "duplicated"  # one is there twice
    REORDERED = "reordered"  # they come in another order


BEFORE = {Fault.DROP_BEFORE, Fault.GATEWAY_BEFORE, Fault.RATE_LIMITED}
ROWS = {Fault.MISSING, Fault.DUPLICATED, Fault.REORDERED}


class Rule(BaseModel):
    """One thing that shall go wrong. Without `calls` or `account` it concerns all of them."""

    model_config = ConfigDict(extra="forbid")

    fault: Fault
    calls: list[str] = []
    account: str = ""
    count: int | None = Field(1, ge=1)  # how often at most; None: for ever
    probability: float = Field(1.0, gt=0, le=1)
    seconds: float = Field(1.0, ge=0, le=600)
    seed: int = 0

    _dice: random.Random = PrivateAttr()
    _hits: int = PrivateAttr(0)

    def model_post_init(self, context: object) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311  (dice of a test)

    def hits(self, call: str, account: str) -> bool:
        """Say whether it hits this call, and count it."""
        if (self.calls and call not in self.calls) or (self.account and account != self.account):
            return False
        if self.count is not None and self._hits >= self.count:
            return False
        if self._dice.random() >= self.probability:
            return False
        self._hits += 1
        return True

    @property
    def dice(self) -> random.Random:
        return self._dice


RULES = TypeAdapter(list[Rule])


class Faults:
    """The rules in force; of several that would hit a call the first one does. Thread-safe."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._lock = threading.Lock()
        self._rules = list(rules)

    def add(self, rules: Iterable[Rule]) -> None:
        with self._lock:
            self._rules += rules

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def strike(self, call: str, account: str) -> Rule | None:
        """Return the rule that hits this call, None when it goes well."""
        with self._lock:
            return next((rule for rule in self._rules if rule.hits(call, account)), None)


def spoilt_rows(rule: Rule, call: str, answer: bytes) -> bytes:
    """Return an answer of executions or funding with a row too few, one too many, or all in another order."""
    if call == "executions":
        return parse.write(parse.EXECUTIONS, _spoilt(rule, parse.read(parse.EXECUTIONS, answer)))
    if call == "funding":
        return parse.write(parse.FUNDING, _spoilt(rule, parse.read(parse.FUNDING, answer)))
    return answer


def _spoilt(rule: Rule, rows: list[parse.T]) -> list[parse.T]:
    if not rows:
        return rows
    at = rule.dice.randrange(len(rows))
    if rule.fault is Fault.MISSING:
        del rows[at]
    elif rule.fault is Fault.DUPLICATED:
        rows.insert(rule.dice.randrange(len(rows) + 1), rows[at])
    else:
        rule.dice.shuffle(rows)
    return rows
