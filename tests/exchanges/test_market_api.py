"""Markets over the API: rules as strings, candles as columns of numbers, a price with its age."""

import pytest
from django.db import connection
from django.db.models import F
from rest_framework.test import APIClient

from exchanges.demo import demo_source, wall_now_ms
from exchanges.models import DemoClock
from exchanges.prices import quote_put
from exchanges.services import demo_markets_ensure
from tests.exchanges.books import flat, market
from tests.factories import alice

pytestmark = pytest.mark.django_db

MARKETS = "/api/v1/markets/"
MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def api():
    client = APIClient()
    client.force_authenticate(alice())
    return client


@pytest.fixture
def btc():
    return demo_markets_ensure()[0]


def test_only_who_is_signed_in_may_look(btc):
    assert APIClient().get(MARKETS).status_code in (401, 403)


def test_markets_come_in_cursor_pages_with_their_rules_as_strings(api, btc):
    first = api.get(MARKETS, {"limit": 20}).json()
    assert [row["symbol"] for row in first["results"]][:3] == ["WIF/USDT:USDT", "DOGE/USDT:USDT", "ETH/USDT:USDT"]
    rest = api.get(first["next"]).json()
    assert rest["next"] is None
    row = rest["results"][-1]
    assert row == {
        "id": btc.pk,
        "source": "demo",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "tick": "0.01",
        "lot": "0.00001",
        "min_qty": "0.00001",
        "min_notional": "5",
        "maker_fee": "0.001",
        "taker_fee": "0.001",
        "active": True,
        "perpetual": False,
        "max_leverage": None,
        "maintenance_rate": None,
        "funding_rate": None,
        "funding_interval_ms": None,
        "demo": True,
    }
    assert api.get(f"{MARKETS}{btc.pk}/").json() == row


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ({"symbol": "SOL/USDT"}, ["SOL/USDT"]),
        ({"base": "ETH"}, ["ETH/USDT:USDT", "ETH/USDT"]),
        ({"base": "ETH", "perpetual": "false"}, ["ETH/USDT"]),
        ({"perpetual": "true"}, ["WIF/USDT:USDT", "DOGE/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT:USDT"]),
        ({"source": "file"}, ["XRP/EUR"]),
        ({"quote": "EUR"}, ["XRP/EUR"]),
        ({"active": "false"}, ["XRP/EUR"]),
        ({"source": "nobody"}, []),
    ],
)
def test_markets_can_be_filtered(api, btc, query, symbols):
    market(source="file", symbol="XRP/EUR", active=False)
    assert [row["symbol"] for row in api.get(MARKETS, query).json()["results"]] == symbols


def test_a_perpetual_says_what_a_form_needs(api, btc):
    (row,) = api.get(MARKETS, {"symbol": "BTC/USDT:USDT"}).json()["results"]
    assert row["perpetual"] is True
    assert (row["base"], row["quote"], row["lot"], row["min_qty"], row["min_notional"]) == (
        "BTC",
        "USDT",
        "0.0001",
        "0.0001",
        "5",
    )
    assert (row["max_leverage"], row["maintenance_rate"], row["funding_rate"]) == ("20", "0.005", "0.0001")
    assert row["funding_interval_ms"] == 8 * HOUR


def test_an_unknown_filter_is_refused(api):
    answer = api.get(MARKETS, {"simbol": "x"})
    assert answer.status_code == 400
    assert "did you mean 'symbol'" in answer.json()["detail"]["message"]


def test_the_market_of_a_replay_is_not_shown(api):
    hidden = market(source="replay 1")
    assert api.get(MARKETS).json()["results"] == []
    assert api.get(f"{MARKETS}{hidden.pk}/").status_code == 404


@pytest.mark.parametrize("where", ["", "candles/", "price/"])
@pytest.mark.parametrize("number", ["999", "0", "99999999999999999999999"])
def test_a_market_that_is_not_there_is_not_found(api, where, number):
    answer = api.get(f"{MARKETS}{number}/{where}")
    assert answer.status_code == 404
    assert answer.json()["detail"]["code"] == "not_found"


def test_candles_are_columns_that_agree_with_the_market_and_page_back_before_its_start(api, btc):
    clock = DemoClock.objects.get()
    url = f"{MARKETS}{btc.pk}/candles/"
    newest = api.get(url, {"limit": 10}).json()
    assert {name: newest[name] for name in ("market", "symbol", "timeframe_ms", "demo")} == {
        "market": btc.pk,
        "symbol": "BTC/USDT",
        "timeframe_ms": MINUTE,
        "demo": True,
    }
    expected = demo_source(clock).candles("BTC/USDT", MINUTE, newest["ts"][0], newest["ts"][-1] + MINUTE)
    for name in ("ts", "open", "high", "low", "close", "volume"):
        assert newest[name] == getattr(expected, name).tolist()
    assert len(newest["ts"]) == 10
    before = api.get(url, {"limit": 10, "before_ms": newest["ts"][0]}).json()
    assert before["ts"][-1] == newest["ts"][0] - MINUTE
    assert before["forming"] is None
    hours = api.get(url, {"timeframe_ms": HOUR, "limit": 5, "before_ms": clock.epoch_ms - 1000 * HOUR}).json()
    assert len(hours["ts"]) == 5
    assert all(ts % HOUR == 0 for ts in hours["ts"])


def test_the_forming_candle_joins_on_to_the_closed_ones(api, btc):
    DemoClock.objects.update(wall_ms=wall_now_ms() - HOUR - 1)
    answer = api.get(f"{MARKETS}{btc.pk}/candles/", {"timeframe_ms": HOUR}).json()
    forming = answer["forming"]
    assert forming["ts"] == answer["ts"][-1] + HOUR
    assert forming["low"] <= forming["close"] <= forming["high"]


def test_the_forming_candle_joins_on_though_a_minute_turns_between_two_looks_at_the_clock(api, btc):
    looks = []

    def turn(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if sql.startswith("SELECT") and "exchanges_democlock" in sql:
            looks.append(sql)
            DemoClock.objects.update(wall_ms=F("wall_ms") - MINUTE)
        return found

    with connection.execute_wrapper(turn):
        answer = api.get(f"{MARKETS}{btc.pk}/candles/", {"limit": 5}).json()
    assert len(looks) > 1
    assert answer["forming"]["ts"] == answer["ts"][-1] + MINUTE


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"timeframe_ms": 90_000}, "timeframe_ms"),
        ({"timeframe_ms": 0}, "timeframe_ms"),
        ({"timeframe_ms": "1h"}, "timeframe_ms"),
        ({"timeframe_ms": 10**12}, "timeframe_ms"),
        ({"limit": 0}, "limit"),
        ({"limit": 10**6}, "limit"),
        ({"before_ms": -1}, "before_ms"),
        ({"before_ms": 10**30}, "before_ms"),
        ({"before": 1}, "before"),
    ],
)
def test_bad_candle_queries_name_their_field(api, btc, query, field):
    answer = api.get(f"{MARKETS}{btc.pk}/candles/", query)
    assert answer.status_code == 400
    assert answer.json()["detail"]["field"] == field


@pytest.mark.parametrize("timeframe_ms", [86_400_000, 604_800_000])
def test_very_long_candles_come_in_small_pages(api, btc, timeframe_ms):
    answer = api.get(f"{MARKETS}{btc.pk}/candles/", {"timeframe_ms": timeframe_ms, "limit": 1500})
    assert answer.status_code == 200
    assert 4 <= len(answer.json()["ts"]) <= 31


@pytest.mark.parametrize("before_ms", [0, 1, 2**53 - 1])
def test_the_ends_of_time_are_no_fault(api, btc, before_ms):
    assert api.get(f"{MARKETS}{btc.pk}/candles/", {"before_ms": before_ms}).status_code == 200
    stored = market(source="file")
    assert api.get(f"{MARKETS}{stored.pk}/candles/", {"before_ms": before_ms}).json()["ts"] == []


def test_a_price_says_how_old_it_is_and_none_is_unavailable(api, btc, settings):
    url = f"{MARKETS}{btc.pk}/price/"
    missing = api.get(url)
    assert missing.status_code == 503
    assert missing.json()["detail"]["code"] == "unavailable"
    quote = quote_put(btc.pk, flat(97_000.5, ts_ms=123), wall_now_ms())
    answer = api.get(url).json()
    assert answer["last"] == 97_000.5
    assert (answer["market"], answer["symbol"], answer["seq"], answer["ts"]) == (btc.pk, "BTC/USDT", quote.seq, 123)
    assert not answer["stale"]
    quote_put(btc.pk, flat(97_000.5), wall_now_ms() - settings.PRICE_MAX_AGE_MS - 1000)
    assert api.get(url).json()["stale"]
