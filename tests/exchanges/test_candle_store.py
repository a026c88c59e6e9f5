"""Candles come out of the store as they went in; longer ones are made from minutes; the newest page is found."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.candle_store import aggregate, candles_of, merge, pack, rows_of, unpack
from exchanges.models import CandleBlock
from exchanges.selectors import candles_load, candles_stored_until, candles_window
from exchanges.services import candles_save
from tests.exchanges.books import market
from trading.core.candles import COLUMNS, Candles

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MIDNIGHT = int(datetime(2024, 2, 29, tzinfo=UTC).timestamp() * 1000)


def minutes(start_ms: int, count: int, seed: int = 1) -> Candles:
    """Random valid minutes without gaps."""
    rng = np.random.default_rng(seed)
    prices = 100 + rng.normal(size=(count, 4)).cumsum(axis=0) / 10
    high, low = prices.max(axis=1), prices.min(axis=1)
    ts = start_ms + MINUTE * np.arange(count)
    return Candles.of(ts, prices[:, 1], high, low, prices[:, 2], rng.uniform(0, 9, count))


def same(one: Candles, other: Candles) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


@given(st.integers(0, 50), st.integers(0, 10**6))
@settings(deadline=None)
def test_a_block_gives_back_the_same_bits(count, seed):
    rows = rows_of(minutes(MIDNIGHT, count, seed))
    assert np.array_equal(unpack(pack(rows)), rows)


def test_merging_keeps_the_order_and_the_newer_of_two_rows():
    old, new = rows_of(minutes(MIDNIGHT, 5, 1)), rows_of(minutes(MIDNIGHT + 3 * MINUTE, 5, 2))
    merged = merge(old, new)
    assert np.array_equal(merged[:3], old[:3])
    assert np.array_equal(merged[3:], new)


@given(st.integers(1, 400), st.integers(0, 59), st.sampled_from([5, 15, 60]), st.integers(0, 1000))
@settings(deadline=None)
def test_longer_candles_say_the_same_as_their_minutes(count, offset, span, seed):
    candles = minutes(MIDNIGHT + offset * MINUTE, count, seed)
    rows = rows_of(candles)
    made = aggregate(rows, span * MINUTE)
    for row in made:
        inside = rows[(rows[:, 0] >= row[0]) & (rows[:, 0] < row[0] + span * MINUTE)]
        assert row[0] % (span * MINUTE) == 0
        assert (row[1], row[2], row[3], row[4]) == (
            inside[0, 1],
            inside[:, 2].max(),
            inside[:, 3].min(),
            inside[-1, 4],
        )
        assert row[5] == pytest.approx(inside[:, 5].sum(), rel=1e-12)
    end = candles.ts[-1] + MINUTE
    whole = len({ts // (span * MINUTE) for ts in candles.ts.tolist()}) - (end % (span * MINUTE) != 0)
    assert len(made) == whole


@pytest.mark.django_db
def test_what_is_saved_in_pieces_is_loaded_as_one_with_one_query(django_assert_num_queries):
    btc, whole = market(), minutes(MIDNIGHT - 90 * MINUTE, 3000)
    for start in range(0, 3000, 700):
        assert candles_save(market=btc, timeframe_ms=MINUTE, candles=whole.slice(start, start + 700)) > 0
    assert CandleBlock.objects.count() == 4
    with django_assert_num_queries(1):
        assert same(candles_load(btc, MINUTE, 0, 2**62), whole)
    assert same(candles_load(btc.pk, MINUTE, int(whole.ts[100]), int(whole.ts[200])), whole.slice(100, 200))
    assert candles_stored_until(btc, MINUTE) == whole.ts[-1] + MINUTE
    assert candles_save(market=btc, timeframe_ms=MINUTE, candles=whole.slice(0, 0)) == 0


@pytest.mark.django_db
def test_saving_again_puts_the_new_candles_in_the_place_of_the_old():
    btc = market()
    candles_save(market=btc, timeframe_ms=MINUTE, candles=minutes(MIDNIGHT, 10, 1))
    fresh = minutes(MIDNIGHT, 10, 2)
    candles_save(market=btc, timeframe_ms=MINUTE, candles=fresh)
    assert same(candles_load(btc, MINUTE, 0, 2**62), fresh)
    assert CandleBlock.objects.get().count == 10


@pytest.mark.django_db
@pytest.mark.parametrize(("timeframe", "limit"), [(MINUTE, 7), (MINUTE, 2000), (HOUR, 3), (HOUR, 100), (DAY, 2)])
@pytest.mark.parametrize("before", [None, MIDNIGHT + DAY, MIDNIGHT + DAY + 30 * MINUTE, MIDNIGHT])
def test_the_newest_candles_are_the_last_of_all(timeframe, limit, before):
    btc, whole = market(source="file"), minutes(MIDNIGHT - DAY, 3 * 1440)
    candles_save(market=btc, timeframe_ms=MINUTE, candles=whole)
    all_of_them = candles_of(aggregate(rows_of(whole), timeframe))
    end = len(all_of_them) if before is None else int(np.searchsorted(all_of_them.ts, before))
    expected = all_of_them.slice(max(0, end - limit), end)
    assert same(candles_window(btc, timeframe, limit, before), expected)


@pytest.mark.django_db
def test_a_stored_timeframe_goes_before_one_made_from_minutes():
    btc, hours = market(source="file"), minutes(MIDNIGHT, 5, 3)
    hours = Candles.of(MIDNIGHT + HOUR * np.arange(5), *(getattr(hours, name) for name in COLUMNS[1:]))
    candles_save(market=btc, timeframe_ms=MINUTE, candles=minutes(MIDNIGHT, 600))
    candles_save(market=btc, timeframe_ms=HOUR, candles=hours)
    assert same(candles_load(btc, HOUR, 0, 2**62), hours)
    assert same(candles_window(btc, HOUR, 3), hours.slice(2))


@pytest.mark.django_db
def test_a_market_without_candles_has_an_empty_window():
    btc = market(source="file")
    assert len(candles_window(btc, MINUTE, 10)) == 0
    assert len(candles_load(btc, MINUTE, 0, 2**62)) == 0
    assert candles_stored_until(btc, MINUTE) is None
