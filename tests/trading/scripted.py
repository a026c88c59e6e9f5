"""A strategy whose decisions a test writes: registered on the shelf while a test runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from bots.strategies.registry import STRATEGIES
from trading.core.needs import MarketRef, Needs
from trading.core.previews import MarketFacts, Preview
from trading.core.types import Decision, Kind, Side, View, Want

Decide = Callable[[Any, View], Decision]


class ScriptedParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = 1


class Scripted:
    """Answers what `decide(state, view)` answers, and remembers what it was shown."""

    key: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    summary: ClassVar[str] = "Decides what a test tells it."
    version: ClassVar[int] = 1
    params: ClassVar[type[BaseModel]] = ScriptedParams

    def __init__(self, decide: Decide, needs: Needs | None = None) -> None:
        self.answer = decide
        self.asked = needs or Needs(markets={"main": MarketRef("")})
        self.seen: list[tuple[Any, ...]] = []  # the inbox of each decision
        self.adopted: list[tuple[Any, Any]] = []

    def needs(self, params: Any) -> Needs:
        return self.asked

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        self.seen.append(view.inbox)
        return self.answer(state, view)

    def adopt(self, old_params: Any, params: Any, state: Any, view: View) -> Any:
        self.adopted.append((old_params, params))
        return state

    def upgrade(self, version: int, state: Any) -> Any:
        return {"upgraded_from": version}

    def preview(self, params: Any, markets: Mapping[str, MarketFacts]) -> Preview:
        return Preview(figures=())

    @property
    def decisions(self) -> int:
        return len(self.seen)


@contextmanager
def on_the_shelf(strategy: Scripted) -> Iterator[Scripted]:
    STRATEGIES[strategy.key] = strategy
    try:
        yield strategy
    finally:
        del STRATEGIES[strategy.key]


def buy(price: float | None = None, qty: float = 1.0, **more: Any) -> Want:
    return _want(Side.BUY, price, qty, more)


def sell(price: float | None = None, qty: float = 1.0, **more: Any) -> Want:
    return _want(Side.SELL, price, qty, more)


def _want(side: Side, price: float | None, qty: float, more: dict[str, Any]) -> Want:
    kind = more.pop("kind", Kind.MARKET if price is None else Kind.LIMIT)
    return Want(more.pop("market", "main"), side, kind, qty, price, **more)
