"""Rows of a query as a table to read, CSV or JSON."""

from __future__ import annotations

import csv
import json
import math
import shutil
from contextlib import redirect_stdout
from datetime import date, datetime
from decimal import Decimal
from typing import TextIO

import duckdb
import pyarrow as pa

from warehouse.errors import UsageError
from warehouse.lake import Lake

BATCH = 10_000
SHOWN = 200  # rows of a table to read; CSV and JSON give all


def run(lake: Lake, sql: str, form: str, out: TextIO) -> None:
    """Print the rows of `sql` to `out` as `table`, `csv` (header line, lists as JSON, NULL empty) or `json` (an array).

    CSV and JSON stream: memory does not grow with the rows. BLOBs are printed as hex. Raises UsageError, in one line,
    where the SQL is wrong or would write.
    """
    with lake.connect(read_only=True) as con:
        try:
            if form == "table":
                _table(con, sql, out)
            else:
                reader = con.execute(sql).to_arrow_reader(BATCH)
                (_csv if form == "csv" else _json)(reader, out)
        except duckdb.Error as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UsageError(f"the query failed: {' '.join(lines[:2])}") from error


def _table(con: duckdb.DuckDBPyConnection, sql: str, out: TextIO) -> None:
    relation = con.sql(sql)
    if relation is not None:
        with redirect_stdout(out):
            relation.show(max_rows=SHOWN, max_width=shutil.get_terminal_size((160, 24)).columns)


def _csv(reader: pa.RecordBatchReader, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(reader.schema.names)
    for batch in reader:
        columns = [column.to_pylist() for column in batch.columns]
        writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))


def _json(reader: pa.RecordBatchReader, out: TextIO) -> None:
    between = "[\n"
    for batch in reader:
        for row in batch.to_pylist():
            out.write(between + _text(row))
            between = ",\n"
    out.write("[]\n" if between == "[\n" else "\n]\n")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return _text(value)
    return value if value is None or isinstance(value, str | int | float) else _plain(value)


def _text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False)
    except ValueError:  # JSON has no word for infinity
        return json.dumps(_worded(value), ensure_ascii=False, default=_plain)


def _worded(value: object) -> object:
    """The same with `inf`, `-inf` and `nan` as strings."""
    if isinstance(value, dict):
        return {key: _worded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_worded(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
