"""The demo market: the same for everybody who asks, in whatever pieces, and alive within bounds."""

import json
import math
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.strategies.pair.statistics import kinship
from exchanges.adapters.demo.feed import DemoSource
from exchanges.adapters.demo.market import TICK_MS, DemoMarket
from exchanges.adapters.demo.noise import bits_at, exp_of, normal_at, stream_key, uniform_at
from exchanges.adapters.demo.regimes import BLOCK_MS, REGIMES, Weather
from exchanges.adapters.demo.specs import SPECS
from exchanges.conflation import joined
from tests.conftest import ROOT
from trading.core.candles import find_gaps, validate_candles
from trading.core.errors import InvalidInput
from trading.core.rounding import to_decimal

MINUTE, HOUR, DAY, YEAR = 60_000, 3_600_000, 86_400_000, 365 * 86_400_000
MARKETS = {symbol: DemoMarket(7, spec) for symbol, spec in SPECS.items()}
symbols = pytest.mark.parametrize("symbol", list(SPECS))
times = st.integers(-3 * YEAR, 3 * YEAR)


def test_one_seed_has_the_same_prices_in_every_process_and_on_every_machine():
    code = (
        "import json; from exchanges.adapters.demo.market import DemoMarket;"
        "from exchanges.adapters.demo.specs import SPECS;"
        "print(json.dumps([DemoMarket(7, s).candles(60000, -120000, 120000).tolist() for s in SPECS.values()]))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == [market.candles(MINUTE, -2 * MINUTE, 2 * MINUTE).tolist() for market in MARKETS.values()]
    assert [market.price(0) for market in MARKETS.values()] == GOLDEN


# The edition's first prices: a change here is another market. The first four are older than those that follow them.
GOLDEN = [90844.9, 2577.67, 194.17, 0.36957]
GOLDEN += [603.79, 0.8661, 41.14, 17.397, 6.656, 99.31, 0.2329, 6.05, 13.843, 4.141, 8.487, 0.6053, 4.469, 262.21]
GOLDEN += [420.81, 1.4575, 90910.11, 2578.37, 0.36964, 1.745]
LEADERS = [symbol for symbol, spec in SPECS.items() if spec.leader is None]


def returns_of(symbol: str, days: int = 1):
    return np.diff(np.log(MARKETS[symbol].candles(MINUTE, 0, days * DAY)[:, 4]))


def volatility_of(spec) -> tuple[float, float]:
    """What a minute moves about, and the jitter on top: its own, and its share of its leader's."""
    if spec.leader is None:
        return spec.sigma, spec.ripple
    sigma, ripple = volatility_of(spec.leader)
    return math.hypot(spec.sigma, spec.beta * sigma), spec.ripple + spec.beta * ripple


def test_another_seed_and_another_symbol_go_their_own_ways():
    one, other = MARKETS["BTC/USDT"], DemoMarket(8, SPECS["BTC/USDT"])
    assert one.price(0) != other.price(0)
    returns = [returns_of(symbol) for symbol in LEADERS]
    returns.append(np.diff(np.log(other.candles(MINUTE, 0, DAY)[:, 4])))
    together = np.corrcoef(returns)
    assert np.abs(together - np.eye(5)).max() < 0.15


def test_twenty_spot_markets_and_four_perpetuals():
    spot = [spec for spec in SPECS.values() if spec.rules.perpetual is None]
    assert len(spot) == 20
    assert [symbol for symbol in SPECS if symbol not in {spec.symbol for spec in spot}] == [
        "BTC/USDT:USDT",
        "ETH/USDT:USDT",
        "DOGE/USDT:USDT",
        "WIF/USDT:USDT",
    ]
    assert {spec.rules.quote for spec in SPECS.values()} == {"USDT"}


def test_what_follows_btc_moves_with_it_and_with_each_other():
    followers = [symbol for symbol, spec in SPECS.items() if spec.leader is SPECS["BTC/USDT"]]
    together = np.corrcoef([returns_of("BTC/USDT", 5)] + [returns_of(symbol, 5) for symbol in followers])
    assert len(followers) == 15
    assert together.min() > 0.25
    assert together[0].min() > 0.45
    assert np.median(together) < 0.75


@pytest.mark.parametrize(("one", "other"), [("LTC/USDT", "BCH/USDT"), ("ARB/USDT", "OP/USDT")])
def test_a_twins_spread_comes_back_within_a_day_and_is_worth_trading(one, other):
    spreads = []
    for quarter in range(-4, 4):
        window = (quarter * 90 * DAY, quarter * 90 * DAY + 10 * DAY)
        closes = [MARKETS[symbol].candles(5 * MINUTE, *window)[:, 4] for symbol in (one, other)]
        spreads.append(np.log(closes[0] / closes[1]))
    whole = np.concatenate(spreads)
    assert max(abs(spread.mean() - whole.mean()) for spread in spreads) < whole.std(), "its mean stays where it is"
    assert 0.005 < whole.std() < 0.02
    for spread in spreads:
        rest = spread - spread.mean()
        slope = (rest[:-1] @ rest[1:]) / (rest[:-1] @ rest[:-1])
        assert -math.log(2) / math.log(slope) * 5 < 12 * 60, "half a deviation is gone within twelve hours"


@pytest.mark.parametrize("day", range(-60, 60, 24))
def test_a_bot_of_pairs_finds_a_pair_that_belongs_together_and_pays_its_fees(day):
    window = (day * DAY, day * DAY + 1000 * MINUTE)
    y, x = (MARKETS[symbol].candles(MINUTE, *window)[:, 4] for symbol in ("WIF/USDT:USDT", "DOGE/USDT:USDT"))
    found = kinship(y, x, 1.0)
    assert found.comes_back
    assert found.correlation > 0.8
    assert 5 < found.half_life < 30
    assert 0.75 < found.ratio < 1.25
    assert 1.75 * found.deviation > 1.5 * 4 * float(SPECS["WIF/USDT:USDT"].fee)


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "ETH/USDT:USDT", "DOGE/USDT:USDT"])
def test_a_perpetual_stays_within_a_small_basis_of_its_spot_market(symbol):
    spot = SPECS[symbol].leader.symbol
    basis = []
    for month in range(-6, 6):
        window = (month * 30 * DAY, month * 30 * DAY + DAY)
        future, own = (MARKETS[name].candles(MINUTE, *window)[:, 4] for name in (symbol, spot))
        basis.append(future / own - 1)
    assert 0.0001 < np.std(basis) < 0.001
    assert np.abs(basis).max() < 0.004


@symbols
@given(start=times, cuts=st.lists(st.integers(0, 4 * HOUR), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_window_is_the_union_of_its_parts(symbol, start, cuts):
    market, cuts = MARKETS[symbol], sorted(start + cut for cut in cuts)
    whole = market.ticks(cuts[0], cuts[-1])
    parts = [market.ticks(a, b) for a, b in pairwise(cuts)]
    for name in ("ts", "steps", "lots"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))
    assert np.array_equal(whole.ts, np.arange(-(-cuts[0] // TICK_MS), -(-cuts[-1] // TICK_MS)) * TICK_MS)
    bars = [bar for a, b in pairwise(cuts) if (bar := market.bar(a, b)) is not None]
    if not bars:
        assert market.bar(cuts[0], cuts[-1]) is None
        return
    total = bars[0]
    for bar in bars[1:]:
        total = joined(total, bar)
    one = market.bar(cuts[0], cuts[-1])
    assert (one.ts_ms, one.open, one.high, one.low, one.close) == (
        total.ts_ms,
        total.open,
        total.high,
        total.low,
        total.close,
    )
    assert one.volume == pytest.approx(total.volume)


@symbols
@given(at=times, timeframe=st.sampled_from([MINUTE, 5 * MINUTE, HOUR, 7 * MINUTE]), origin=st.integers(-1000, 1000))
@settings(max_examples=15, deadline=None)
def test_candles_agree_with_the_ticks_and_with_the_price(symbol, at, timeframe, origin):
    market, origin = MARKETS[symbol], origin * MINUTE
    rows = market.candles(timeframe, at, at + 5 * timeframe, origin)
    assert len(rows) == 5
    for ts, *values in rows.tolist():
        assert (ts - origin) % timeframe == 0
        assert at <= ts < at + 5 * timeframe
        bar = market.bar(int(ts), int(ts) + timeframe)
        assert [bar.open, bar.high, bar.low, bar.close, bar.volume] == values
        assert market.price(int(ts)) == bar.open
        assert market.price(int(ts) + timeframe - 1) == bar.close


@symbols
def test_prices_and_volumes_stand_on_their_grids(symbol):
    market, rules = MARKETS[symbol], SPECS[symbol].rules
    rows = market.candles(MINUTE, -HOUR, HOUR)
    for price in rows[:, 1:5].ravel().tolist():
        assert to_decimal(price) % rules.tick == 0
    assert (rows[:, 5] > 0).all()
    assert all(to_decimal(round(volume, 8)) % rules.lot == 0 for volume in rows[:, 5].tolist())
    assert rules.min_qty == rules.lot
    assert rules.min_notional >= 1


@symbols
def test_a_market_never_runs_away(symbol):
    market, base = MARKETS[symbol], SPECS[symbol].base_price
    weather = Weather(7, symbol, SPECS[symbol].sigma)
    edges = np.array([weather.edge(number) for number in range(-3000, 3000, 7)])
    assert np.abs(edges).max() < 37 * 16 * SPECS[symbol].sigma
    for year in (-200, -10, 0, 10, 200):
        prices = market.candles(MINUTE, year * YEAR, year * YEAR + DAY)[:, 1:5]
        assert prices.min() > base / 6
        assert prices.max() < base * 6


@symbols
def test_a_minute_moves_about_as_much_as_its_temper_says_and_more_wildly_at_times(symbol):
    sigma, ripple = volatility_of(SPECS[symbol])
    closes = MARKETS[symbol].candles(MINUTE, 0, 20 * DAY)[:, 4]
    returns = np.diff(np.log(closes))
    assert sigma * 0.6 < returns.std() < (sigma + ripple) * 1.5
    assert abs(returns.mean()) < returns.std() / 20
    kurtosis = ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2
    assert kurtosis > 3.5
    size = np.abs(returns)
    near = np.corrcoef(size[1:], size[:-1])[0, 1]
    far = np.corrcoef(size[2000:], size[:-2000])[0, 1]
    assert near > 0.05
    assert near > far


def test_all_regimes_come_and_last_from_tens_of_minutes_to_hours():
    market = MARKETS["ETH/USDT"]
    names = [market.regime(minute * MINUTE) for minute in range(-15 * 1440, 15 * 1440)]
    assert set(names) == {regime.name for regime in REGIMES}
    changes = [0, *(k for k in range(1, len(names)) if names[k] != names[k - 1]), len(names)]
    lengths = np.diff(changes)
    assert np.median(lengths) >= 30
    assert lengths.max() <= 16 * 60
    shares = {name: names.count(name) / len(names) for name in set(names)}
    assert shares["range"] > shares["crash"]
    assert 0.003 < shares["crash"] < 0.1


def test_a_crash_falls_and_calm_is_calm():
    market = MARKETS["BTC/USDT"]
    minutes = range(-20 * 1440, 20 * 1440)
    regimes = np.array([market.regime(minute * MINUTE) for minute in minutes])
    closes = market.candles(MINUTE, minutes[0] * MINUTE, minutes[-1] * MINUTE + MINUTE)[:, 4]
    returns = np.diff(np.log(closes), prepend=np.log(closes[0]))
    moves = {name: (returns[regimes == name].mean(), returns[regimes == name].std()) for name in set(regimes.tolist())}
    assert moves["crash"][0] < -0.001
    assert moves["trend-up"][0] > 0 > moves["trend-down"][0]
    assert moves["calm"][1] < 0.7 * moves["range"][1] < moves["crash"][1]


def test_blocks_join_without_a_jump():
    for symbol, market in MARKETS.items():
        for number in range(-5, 5):
            edge = number * BLOCK_MS
            before, after = market.price(edge - TICK_MS), market.price(edge)
            sigma, _ = volatility_of(SPECS[symbol])
            assert abs(after / before - 1) < 2 * sigma + 2 * float(SPECS[symbol].rules.tick) / after


def test_the_liveliest_market_fills_a_grid_of_a_third_of_a_percent_within_a_minute_or_so():
    market = MARKETS["DOGE/USDT"]
    waits = []
    for start in range(0, 6 * HOUR, 5 * MINUTE):
        ticks = market.ticks(start, start + HOUR)
        first = ticks.steps[0]
        reached = (ticks.steps <= first * (1 - 0.0015)) | (ticks.steps >= first * (1 + 0.0045))
        waits.append(int(np.argmax(reached)) * TICK_MS / 1000 if reached.any() else 3600.0)
    assert np.median(waits) < 60
    assert waits[0] < 60


@symbols
def test_history_before_time_zero_is_whole_and_valid(symbol):
    source = DemoSource(7, 28_000_000 * MINUTE)
    candles = source.candles(symbol, MINUTE, 28_000_000 * MINUTE - DAY, 28_000_000 * MINUTE + DAY)
    validate_candles(candles)
    assert find_gaps(candles) == []
    assert len(candles) == 2880


def test_long_candles_open_on_the_shown_calendar_wherever_the_epoch_is():
    source = DemoSource(7, 28_000_001 * MINUTE)
    days = source.candles("BTC/USDT", DAY, 19_440 * DAY, 19_444 * DAY)
    assert days.ts.tolist() == [day * DAY for day in range(19_440, 19_444)]
    minutes = source.candles("BTC/USDT", MINUTE, 19_440 * DAY, 19_441 * DAY)
    assert (days.open[0], days.close[0]) == (minutes.open[0], minutes.close[-1])
    assert (days.high[0], days.low[0]) == (minutes.high.max(), minutes.low.min())


def test_what_is_not_there_is_refused():
    source = DemoSource(7, 0)
    with pytest.raises(InvalidInput, match="not XRP/USDT"):
        source.market("XRP/USDT")
    with pytest.raises(InvalidInput, match="whole number of minutes"):
        MARKETS["BTC/USDT"].candles(90_000, 0, DAY)
    with pytest.raises(InvalidInput, match="full minute"):
        DemoSource(7, 1)
    assert len(MARKETS["BTC/USDT"].candles(MINUTE, 0, 0)) == 0


def test_the_noise_is_even_normal_and_independent():
    index = np.arange(-50_000, 50_000)
    uniform = uniform_at(stream_key("a"), index)
    normal = normal_at(stream_key("b"), index)
    assert (uniform >= 0).all()
    assert (uniform < 1).all()
    assert abs(uniform.mean() - 0.5) < 0.005
    assert abs(normal.mean()) < 0.015
    assert abs(normal.var() - 1) < 0.02
    assert abs(np.corrcoef(normal[1:], normal[:-1])[0, 1]) < 0.015
    assert len(np.unique(bits_at(stream_key("c"), index))) == len(index)


@given(st.floats(-2, 2))
@settings(deadline=None)
def test_our_own_exponential_is_the_real_one(x):
    assert exp_of(np.array([x]))[0] == pytest.approx(np.exp(x), rel=1e-13)


def test_the_rules_are_those_of_an_exchange():
    rules = SPECS["DOGE/USDT"].rules
    assert (rules.base, rules.quote, rules.tick, rules.lot) == ("DOGE", "USDT", Decimal("0.00001"), Decimal(1))
