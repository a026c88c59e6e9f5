"""What the bot pages show, put together from the selectors of several apps: an edge helper, like a view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from accounts.models import Account, Workspace
from bots.history import closes_of
from bots.models import Bot
from bots.preflight import Preflight
from bots.preflight import preview as preflight
from bots.presets import Preset, presets
from bots.selectors import bots_of
from bots.sketch import Curves, Sketch, curves, marks_of, sketch
from bots.strategies.registry import get_strategy
from exchanges.models import Market
from trading.core.previews import Figure
from trading.core.timeframes import MINUTE_MS
from trading.selectors import (
    Pnl,
    equity_curve,
    fills_of_many,
    free_balance,
    held_of_many,
    order_prices_of_many,
    pnl_of_many,
    worth_of,
)

if TYPE_CHECKING:
    from trading.models import Fill

SKETCH_MS = 300_000
SKETCH_CANDLES = 288  # one day
BOT_CANDLES = 120
LEAST_FIRST, MOST_FIRST = 4, 8
ZERO = Decimal(0)
HEADLINES = {
    "net_ratio_min": "Profit per round trip",
    "round_trip_fee_ratio": "Cost of a round trip",
    "worst_loss": "Worst loss of a deal",
    "worst_deal": "Loss of a deal at its stop",
    "fees": "Fees of a round",
    "worst": "Loss of a purchase at its stop",
}
FIRST = ("net_min", "net_ratio_min", "cells", "step_min", "quantity", "cost_at_start", "worst_loss")


@dataclass(frozen=True, slots=True)
class Row:
    """One bot in a list."""

    bot: Bot
    pnl: Pnl
    strategy: str
    held: str = ""  # why it may add no risk


@dataclass(frozen=True, slots=True)
class Totals:
    """The sum over one quote coin. A sum with an unknown part is unknown."""

    quote: str
    free: Decimal
    equity: Decimal | None
    left: Decimal | None  # in coins that stopped bots left in the account
    total: Decimal | None
    realised: Decimal
    fees: Decimal
    invested: Decimal
    running: int
    bots: int
    fills: int

    @property
    def ratio(self) -> Decimal | None:
        return self.total / self.invested if self.total is not None and self.invested else None


@dataclass(frozen=True, slots=True)
class Card:
    """One preset as an offer: what it needs, what it would do, how it looks."""

    preset: Preset
    strategy: str
    seen: Preflight | None
    drawing: Sketch | None

    @property
    def headline(self) -> tuple[str, Figure] | None:
        """The figure that says most about what to expect, with a short name."""
        figures = self.seen.preview.figures if self.seen and self.seen.preview else ()
        by_key = {figure.key: figure for figure in figures}
        return next(((word, by_key[key]) for key, word in HEADLINES.items() if key in by_key), None)


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One line of a preview: a figure, or the least and the greatest of one."""

    label: str
    low: Figure
    high: Figure | None = None
    hint: str = ""


def figure_rows(figures: Sequence[Figure]) -> tuple[list[FigureRow], list[FigureRow]]:
    """Return what matters most and the rest; the smallest and the greatest of a figure stand in one line.

    A strategy whose figures have other names than those of FIRST shows its own first ones.
    """
    rows = [row for row in _figure_rows(figures) if row.low.key != "funds"]
    first = sorted((row for row in rows if row.low.key in FIRST), key=lambda row: FIRST.index(row.low.key))
    if len(first) < LEAST_FIRST:
        return rows[:MOST_FIRST], rows[MOST_FIRST:]
    return first, [row for row in rows if row not in first]


def _figure_rows(figures: Sequence[Figure]) -> list[FigureRow]:
    by_key = {figure.key: figure for figure in figures}
    rows = []
    for figure in figures:
        stem, _, end = figure.key.rpartition("_")
        if end == "max" and f"{stem}_min" in by_key:
            continue
        high = by_key.get(f"{stem}_max") if end == "min" else None
        apart = high if high is not None and high.value != figure.value else None
        rows.append(FigureRow(figure.label.partition(", ")[0] if high else figure.label, figure, apart, figure.hint))
    return rows


def rows_of(bots: Iterable[Bot]) -> list[Row]:
    listed = list(bots)
    results, held = pnl_of_many(listed), held_of_many(bot for bot in listed if bot.is_alive)
    return [Row(bot, results[bot.pk], get_strategy(bot.strategy).title, held.get(bot.pk, "")) for bot in listed]


def totals_of(rows: Sequence[Row], accounts: Sequence[Account]) -> list[Totals]:
    """Sum per quote coin; coins are never added to each other."""
    quotes = sorted({account.quote for account in accounts} | {row.pnl.quote for row in rows})
    return [_totals(quote, [row for row in rows if row.pnl.quote == quote], accounts) for quote in quotes]


def _totals(quote: str, rows: Sequence[Row], accounts: Sequence[Account]) -> Totals:
    free = sum((free_balance(account, quote) for account in accounts), ZERO)
    results = [row.pnl.total for row in rows]
    return Totals(
        quote=quote,
        free=free,
        equity=worth_of(accounts, quote),
        left=worth_of(accounts, quote, left=True),
        total=_sum(results),
        realised=sum((row.pnl.realised for row in rows), ZERO),
        fees=sum((row.pnl.fees for row in rows), ZERO),
        invested=sum((row.bot.budget for row in rows if row.bot.status != Bot.Status.DRAFT), ZERO),
        running=sum(row.bot.status == Bot.Status.RUNNING for row in rows),
        bots=len(rows),
        fills=sum(row.pnl.fills for row in rows),
    )


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total = ZERO
    for value in values:
        if value is None:
            return None
        total += value
    return total


def sketch_closes(market: Market) -> list[float]:
    """Return the last day's closes, as the drawings have them."""
    return closes_of(market, SKETCH_MS, SKETCH_CANDLES)


def bot_drawings(rows: Sequence[Row]) -> dict[int, Sketch | None]:
    """Draw each bot's market over the last hours with the orders that it has resting there."""
    orders = order_prices_of_many([row.bot for row in rows])
    return {
        row.bot.pk: sketch(
            closes_of(row.bot.market, MINUTE_MS, BOT_CANDLES),
            row.pnl.price,
            orders.get(row.bot.pk, []),
            width=300,
            height=128,
            room=0,
        )
        for row in rows
    }


def cards_of(workspace: Workspace, account: Account) -> list[Card]:
    """Return the presets of an account's feed, each with what it would do right now."""
    return [_card(workspace, account, preset) for preset in presets(account.feed)]


def _card(workspace: Workspace, account: Account, preset: Preset) -> Card:
    seen = None
    if preset.price is not None:
        seen = preflight(
            workspace=workspace,
            account=account,
            market=preset.market,
            strategy=preset.strategy,
            params=preset.params,
            budget=preset.budget,
            timeframe_ms=preset.timeframe_ms,
        )
    drawing = sketch(
        sketch_closes(preset.market),
        preset.price,
        marks_of(seen.preview if seen else None),
        width=320,
        height=120,
        room=0,
    )
    return Card(preset, get_strategy(preset.strategy).title, seen, drawing)


@dataclass(frozen=True, slots=True)
class Performance:
    """A bot's way so far: its curve beside buy-and-hold, and the deepest fall from a peak."""

    drawing: Curves | None
    points: int
    fall: Decimal = ZERO
    fall_ratio: Decimal = ZERO
    peak: Decimal = ZERO


def performance_of(bot: Bot) -> Performance:
    points = [(point.ts_ms, point.equity, point.hold) for point in equity_curve(bot)]
    peak = bot.budget
    fall, fall_ratio = ZERO, ZERO
    for _, equity, _ in points:
        peak = max(peak, equity)
        if peak - equity > fall:
            fall, fall_ratio = peak - equity, (peak - equity) / peak
    return Performance(curves(points, bot.budget), len(points), fall, fall_ratio, peak)


def recent_fills(workspace: Workspace, limit: int = 6) -> list[Fill]:
    return fills_of_many(list(bots_of(workspace)), limit)
