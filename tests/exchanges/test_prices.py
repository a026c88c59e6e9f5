"""Prices in the cache: numbered upwards for ever, with the extremes since a number as long as all are remembered."""

from django.core.cache import cache
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.prices import RING, extremes_since, quote_get, quote_put, quotes_get
from tests.exchanges.books import bar, flat


def test_the_newest_update_is_kept_for_each_market():
    first = quote_put(1, bar(100.0, 102.0, 99.0, 101.0, ts_ms=60), 5000)
    assert (first.seq, first.market_ms, first.received_ms) == (5000, 60, 5000)
    assert (first.open, first.high, first.low, first.last) == (100.0, 102.0, 99.0, 101.0)
    second = quote_put(1, flat(103.0), 5100)
    other = quote_put(2, flat(7.0), 5100)
    assert quote_get(1) == second
    assert quotes_get([1, 2, 3]) == {1: second, 2: other}
    assert quote_get(3) is None
    assert quotes_get([]) == {}


def test_numbers_rise_within_one_millisecond_and_after_a_lost_cache():
    numbers = [quote_put(1, flat(1.0), 5000).seq for _ in range(3)]
    assert numbers == [5000, 5001, 5002]
    cache.clear()
    assert quote_put(1, flat(1.0), 6000).seq > 5002


def test_nothing_newer_gives_the_last_price_and_the_unknown_gives_none():
    assert extremes_since(1, 0) is None
    quote = quote_put(1, bar(100.0, 102.0, 99.0, 101.0), 5000)
    assert extremes_since(1, quote.seq) == (101.0, 101.0)
    assert extremes_since(1, quote.seq - 1) is None
    quote_put(1, flat(101.5), 5100)
    assert extremes_since(1, quote.seq) == (101.5, 101.5)


def test_what_was_seen_before_a_lost_cache_cannot_be_answered():
    seen = quote_put(1, flat(1.0), 5000).seq
    cache.clear()
    quote_put(1, flat(2.0), 6000)
    quote_put(1, flat(3.0), 6100)
    assert extremes_since(1, seen) is None


@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=RING + 60),
    st.integers(0, RING + 60),
)
@settings(deadline=None, max_examples=40)
def test_the_extremes_since_a_number_are_those_of_all_later_updates_or_nothing(updates, back):
    cache.clear()
    quotes = []
    for number, pair in enumerate(updates):
        low, high = float(min(pair)), float(max(pair))
        quotes.append(quote_put(1, bar(low, high, low, high), 1000 + 100 * number))
    index = max(0, len(quotes) - 1 - back)
    later = quotes[index + 1 :]
    found = extremes_since(1, quotes[index].seq)
    if len(later) >= RING:
        assert found is None
    elif not later:
        assert found == (quotes[-1].last, quotes[-1].last)
    else:
        assert found == (min(quote.low for quote in later), max(quote.high for quote in later))
