"""Signals and derived series as bots hear of them: over several markets and timeframes, once each, never lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from django.db import OperationalError, connection

from bots.models import BotInput
from exchanges.models import Market
from exchanges.prices import quote_put
from exchanges.services import candles_save
from tests.factories import BotFactory, MarketFactory
from trading.core.candles import Candles
from trading.core.conditions import parse_condition
from trading.core.needs import DerivedSpec, MarketRef, Needs, SignalSpec, Value
from trading.core.series_set import series_of
from trading.core.types import Bar, PriceWake
from trading.models import DerivedWake, SignalWake
from trading.series import KEY_LENGTH, LiveSignal, derived_json, derived_of, live_signal, signal_json, signal_of
from trading.services.listening import (
    derived_values,
    derived_wake,
    derived_wakes_replace,
    listening_drop,
    signal_wakes_replace,
    signals_changed,
)
from trading.signals import HUB

pytestmark = pytest.mark.django_db
MINUTE, FIVE = 60_000, 300_000
START = 1_700_000_100_000  # a multiple of five minutes
SPREAD = DerivedSpec((("main", 1.0), ("other", -0.5)), log=True, offset=0.25)
NEEDS = Needs(
    markets={"main": MarketRef(""), "other": MarketRef("ETH/USDT")},
    signals={
        "rsi": SignalSpec("main", Value("rsi", (14,))),
        "trend": SignalSpec("other", parse_condition("ema(3) crosses above ema(8)")),
        "slow": SignalSpec("main", parse_condition("close > sma(4) and on 15m: rsi(5) > 10"), FIVE),
        "z": SignalSpec("spread", Value("zscore", (20,))),
        "far": SignalSpec("spread", parse_condition("zscore(20) > 1 or on 5m: zscore(5) < -1")),
        "side": SignalSpec("spread", Value("ema_side", (3, 9))),
    },
    derived={"spread": SPREAD},
)


@pytest.fixture(autouse=True)
def _fresh_hub():
    HUB.clear()
    yield
    HUB.clear()


def walk(seed: int, count: int = 600) -> list[Bar]:
    rng = np.random.default_rng(seed)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 0.002, count)))).round(2).tolist()
    return [Bar(START + i * MINUTE, c, c + 0.1, c - 0.1, c, float(i % 7)) for i, c in enumerate(close)]


def pair() -> dict[str, Market]:
    return {"main": MarketFactory(symbol="BTC/USDT"), "other": MarketFactory(symbol="ETH/USDT")}


def ids(markets: dict[str, Market]) -> dict[str, int]:
    return {alias: market.pk for alias, market in markets.items()}


def store(market: Market, bars: list[Bar]) -> list[Bar]:
    candles_save(market=market, timeframe_ms=MINUTE, candles=Candles.from_bars(bars))
    return bars


WALKS = {"main": walk(1), "other": walk(2)}
BACKTEST = series_of(NEEDS, {alias: Candles.from_bars(bars) for alias, bars in WALKS.items()}, fast=False)


def backtest_at(i: int) -> dict[str, object]:
    return {name: series.at(i) for name, series in BACKTEST.signals.items()}


@pytest.mark.parametrize("stored", [True, False])
def test_live_signals_are_the_backtests_fed_or_read(stored: bool):
    """Live, candles are stored and then told; in a replay they are only told."""
    markets = pair()
    waiting = {alias: [] for alias in markets}
    for name in NEEDS.signals:
        signal = live_signal(NEEDS.signals[name], ids(markets), NEEDS, MINUTE)
        for alias, market in markets.items():
            if market.pk in signal.markets:
                waiting[alias].append(signal)
    if stored:
        for alias, market in markets.items():
            store(market, WALKS[alias][:300])
    else:
        HUB.values(ids(markets), NEEDS, MINUTE, START)
    seen = set()
    for i in range(300 if stored else 0, 420):
        for alias, market in markets.items():
            if stored:
                store(market, [WALKS[alias][i]])
            HUB.take(market.pk, MINUTE, [WALKS[alias][i]], waiting[alias])
        if stored or i > 250:
            now_ms = START + (i + 1) * MINUTE
            assert HUB.values(ids(markets), NEEDS, MINUTE, now_ms) == backtest_at(i)
            seen |= {(name, value) for name, value in backtest_at(i).items() if isinstance(value, bool)}
    assert len(seen) == 8  # every condition was seen true and false


def test_another_process_reads_what_it_was_not_told():
    markets = pair()
    for at in (200, 201, 207, 330, 599):
        for alias, market in markets.items():
            store(market, WALKS[alias][: at + 1])
        assert HUB.values(ids(markets), NEEDS, MINUTE, START + (at + 1) * MINUTE) == backtest_at(at)


def test_it_asks_the_database_only_when_a_candle_may_have_closed(django_assert_num_queries):
    markets = pair()
    for alias, market in markets.items():
        store(market, WALKS[alias][:100])
    now_ms = START + 100 * MINUTE
    HUB.values(ids(markets), NEEDS, MINUTE, now_ms)
    with django_assert_num_queries(0):
        HUB.values(ids(markets), NEEDS, MINUTE, now_ms + MINUTE - 1)


def test_each_bot_is_told_a_changed_signal_once():
    markets = pair()
    bots = [BotFactory(market=markets["main"]) for _ in range(2)]
    for bot in bots:
        signal_wakes_replace(bot, markets, NEEDS, ["trend"])
    store(markets["other"], WALKS["other"][:200])
    told = []
    for i in range(200, 600):
        bars = store(markets["other"], [WALKS["other"][i]])
        found = signals_changed(markets["other"], MINUTE, bars, bars[0].ts_ms + MINUTE)
        assert found in ([], sorted(bot.pk for bot in bots))
        told += [i] if found else []
        assert signals_changed(markets["main"], MINUTE, [WALKS["main"][i]], 0) == []
    expected = [i for i in BACKTEST.signal("trend").changes().tolist() if i >= 200]
    assert told == expected
    rows = BotInput.objects.filter(bot=bots[0]).order_by("id")
    assert [row.payload for row in rows] == [
        {"name": "trend", "value": BACKTEST.signal("trend").at(i), "at_ms": START + (i + 1) * MINUTE} for i in expected
    ]


def test_a_spreads_signal_is_told_when_the_last_of_its_markets_has_closed():
    markets = pair()
    bot = BotFactory(market=markets["main"])
    signal_wakes_replace(bot, markets, NEEDS, ["far"])
    assert SignalWake.objects.filter(bot=bot).count() == 2
    for alias, market in markets.items():
        store(market, WALKS[alias][:300])
    told = []
    for i in range(300, 600):
        first = store(markets["other"], [WALKS["other"][i]])
        assert signals_changed(markets["other"], MINUTE, first, 0) == []
        last = store(markets["main"], [WALKS["main"][i]])
        told += [i] if signals_changed(markets["main"], MINUTE, last, 0) else []
    assert told == [i for i in BACKTEST.signal("far").changes().tolist() if i >= 300]


def broken(execute, sql, params, many, context):
    if sql.startswith('INSERT INTO "bots_botinput"'):
        raise OperationalError("database is locked")
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_told_is_told_with_the_next_candle():
    markets = pair()
    bot = BotFactory(market=markets["main"])
    signal_wakes_replace(bot, markets, NEEDS, ["trend"])
    store(markets["other"], WALKS["other"][:200])
    at = next(i for i in BACKTEST.signal("trend").changes().tolist() if i > 210)
    for i in range(200, at):
        signals_changed(markets["other"], MINUTE, store(markets["other"], [WALKS["other"][i]]), 0)
    BotInput.objects.all().delete()
    bars = store(markets["other"], [WALKS["other"][at]])
    with pytest.raises(OperationalError), connection.execute_wrapper(broken):
        signals_changed(markets["other"], MINUTE, bars, 0)
    assert signals_changed(markets["other"], MINUTE, bars, 0) == [bot.pk]
    assert signals_changed(markets["other"], MINUTE, bars, 0) == []


def test_wakes_are_replaced_only_when_they_differ(django_assert_num_queries):
    markets = pair()
    bot = BotFactory(market=markets["main"])
    signal_wakes_replace(bot, markets, NEEDS, ["rsi", "z"])
    rows = SignalWake.objects.filter(bot=bot)
    assert {(row.name, row.market_id) for row in rows} == {
        ("rsi", markets["main"].pk), ("z", markets["main"].pk), ("z", markets["other"].pk),
    }  # fmt: skip
    with django_assert_num_queries(1):
        signal_wakes_replace(bot, markets, NEEDS, ["z", "rsi"])
    signal_wakes_replace(bot, markets, NEEDS, ["slow"])
    assert [(row.name, row.timeframe_ms) for row in rows.all()] == [("slow", FIVE)]
    signal_wakes_replace(bot, markets, NEEDS, [])
    assert not rows.all().exists()


def test_signals_survive_json_and_have_distinct_keys_that_fit():
    signals = [live_signal(spec, {"main": 3, "other": 4}, NEEDS, MINUTE) for spec in NEEDS.signals.values()]
    long = " and ".join(f"close > ema({n})" for n in range(10, 30))
    signals += [LiveSignal(3, parse_condition(f"{long} and close > {n}"), MINUTE) for n in (1, 2)]
    assert [signal_of(json.loads(json.dumps(signal_json(signal)))) for signal in signals] == signals
    assert len({signal.key for signal in signals}) == len(signals)
    assert max(len(signal.key) for signal in signals) <= KEY_LENGTH
    assert signals[0].key == "rsi(14)"
    assert derived_of(json.loads(json.dumps(derived_json(SPREAD)))) == SPREAD


# --- derived series -----------------------------------------------------------------------------------------------


def price(market: Market, last: float) -> None:
    quote_put(market.pk, Bar(START, last, last, last, last), START)


def test_a_derived_level_wakes_when_any_of_its_markets_moves_there():
    markets = pair()
    bot, other = BotFactory(market=markets["main"]), BotFactory(market=markets["main"])
    levels = [PriceWake("spread", 3.0, above=True), PriceWake("spread", 2.0, above=False)]
    derived_wakes_replace(bot, markets, NEEDS, [*levels, PriceWake("main", 5.0, above=True)])
    derived_wakes_replace(other, markets, NEEDS, [PriceWake("spread", 9.0, above=True)])
    price(markets["main"], 100.0)
    assert derived_wake(markets["main"].pk) == []  # the other one has no price yet
    price(markets["other"], 100.0)
    value = derived_values(NEEDS, {"main": 100.0, "other": 100.0})["spread"]
    assert value == pytest.approx(0.25 + np.log(100) - 0.5 * np.log(100))
    assert derived_wake(markets["other"].pk) == []
    price(markets["other"], 50.0)
    assert derived_wake(markets["other"].pk) == []
    price(markets["main"], 200.0)
    assert derived_wake(markets["main"].pk) == [bot.pk]
    assert [row.payload for row in BotInput.objects.filter(bot=bot)] == [{"by": "derived"}]
    assert derived_wake(markets["main"].pk) == []
    assert DerivedWake.objects.get().bot == other


def test_what_holds_already_when_a_level_is_armed_fires_at_once():
    markets = pair()
    bot = BotFactory(market=markets["main"])
    for market in markets.values():
        price(market, 100.0)
    derived_wakes_replace(bot, markets, NEEDS, [PriceWake("spread", 4.0, above=False)])
    assert derived_wake(markets["main"].pk, bot_id=bot.pk + 1) == []
    assert derived_wake(markets["main"].pk, bot_id=bot.pk) == [bot.pk]


def test_derived_wakes_are_replaced_only_when_they_differ(django_assert_num_queries):
    markets = pair()
    bot = BotFactory(market=markets["main"])
    levels = [PriceWake("spread", 3.0, above=True), PriceWake("spread", 2.0, above=True)]
    derived_wakes_replace(bot, markets, NEEDS, levels)
    row = DerivedWake.objects.get(bot=bot)
    assert (row.below, row.above, row.markets.count()) == (None, 2.0, 2)
    with django_assert_num_queries(1):
        derived_wakes_replace(bot, markets, NEEDS, levels)
    derived_wakes_replace(bot, markets, NEEDS, [])
    assert not DerivedWake.objects.filter(bot=bot).exists()


def test_a_bot_that_listens_no_more_has_no_rows():
    markets = pair()
    bot = BotFactory(market=markets["main"])
    signal_wakes_replace(bot, markets, NEEDS, ["z"])
    derived_wakes_replace(bot, markets, NEEDS, [PriceWake("spread", 3.0, above=True)])
    listening_drop(bot)
    assert not SignalWake.objects.exists()
    assert not DerivedWake.objects.exists()


def test_a_series_without_a_price_of_each_market_has_no_value():
    assert derived_values(NEEDS, {"main": 1.0}) == {"spread": None}
    assert derived_values(NEEDS, {"main": 1.0, "other": 0.0}) == {"spread": None}


def test_who_begins_to_listen_is_told_changes_from_then_on_only():
    """Nobody listened while the signal turned: that is no news to a bot that has decided since."""
    markets = {"main": MarketFactory(symbol="BTC/USDT")}
    needs = Needs(markets={"main": MarketRef("")}, signals={"high": SignalSpec("main", parse_condition("close > 100"))})
    bot = BotFactory(market=markets["main"])
    bars = [Bar(START + i * MINUTE, c, c, c, c, 1.0) for i, c in enumerate([99.0, 101.0, 102.0, 98.0])]

    def closed(bar: Bar) -> list[int]:
        return signals_changed(markets["main"], MINUTE, [bar], bar.ts_ms + MINUTE)

    signal_wakes_replace(bot, markets, needs, ["high"])
    closed(bars[0])
    signal_wakes_replace(bot, markets, needs, [])
    closed(bars[1])  # it turns, and nobody waits for it
    signal_wakes_replace(bot, markets, needs, ["high"])
    assert closed(bars[2]) == []
    assert closed(bars[3]) == [bot.pk]
