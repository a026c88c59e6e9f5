"""`candles import|export|gaps`: whole or not at all, and a fault names its row."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from exchanges.models import CandleBlock, Market
from exchanges.selectors import candles_load
from exchanges.services import demo_markets_ensure
from tests.exchanges.books import market
from trading.core.candle_files import read_candles
from trading.core.candles import COLUMNS

pytestmark = pytest.mark.django_db

START = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp() * 1000)
HEAD = "ts,open,high,low,close,volume"


def run(*args) -> str:
    out = io.StringIO()
    call_command("candles", *map(str, args), stdout=out)
    return out.getvalue()


def rows(count: int) -> list[str]:
    return [f"{START + 60_000 * n},{100 + n},{101 + n},{99.5 + n},{100.25 + n},{n}" for n in range(count)]


@pytest.fixture
def write(tmp_path):
    def write(lines, name="candles.csv"):
        path = tmp_path / name
        path.write_text("\n".join([HEAD, *lines]) + "\n")
        return path

    return write


def same(one, other) -> bool:
    return all(getattr(one, name).tolist() == getattr(other, name).tolist() for name in COLUMNS)


def test_a_file_goes_in_and_comes_out_the_same_in_both_formats(write, tmp_path):
    path = write(rows(2000))
    assert "2000 candles of BTC/USDT (file) stored" in run("import", "file", "BTC/USDT", path, "--tick", "0.5")
    made = Market.objects.get()
    assert (made.tick, made.lot, made.taker_fee) == (Decimal("0.5"), Decimal("0.00000001"), Decimal("0.001"))
    for name in ("out.csv", "out.parquet"):
        run("export", "file", "BTC/USDT", tmp_path / name)
        assert same(read_candles(tmp_path / name), read_candles(path))
    run("export", "file", "BTC/USDT", tmp_path / "part.csv", "--start", "2024-03-01T00:10", "--end", START + 900_000)
    assert read_candles(tmp_path / "part.csv").ts.tolist() == [START + 60_000 * n for n in range(10, 15)]
    run("export", "file", "BTC/USDT", tmp_path / "hours.csv", "--timeframe-ms", 3_600_000)
    assert len(read_candles(tmp_path / "hours.csv")) == 33


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:5], lines[7], lines[6], *lines[8:]], "row 7: ts .* is earlier than the row before"),
        (lambda lines: [*lines[:5], lines[4], *lines[5:]], "row 6: ts .* stands twice"),
        (lambda lines: [*lines[:5], *lines[6:]], "row 5: a candle is missing after this one"),
        (lambda lines: [*lines[:5], lines[5].replace(",105,", ",-105,"), *lines[6:]], "row 6: open -105"),
        (lambda lines: [*lines[:5], lines[5].replace(",105,", ",,"), *lines[6:]], "row 6: open nan is missing"),
        (lambda lines: [*lines[:5], lines[5].replace(",105,", ",abc,"), *lines[6:]], "row 6: open 'abc'"),
        (lambda lines: [*lines[:5], lines[5].replace(",106,", ",1,"), *lines[6:]], "row 6: high 1.0 is below"),
        (lambda lines: [line.replace(str(START)[:6], "-" + str(START)[:6]) for line in lines[:1]], "row 1: ts -"),
        (lambda lines: [line.replace("0000,", "0777,", 1) for line in lines], "row 1: ts .* start of a candle"),
        (lambda lines: [], "no candles"),
    ],
)
def test_a_bad_file_is_refused_by_its_row_and_changes_nothing(write, change, words):
    path = write(change(rows(20)))
    with pytest.raises(CommandError, match=words):
        run("import", "file", "BTC/USDT", path)
    assert not Market.objects.exists()
    assert not CandleBlock.objects.exists()


def test_a_file_that_is_not_there_or_lacks_a_column(tmp_path):
    with pytest.raises(CommandError, match="cannot read"):
        run("import", "file", "BTC/USDT", tmp_path / "nothing.csv")
    path = tmp_path / "short.csv"
    path.write_text("ts,open,high,low,close\n1,2,3,4,5\n")
    with pytest.raises(CommandError, match="lacks the column 'volume'"):
        run("import", "file", "BTC/USDT", path)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("file", "BTC/USDT", "--tick", "0"), "tick must be above 0"),
        (("file", "BTC/USDT", "--tick", "x"), "--tick x is not a number"),
        (("file", "BTC/USDT", "--lot", "NaN"), "lot must be above 0"),
        (("file", "BTC/USDT", "--min-qty", "-1"), "min_qty must be 0 or more"),
        (("file", "BTC/USDT", "--fee", "1"), "100 % or more"),
        (("file", "BTC/USDT", "--tick", "1e-18"), "at most 2\\^52 steps"),
        (("file", "BTC/USDT", "--tick", "1e-30"), "at most 18 decimals"),
        (("file", "BTCUSDT"), "BASE/QUOTE"),
        (("demo", "BTC/USDT"), "makes its own prices"),
    ],
)
def test_options_are_judged_before_anything_is_stored(write, args, words):
    with pytest.raises(CommandError, match=words):
        run("import", *args[:2], write(rows(20)), *args[2:])
    assert not Market.objects.exists()


def test_an_import_does_not_change_the_rules_of_a_market_that_exists(write):
    market(source="file")
    path = write(rows(3))
    with pytest.raises(CommandError, match=r"exists with tick 0\.01; leave --tick out"):
        run("import", "file", "BTC/USDT", path, "--tick", "0.5")
    run("import", "file", "BTC/USDT", path, "--tick", "0.01")
    assert Market.objects.get().tick == Decimal("0.01")


def test_gaps_are_told_and_filled_in_a_file_and_in_the_store(write, tmp_path):
    lines = rows(30)
    path = write([*lines[:5], *lines[8:20], *lines[21:]])
    told = run("gaps", path, "--write", tmp_path / "whole.csv")
    assert "26 candles, 2 gaps, 4 candles missing" in told
    assert "after row 5: 3 from 2024-03-01T00:05:00Z to 2024-03-01T00:08:00Z" in told
    whole = read_candles(tmp_path / "whole.csv")
    assert len(whole) == 30
    assert (whole.open[5], whole.volume[5]) == (whole.close[4], 0.0)

    run("import", "filled", "BTC/USDT", path, "--fill-gaps")
    assert same(candles_load(Market.objects.get(), 60_000, 0, 2**62), whole)
    run("import", "parts", "BTC/USDT", write(lines[:5]))
    run("import", "parts", "BTC/USDT", write(lines[8:]))
    assert "27 candles, 1 gaps, 3 candles missing" in run("gaps", "parts", "BTC/USDT")
    assert "3 flat candles stored" in run("gaps", "parts", "BTC/USDT", "--fill")
    assert "30 candles, 0 gaps, 0 candles missing" in run("gaps", "parts", "BTC/USDT")


def test_the_demo_markets_candles_can_be_exported(tmp_path):
    demo_markets_ensure()
    run("export", "demo", "SOL/USDT", tmp_path / "sol.parquet")
    assert len(read_candles(tmp_path / "sol.parquet")) == 1440


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("export", "demo", "XRP/USDT", "x.csv"), "demo has no market XRP/USDT; it has AAVE/USDT, ADA/USDT"),
        (("export", "nobody", "XRP/USDT", "x.csv"), "nobody has no market XRP/USDT"),
        (("export", "demo", "BTC/USDT", "x.csv", "--start", "yesterday"), "--start yesterday is neither"),
        (("export", "demo", "BTC/USDT", "x.csv", "--end", "0", "--start", "0"), "no candles"),
        (("export", "demo", "BTC/USDT", "x.csv", "--timeframe-ms", "0"), "must be above 0"),
        (("export", "demo", "BTC/USDT", "x.csv", "--timeframe-ms", "1000"), "whole number of minutes"),
        (("export", "demo", "BTC/USDT", "/nowhere/x.csv"), "cannot write"),
        (("gaps", "a", "b", "c"), "FILE, or SOURCE SYMBOL"),
    ],
)
def test_what_cannot_be_done_is_said(args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo_markets_ensure()
    with pytest.raises(CommandError, match=words):
        run(*args)
    assert not list(tmp_path.iterdir())
