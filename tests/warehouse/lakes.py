"""Small lakes for tests: parts as a scan would stage them, committed as it would commit them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from warehouse.commit import CommitResult, RunInfo, commit, commit_parts, pack_query
from warehouse.lake import Lake, sql_type
from warehouse.parts import Part, key, write_part
from warehouse.schema import CAPTIONS, DECISIONS, INPUTS, Column, Table, signal_table

HEADER = signal_table(
    "header",
    (
        Column("media_type", pa.string(), "media type"),
        Column("width", pa.int32(), "px"),
        Column("height", pa.int32(), "px"),
        Column("byte_size", pa.int64(), "bytes"),
        Column("sharpness", pa.float32(), "a number with a fraction"),
        Column("phash", pa.binary(), "some bytes"),
    ),
    "a signal table with every kind of column",
)
Row = dict[str, object]
Rows = dict[str, list[Row]]
TABLES: dict[str, Table] = {t.name: t for t in (INPUTS, CAPTIONS, HEADER)}


def image_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def delivery(
    number: int, uri: str, row: int, *, batch: str = "b1", unit: str = "u", stamp: str = "s1"
) -> dict[str, object]:
    return {
        "source": "test",
        "batch": batch,
        "unit": unit,
        "row": row,
        "uri": uri,
        "offset": row * 1024,
        "length": 100 + number,
        "image_id": image_id(number),
        "file_stamp": stamp,
        "extra": "{}",
        "status": "ok",
    }


def signals(number: int, version: str = "1") -> dict[str, object]:
    return {
        "image_id": image_id(number),
        "version": version,
        "media_type": "image/jpeg",
        "width": 100 + number,
        "height": 100,
        "byte_size": 1000 + number,
        "sharpness": number / 3,
        "phash": number.to_bytes(8, "big"),
        "status": "ok",
    }


def caption(number: int, origin: str = ".txt") -> dict[str, object]:
    text = f"a caption of {number}, with 字 and ü"
    return {"image_id": image_id(number), "caption_id": key(text)[:16], "kind": "raw", "text": text, "origin": origin}


def unit_rows(
    numbers: Sequence[int], uri: str, *, batch: str = "b1", unit: str = "u"
) -> dict[str, list[dict[str, object]]]:
    """Rows by table of one unit: a file that holds the images of these numbers."""
    return {
        "inputs": [delivery(n, uri, row, batch=batch, unit=unit) for row, n in enumerate(numbers)],
        "captions": [caption(n) for n in numbers],
        "signals_header": [signals(n) for n in numbers],
    }


def stage(lake: Lake, rows: Mapping[str, Sequence[Mapping[str, object]]], unit: str) -> list[Part]:
    return [write_part(lake, TABLES[t], key(t, unit, repr(r)), unit, TABLES[t].from_rows(r)) for t, r in rows.items()]


def scan(
    lake: Lake, con: duckdb.DuckDBPyConnection, units: Iterable[tuple[str, Sequence[int]]], *, batch: str = "b1"
) -> CommitResult:
    """Stage and commit units, each a file with images of these numbers."""
    parts = [
        part for uri, numbers in units for part in stage(lake, unit_rows(numbers, uri, batch=batch, unit=uri), uri)
    ]
    return commit_parts(lake, con, RunInfo("scan", batch), parts, TABLES)


def decisions(recipe: str, outcome: str) -> str:
    """SELECT list of `decisions`, to be followed by FROM something with image_id."""
    given = {"image_id": "image_id", "recipe": f"'{recipe}'", "outcome": f"'{outcome}'", "stage_reached": "2"}
    columns = (f'{given.get(c.name, "NULL")}::{sql_type(c.type)} AS "{c.name}"' for c in DECISIONS.columns)
    return f"SELECT {', '.join(columns)}"


def decide(lake: Lake, con: duckdb.DuckDBPyConnection, recipe: str = "r1", outcome: str = "kept") -> CommitResult:
    """Decide on every image: a replacing commit, as the real pass does it."""
    before = lake.snapshot(con)
    sql = f"{decisions(recipe, outcome)} FROM inputs WHERE status = 'ok'"
    files = {"decisions": pack_query(con, lake, DECISIONS, sql)}
    run = RunInfo("decide", engine="sql", recipe=recipe, snapshot=before)
    return commit(con, lake, run, files, replace={"decisions": f"recipe = '{recipe}'"})
