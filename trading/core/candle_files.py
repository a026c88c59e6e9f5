"""Candle files: CSV and Parquet with the columns ts (epoch ms, UTC), open, high, low, close, volume.

pyarrow costs 60 MB, so it is imported when a file is read or written. What is read has been validated; gaps are a
matter of `candles.find_gaps`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from trading.core.candles import COLUMNS, Candles, validate_candles
from trading.core.errors import BadCandles, InvalidInput

SHORTEST_MS = 1000  # a candle shorter than a second is a file whose times are in seconds
_PARQUET_MAGIC = b"PAR1"


def read_candles(path: str | Path) -> Candles:
    """Return the candles of a file. Raises InvalidInput for a file that can't be read, BadCandles naming a bad row."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            parquet = stream.read(4) == _PARQUET_MAGIC
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}", field="candles", value=str(path)) from error
    table = _read_parquet(file) if parquet else _read_csv(file)
    candles = Candles.of(_times(table["ts"]), *(_numbers(table[name], name) for name in COLUMNS[1:]))
    validate_candles(candles)
    if candles.timeframe_ms < SHORTEST_MS:
        raise BadCandles(
            f"row 2: ts {candles.ts[1]} is {candles.timeframe_ms} after row 1: ts must be in milliseconds, "
            "and these look like seconds",
            row=2,
            field="ts",
            value=int(candles.ts[1]),
        )
    return candles


def write_candles(path: str | Path, candles: Candles) -> None:
    """Write a file, Parquet when its name ends so, else CSV; `read_candles` gives the same candles, bit for bit."""
    file = Path(path)
    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            import pyarrow as pa
            import pyarrow.parquet as pq

            table = pa.table({name: getattr(candles, name) for name in COLUMNS})
            pq.write_table(table, file, compression="zstd")
            return
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows((b.ts_ms, b.open, b.high, b.low, b.close, b.volume) for b in candles.bars())
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}", field="file", value=str(path)) from error


def _read_parquet(file: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as source:
            names = _matched(source.schema_arrow.names, file)
            table = source.read(columns=list(names.values()))
    except (pa.ArrowException, OSError) as error:
        raise BadCandles(f"{file.name} is not a readable Parquet file: {error}") from error
    return {name: table.column(column) for name, column in names.items()}


def _read_csv(file: Path) -> dict[str, Any]:
    """Read fast; where that fails, read again row by row to say which row is wrong."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadCandles(f"{file.name} is neither Parquet nor CSV text: {error}") from error
    names = _matched(header, file)
    types = {column: pa.float64() for column in names.values()}
    types[names["ts"]] = pa.int64()
    options = arrow_csv.ConvertOptions(column_types=types, include_columns=list(names.values()))
    try:
        table = arrow_csv.read_csv(file, convert_options=options)
    except pa.ArrowInvalid as error:
        _find_bad_row(file, header, names)
        raise BadCandles(f"{file.name} is not a readable CSV file: {error}") from error
    return {name: table.column(column) for name, column in names.items()}


def _matched(columns: list[str], file: Path) -> dict[str, str]:
    """Map our names to the file's, whatever their case. Raises BadCandles for a missing one."""
    found = {column.strip().lower(): column for column in columns}
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        have = ", ".join(map(str, columns)) or "nothing"
        raise BadCandles(
            f"{file.name} lacks the column {missing[0]!r}: it needs {' '.join(COLUMNS)}, and has {have}",
            field=missing[0],
        )
    return {name: found[name] for name in COLUMNS}


def _find_bad_row(file: Path, header: list[str], names: dict[str, str]) -> None:
    """Raise BadCandles for the first row whose cells aren't numbers."""
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        rows = csv.reader(stream)
        next(rows)
        for number, row in enumerate((row for row in rows if row), 1):
            if len(row) != len(header):
                raise BadCandles(f"row {number}: has {len(row)} cells, the header {len(header)}", row=number)
            cells = dict(zip(header, row, strict=True))
            for name in COLUMNS:
                _check_cell(number, name, cells[names[name]])


def _check_cell(number: int, name: str, cell: str) -> None:
    try:
        _ = int(cell) if name == "ts" else float(cell or "nan")
    except ValueError:
        kind = "a whole number of milliseconds" if name == "ts" else "a number"
        raise BadCandles(f"row {number}: {name} {cell!r} is not {kind}", row=number, field=name, value=cell) from None


def _numbers(column: Any, name: str) -> Any:
    """Return a column as float64, NaN where nothing stands."""
    import pyarrow as pa

    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise BadCandles(f"column {name} holds {column.type}, not numbers: {error}", field=name) from error


def _times(column: Any) -> Any:
    """Return the open times as int64 ms; whole floats and timestamps will do."""
    import pyarrow as pa

    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))) + 1
        raise BadCandles(f"row {row}: ts is missing", row=row, field="ts")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"), safe=False)
    try:
        return column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise BadCandles(f"column ts holds {column.type}, not whole milliseconds: {error}", field="ts") from error
