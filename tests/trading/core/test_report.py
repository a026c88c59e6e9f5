"""The report of a run: trades, months, drawdowns, exposure; and everything adds up to the books."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from core_builders import MINUTE, candles_of, flat
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.accounting import Holding
from trading.core.report import run_report
from trading.core.round_trips import FillRow, FundingRow, reason_of, round_trips
from trading.core.rounding import fee_of
from trading.core.types import MarketRules, Side

RULES = MarketRules("BTC", "USDT", D("0.01"), D("0.001"))
SMALLEST = {"main": D("0.001")}
DAY = 86_400_000


def fill(ts, side, price, qty, fee="0", slot="a", gen=1, tag="", market="main"):
    return FillRow(market, ts, slot, gen, Side(side), D(str(price)), D(str(qty)), D(fee), tag)


def trades(*fills, fundings=()):
    return round_trips(fills, fundings, SMALLEST)


# --- trades


def test_each_exit_is_measured_against_the_average_cost():
    closed, still = trades(
        fill(1, "buy", 100, 1, "0.1", "grid:1"),
        fill(2, "buy", 90, 1, "0.1", "grid:2"),
        fill(3, "sell", 100, 1, "0.1", "grid:2", 2),
        fill(4, "sell", 110, 1, "0.2", "grid:1", 2),
    )
    assert [(t.opened_ms, t.closed_ms, t.entry_price, t.exit_price, t.gross, t.fees) for t in closed] == [
        (1, 3, 95, 100, 5, D("0.2")),
        (1, 4, 95, 110, 15, D("0.3")),
    ]
    assert [(t.entry_reason, t.exit_reason, t.net) for t in closed] == [
        ("grid", "grid", D("4.8")),
        ("grid", "grid", D("14.7")),
    ]
    assert still == []


def test_a_deal_with_a_safety_order_is_one_trade_that_names_its_reasons():
    closed, _ = trades(
        fill(1, "buy", 100, 1, slot="d1:base", tag="base"),
        fill(2, "buy", 80, 3, slot="d1:so:1", tag="safety"),
        fill(9, "sell", 90, 4, slot="d1:tp", tag="take_profit"),
    )
    (trade,) = closed
    assert (trade.entry_price, trade.gross, trade.entry_reason, trade.exit_reason) == (
        85,
        20,
        "base + safety",
        "take_profit",
    )
    assert trade.return_ratio == pytest.approx(20 / 340)


def test_an_exit_in_parts_is_one_trade():
    closed, still = trades(
        fill(1, "buy", 100, 3, "0.3"),
        fill(2, "sell", 110, 1, "0.1", "x"),
        fill(3, "sell", 120, 1, "0.1", "x"),
    )
    (trade,) = closed
    assert (trade.closed_ms, trade.qty, trade.exit_price, trade.gross, trade.fees) == (3, 2, 115, 30, D("0.4"))
    (rest,) = still
    assert (rest.closed_ms, rest.qty, rest.entry_price, rest.fees) == (None, 1, 100, D("0.1"))


def test_a_short_position_earns_when_the_price_falls_and_bears_its_funding():
    closed, _ = trades(
        fill(0, "sell", 100, 2, "0.2"),
        fill(20, "buy", 90, 2, "0.2", "exit"),
        fundings=[FundingRow("main", 10, D("0.5")), FundingRow("main", 20, D("-0.1"))],
    )
    (trade,) = closed
    assert (trade.long, trade.gross, trade.funding, trade.net) == (False, 20, D("0.4"), D("20.0"))


def test_a_fill_through_zero_closes_one_trade_and_opens_the_next():
    closed, still = trades(fill(1, "buy", 100, 1, "0.1"), fill(2, "sell", 110, 3, "0.3", "turn"))
    (trade,), (rest,) = closed, still
    assert (trade.qty, trade.gross, trade.fees) == (1, 10, D("0.2"))
    assert (rest.long, rest.opened_ms, rest.qty, rest.entry_price, rest.fees) == (False, 2, 2, 110, D("0.2"))


def test_what_is_too_small_to_sell_does_not_keep_a_position_open():
    closed, _ = trades(
        fill(1, "buy", 100, "1.0005", slot="one"),
        fill(2, "sell", 110, 1, slot="out"),
        fill(5, "buy", 120, 1, slot="two"),
        fill(6, "sell", 130, 1, slot="out", gen=2),
    )
    assert [(t.opened_ms, t.entry_reason) for t in closed] == [(1, "one"), (5, "two")]


@pytest.mark.parametrize(
    ("slot", "tag", "reason"),
    [
        ("grid:17", "", "grid"),
        ("d2:tp", "take_profit", "take_profit"),
        ("engine:liquidation", "", "engine:liquidation"),
    ],
)
def test_a_reason_is_the_tag_or_the_slot_without_its_number(slot, tag, reason):
    assert reason_of(slot, tag) == reason


rows = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 999), st.integers(1, 9), st.sampled_from("xyz")),
    max_size=30,
)


@given(rows, st.lists(st.integers(-50, 50), max_size=5))
@settings(max_examples=200, deadline=None)
def test_trades_add_up_to_the_books(steps, amounts):
    fills = [
        fill(i, side, D(price) / 7, D(qty) / 1000, str(fee_of(D(qty), D(price), D("0.000333"))), slot)
        for i, (side, price, qty, slot) in enumerate(steps)
    ]
    fundings = [FundingRow("main", 2 * i, D(amount) / 10) for i, amount in enumerate(amounts)]
    closed, still = trades(*fills, fundings=fundings)
    holding = Holding()
    for row in fills:
        holding.apply(row.side, row.price, row.qty, row.fee)
    assert sum(t.gross for t in closed) == holding.realised
    assert sum(t.fees for t in [*closed, *still]) == holding.fees
    if still:
        assert sum(t.funding for t in [*closed, *still]) == sum(row.amount for row in fundings)
        assert still[0].qty * (1 if still[0].long else -1) == holding.qty


# --- the whole report


def report(candles, *fills, fundings=(), cash=1000, rules=RULES):
    return run_report({"main": (candles, rules)}, fills, fundings, D(cash))


def test_figures_of_winners_and_losers():
    candles = flat(*([100] * 10))
    found = report(
        candles,
        fill(0, "buy", 100, 1, "1"),
        fill(60_000, "sell", 121, 1, "0", "tp"),
        fill(120_000, "buy", 100, 1, "0", "a", 2),
        fill(180_000, "sell", 95, 1, "0", "stop"),
    )
    figures = found.figures
    assert (figures.trades, figures.won, figures.win_ratio, figures.profit_factor) == (2, 1, 0.5, 4.0)
    assert (figures.average_net, figures.best_net, figures.worst_net) == (D("7.5"), 20, -5)
    assert figures.average_hours == pytest.approx(1 / 60)
    assert [(row.reason, row.trades, row.net) for row in found.exits] == [("tp", 1, 20), ("stop", 1, -5)]
    assert found.final_equity == 1015


def test_without_trades_nothing_is_divided():
    figures = report(flat(100, 101)).figures
    assert (figures.win_ratio, figures.profit_factor, figures.average_net) == (None, None, 0)


def test_exposure_is_the_share_of_candles_with_a_position_at_their_close():
    candles = flat(*([100] * 8))
    found = report(candles, fill(2 * MINUTE, "buy", 100, 1), fill(5 * MINUTE, "sell", 100, 1, slot="out"))
    assert found.exposure_ratio == 3 / 8
    assert found.markets["main"].exposure_ratio == 3 / 8


def test_drawdowns_bear_the_dates_of_the_closes():
    candles = flat(100, 110, 99, 88, 120, 114, 119)
    found = report(candles, fill(0, "buy", 100, 10))
    deep, shallow = found.drawdowns
    assert (deep.peak_ms, deep.trough_ms, deep.recovered_ms) == (2 * MINUTE, 4 * MINUTE, 5 * MINUTE)
    assert deep.ratio == pytest.approx(220 / 1100) == found.max_drawdown_ratio
    assert (shallow.peak_ms, shallow.trough_ms, shallow.recovered_ms) == (5 * MINUTE, 6 * MINUTE, None)
    assert found.curve.drawdown_ratio.tolist()[3] == pytest.approx(0.2)


def test_months_begin_and_end_at_their_last_closes():
    rows = [(100, 100, 100, 100)] * 31 + [(100, 110, 100, 110)] * 28 + [(110, 121, 110, 121)]
    candles = candles_of(*rows, start=0, timeframe=DAY)  # January 1970 and on
    found = report(candles, fill(0, "buy", 100, 10), fill(40 * DAY, "sell", 110, 5, slot="out"))
    assert [(row.month, row.profit, row.return_ratio) for row in found.months] == [
        ("1970-01", 0.0, 0.0),
        ("1970-02", 100.0, 0.1),
        ("1970-03", 55.0, 55 / 1100),
    ]
    assert dict(found.month_trades) == {"1970-02": 1}


def test_funding_and_liquidation_of_a_perpetual_stand_in_the_books():
    candles = flat(100, 100, 91, 91)
    found = report(
        candles,
        fill(0, "buy", 100, 10, "1"),
        fill(2 * MINUTE, "sell", 90, 10, "0.9", "engine:liquidation"),
        fundings=[FundingRow("main", MINUTE, D("-0.1"))],
    )
    figures = found.markets["main"]
    assert (figures.liquidations, figures.funding, figures.fees, figures.realised) == (1, D("-0.1"), D("1.9"), -100)
    assert found.total == D("-102.0")
    assert found.curve.equity.tolist() == pytest.approx([999, 998.9, 898, 898])


def test_the_benchmark_holds_equal_parts_of_all_markets():
    markets = {"a": (flat(100, 50), RULES), "b": (flat(10, 30), RULES)}
    found = run_report(markets, [fill(0, "buy", 10, 1, market="b")], [], D(1000))
    assert found.benchmark.pnl == 750  # -250 and +1000
    assert found.curve.benchmark.tolist() == [1000, 1750]
    assert found.markets["b"].unrealised == 20
    assert found.total == 20
    assert found.markets["a"].fills == 0


@given(rows)
@settings(max_examples=100, deadline=None)
def test_the_curve_ends_at_the_final_equity(steps):
    candles = flat(*range(100, 131))
    fills = [fill(i * MINUTE, side, price, qty, "0.25", slot) for i, (side, price, qty, slot) in enumerate(steps)]
    found = report(candles, *fills)
    assert found.curve.equity[-1] == pytest.approx(float(found.final_equity), rel=1e-12)
    assert sum(row.profit for row in found.months) == pytest.approx(float(found.total), abs=1e-6)
