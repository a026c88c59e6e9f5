"""What wakes bots beside prices of one market: signals that change, and levels of series made from several markets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from bots.models import Bot, BotInput
from exchanges.models import Market
from exchanges.prices import quotes_get
from trading.core.derived import derived_value
from trading.core.needs import DerivedSpec, Needs
from trading.core.types import Bar, PriceWake, Signal, Woken
from trading.inbox import input_row
from trading.models import DerivedWake, SignalWake
from trading.series import derived_json, derived_of, live_derived, live_signal, markets_of, signal_json, signal_of
from trading.signals import HUB

Markets = Mapping[str, Market]  # by alias

# --- signals ------------------------------------------------------------------------------------------------------


def signal_wakes_replace(bot: Bot, markets: Markets, needs: Needs, names: Iterable[str]) -> None:
    """Let these signals of the bot's needs wake it, and no others; in the decision's transaction."""
    ids = {alias: market.pk for alias, market in markets.items()}
    rows: dict[tuple[str, int], SignalWake] = {}
    for name in names:
        signal = live_signal(needs.signals[name], ids, needs, bot.timeframe_ms)
        for market_id in signal.markets:
            rows[name, market_id] = SignalWake(
                bot=bot,
                market_id=market_id,
                timeframe_ms=signal.timeframe_ms,
                key=signal.key,
                name=name,
                spec=signal_json(signal),
            )
    heard = SignalWake.objects.filter(bot=bot)
    armed = set(heard.values_list("name", "market_id", "timeframe_ms", "key"))
    if armed != {(row.name, row.market_id, row.timeframe_ms, row.key) for row in rows.values()}:
        heard.delete()
        SignalWake.objects.bulk_create(rows.values())


def signals_changed(market: Market, timeframe_ms: int, bars: Sequence[Bar], at_ms: int) -> list[int]:
    """Take in candles of `timeframe_ms` that have just closed, and tell each bot that waits for it a changed signal.

    Longer candles are made from these. Returns the bots that were told. If telling fails, the next call tells again.
    """
    rows = [row for row in SignalWake.objects.filter(market=market).only("bot_id", "name", "spec") if row.spec]
    signals = [signal_of(row.spec) for row in rows]
    changed = HUB.take(market.pk, timeframe_ms, bars, signals)
    values = dict(changed)
    told = [(row, values[signal]) for row, signal in zip(rows, signals, strict=True) if signal in values]
    BotInput.objects.bulk_create(input_row(row.bot_id, Signal(row.name, value, at_ms)) for row, value in told)
    HUB.told(changed)
    return sorted({row.bot_id for row, _ in told})


# --- derived series -----------------------------------------------------------------------------------------------


def derived_values(needs: Needs, prices: Mapping[str, float]) -> dict[str, float | None]:
    """Return the derived series of a strategy at these prices, by alias; None where a market has none."""
    return {name: derived_value(spec, prices) for name, spec in needs.derived.items()}


def derived_wakes_replace(bot: Bot, markets: Markets, needs: Needs, prices: Iterable[PriceWake]) -> None:
    """Arm the levels of derived series at which the bot wakes, and only those; prices of markets are passed over."""
    ids = {alias: market.pk for alias, market in markets.items()}
    levels: dict[str, list[PriceWake]] = {}
    for wake in prices:
        if wake.series in needs.derived:
            levels.setdefault(wake.series, []).append(wake)
    wanted = {name: (_specification(needs.derived[name], ids), *_nearest(wakes)) for name, wakes in levels.items()}
    armed = DerivedWake.objects.filter(bot=bot)
    if {row.name: (row.spec, row.below, row.above) for row in armed} == wanted:
        return
    armed.delete()
    for name, (spec, below, above) in wanted.items():
        row = DerivedWake.objects.create(bot=bot, name=name, spec=spec, below=below, above=above)
        row.markets.set(markets_of(derived_of(spec)))


def markets_derived(market_ids: Collection[int]) -> set[int]:
    """Return those of these markets that a derived series is waited for on."""
    through = DerivedWake.markets.through.objects.filter(market__in=market_ids) if market_ids else None
    return set(through.values_list("market_id", flat=True).distinct()) if through is not None else set()


def derived_wake(market_id: int, *, bot_id: int | None = None) -> list[int]:
    """Wake the bots whose derived series stand at or beyond their level, now that this market has a new price.

    Call it after each quote, and with `bot_id` after arming: what holds already fires at once. A wake fires once.
    """
    rows = DerivedWake.objects.filter(markets=market_id)
    if bot_id is not None:
        rows = rows.filter(bot_id=bot_id)
    touched = [row.pk for row in _touched(list(rows))]
    return _fire(touched) if touched else []


@transaction.atomic
def _fire(wakes: list[int]) -> list[int]:
    """Delete the wakes and tell their bots; one that somebody else has replaced meanwhile is left alone."""
    rows = list(DerivedWake.objects.select_for_update().filter(pk__in=wakes))
    DerivedWake.objects.filter(pk__in=[row.pk for row in rows]).delete()
    bots = sorted({row.bot_id for row in rows})
    BotInput.objects.bulk_create(input_row(bot, Woken("derived")) for bot in bots)
    return bots


def _touched(rows: list[DerivedWake]) -> list[DerivedWake]:
    if not rows:
        return []
    specs = [derived_of(row.spec) for row in rows]
    quotes = quotes_get({market_id for spec in specs for market_id in markets_of(spec)})
    prices = {str(market_id): quote.ended for market_id, quote in quotes.items()}
    found = []
    for row, spec in zip(rows, specs, strict=True):
        value = derived_value(spec, prices)
        below, above = row.below, row.above
        if value is not None and ((below is not None and value <= below) or (above is not None and value >= above)):
            found.append(row)
    return found


def _nearest(wakes: Sequence[PriceWake]) -> tuple[float | None, float | None]:
    """Return the highest level to fall to and the lowest one to rise to."""
    below = max((wake.level for wake in wakes if not wake.above), default=None)
    return below, min((wake.level for wake in wakes if wake.above), default=None)


def _specification(spec: DerivedSpec, ids: Mapping[str, int]) -> dict[str, Any]:
    return derived_json(live_derived(spec, ids))


def listening_drop(bot: Bot) -> None:
    """Let no signal and no derived series wake this bot any more."""
    SignalWake.objects.filter(bot=bot).delete()
    DerivedWake.objects.filter(bot=bot).delete()
