"""What reaches a simulated bot from outside at a certain time: commands of people, edits, answers of an adviser.

Candles have no finer clock than their closes: each is told at the first close at or after its time.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from trading.core.alarm import FAR
from trading.core.candles import Candles
from trading.core.errors import StrategyFault
from trading.core.json_values import json_fault
from trading.core.simoptions import SimOptions
from trading.core.types import Advice, Ask, Command

DEADLINE = "deadline"


class Edit:
    """New parameters, due like a command."""

    def __init__(self, params: Any) -> None:
        self.params = params


Item = Command | Edit | Advice


class Agenda:
    """Items by time; at one time commands, then edits, then answers, each in the order in which they came."""

    def __init__(self, options: SimOptions, candles: Candles, advice: Sequence[str]) -> None:
        self._ts, self._timeframe_ms = candles.ts, candles.timeframe_ms
        self._advisor = options.advisor
        self.kinds = frozenset(advice)
        self._asked: set[str] = set()
        items: list[tuple[int, Item]] = [*options.commands, *((at, Edit(params)) for at, params in options.edits)]
        self._items = [(at, k, item) for k, (at, item) in enumerate(items)]
        self._count = len(items)
        heapq.heapify(self._items)
        self._first_close = 0
        self.stop = FAR  # candle before whose open the walk has to stop for the next item
        self._set_stop()

    def ask(self, asks: Sequence[Ask], now_ms: int, i: int) -> None:
        """Take the questions that weren't asked before; none is answered before the close of candle `i`.

        Raises StrategyFault for a kind that the needs don't name.
        """
        for ask in asks:
            if ask.id in self._asked:
                continue
            if ask.kind not in self.kinds:
                raise StrategyFault(f"it asks for {ask.kind!r}, which it didn't name in its needs")
            self._asked.add(ask.id)
            self._first_close = i
            at_ms, answer = self._answer(ask, now_ms)
            heapq.heappush(self._items, (at_ms, self._count, answer))
            self._count += 1
        self._set_stop()

    def due(self, now_ms: int) -> list[Item]:
        """Take out what is due."""
        found = []
        while self._items and self._items[0][0] <= now_ms:
            found.append(heapq.heappop(self._items)[2])
        self._set_stop()
        return found

    def _answer(self, ask: Ask, now_ms: int) -> tuple[int, Advice]:
        """Return when the answer comes and what it is; one that would come at the deadline or later never does."""
        delay_ms, value, error = self._advisor.simulate(ask, now_ms) if self._advisor is not None else (-1, None, "")
        if delay_ms < 0 or now_ms + delay_ms >= ask.deadline_ms:
            return ask.deadline_ms, Advice(ask.id, None, DEADLINE)
        if not error and json_fault(value):
            error = "absurd"
        return now_ms + delay_ms, Advice(ask.id, None if error else json.loads(json.dumps(value)), error)

    def _set_stop(self) -> None:
        if not self._items:
            self.stop = FAR
            return
        close = int(np.searchsorted(self._ts, self._items[0][0] - self._timeframe_ms))
        self.stop = max(close, self._first_close) + 1
