"""Candle files: what is written is read back bit for bit, and a bad file is refused by its row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from core_builders import MINUTE

from trading.core.candle_files import read_candles, write_candles
from trading.core.candles import COLUMNS, Candles
from trading.core.errors import BadCandles, InvalidInput

HEADER = "ts,open,high,low,close,volume\n"
ROW = "60000,100,101,99,100.5,3\n"


@pytest.fixture
def candles():
    rng = np.random.default_rng(7)
    close = 100 + rng.normal(0, 1, 500).cumsum() / 7
    open_ = close + rng.normal(0, 0.1, 500)
    high, low = np.maximum(open_, close) + 1 / 3, np.minimum(open_, close) - 1 / 7
    return Candles.of(1_640_991_660_000 + MINUTE * np.arange(500), open_, high, low, close, rng.random(500))


@pytest.mark.parametrize("name", ["c.csv", "c.parquet", "c.PQ"])
def test_written_and_read_back_bit_for_bit(tmp_path, candles, name):
    write_candles(tmp_path / name, candles)
    again = read_candles(tmp_path / name)
    for column in COLUMNS:
        assert (getattr(again, column) == getattr(candles, column)).all()


def csv_file(tmp_path, text):
    path = tmp_path / "candles.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_may_stand_in_any_order_and_case_and_others_are_left_out(tmp_path):
    text = "Close,note,TS,open,High,low,Volume\n100.5,x,0,100,101,99,1\n"
    assert read_candles(csv_file(tmp_path, text)).bar(0).close == 100.5


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "c.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + ROW).replace("\n", "\r\n").encode())
    assert len(read_candles(path)) == 1


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        (HEADER + ROW + "120000,100,101,99,abc,3\n", 2, "row 2: close 'abc' is not a number"),
        (HEADER + ROW + "120000,100,101,99,100\n", 2, "row 2: has 5 cells, the header 6"),
        (HEADER + ROW + "12.5,100,101,99,100,3\n", 2, "row 2: ts '12.5' is not a whole number of milliseconds"),
        (HEADER + ROW + "120000,100,101,,100,3\n", 2, "row 2: low nan is missing"),
        (HEADER + ROW + ",100,101,99,100,3\n", 2, "row 2: ts"),
        (HEADER + ROW + ROW, 2, "row 2: ts 60000 stands twice"),
        (HEADER + ROW + "0,100,101,99,100,3\n", 2, "row 2: ts 0 is earlier"),
        (HEADER + ROW + "120000,100,101,-99,100,3\n", 2, "row 2: low -99.0 is not above 0"),
        (HEADER + "0,1,1,1,1,0\n60,1,1,1,1,0\n120,1,1,1,1,0\n", 2, "must be in milliseconds"),
        (HEADER, None, "no candles"),
        ("ts,open,high,low,close\n0,1,1,1,1\n", None, "lacks the column 'volume'"),
        ("", None, "lacks the column 'ts'"),
    ],
)
def test_a_bad_csv_is_refused_by_its_row(tmp_path, text, row, words):
    with pytest.raises(BadCandles, match=words) as caught:
        read_candles(csv_file(tmp_path, text))
    assert caught.value.row == row


def parquet(tmp_path, **changed):
    columns = {"ts": [0, MINUTE], "open": [1.0, 1.0], "high": [1.0, 1.0], "low": [1.0, 1.0], "close": [1.0, 1.0]}
    columns |= {"volume": [0.0, 0.0]} | changed
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({name: column for name, column in columns.items() if column is not None}), path)
    return path


def test_parquet_with_timestamps_and_integers_is_taken(tmp_path):
    ts = pa.array([0, MINUTE], pa.timestamp("ms"))
    assert read_candles(parquet(tmp_path, ts=ts, open=[1, 1])).ts.tolist() == [0, MINUTE]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"close": None}, "lacks the column 'close'"),
        ({"close": [1.0, None]}, "row 2: close nan is missing"),
        ({"ts": [None, 1]}, "row 1: ts is missing"),
        ({"ts": ["a", "b"]}, "column ts holds string, not whole milliseconds"),
        ({"open": ["a", "b"]}, "column open holds string, not numbers"),
        ({"low": [1.0, 0.0]}, "row 2: low 0.0 is not above 0"),
    ],
)
def test_a_bad_parquet_is_refused(tmp_path, changed, words):
    with pytest.raises(BadCandles, match=words):
        read_candles(parquet(tmp_path, **changed))


def test_a_broken_parquet_and_a_stray_binary_are_refused(tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing of use")
    with pytest.raises(BadCandles, match="not a readable Parquet file"):
        read_candles(broken)
    stray = tmp_path / "stray.csv"
    stray.write_bytes(bytes(range(128, 256)) * 10)
    with pytest.raises(BadCandles, match="neither Parquet nor CSV"):
        read_candles(stray)


def test_a_missing_file_and_an_unwritable_place_are_told(tmp_path, candles):
    with pytest.raises(InvalidInput, match="No such file"):
        read_candles(tmp_path / "nothing.csv")
    with pytest.raises(InvalidInput, match="cannot write"):
        write_candles(tmp_path / "no" / "folder.csv", candles)
