"""Forgetting: frozen lists and dead letters without the files that images were delivered in which are taken down.

A list keeps the hash of what is taken from it, so that the file is not new to the next night. What an error or a
traceback says may name such a file: of a unit that had one nothing of it stays.
"""

from __future__ import annotations

from pathlib import PurePath

import duckdb

from warehouse.commit import pack_query
from warehouse.forget import ASKED, Extra, leaving
from warehouse.lake import Lake
from warehouse.metadata import stored_columns
from warehouse.schema import ERRORS, NIGHT_UNITS, Table
from warehouse.sources.portion import from_text, to_text, without

UNTOLD = "not told: an image of the unit was forgotten"


def unlisted(lake: Lake, con: duckdb.DuckDBPyConnection) -> Extra:
    """What changes in `night_units` and in the letters of scan where images of `to_forget` go."""
    there = stored_columns(con)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE touched_units AS
        SELECT source, batch, unit, list(DISTINCT uri) AS uris FROM lake.inputs
        WHERE image_id IN ({ASKED}) GROUP BY ALL"""
    )
    files: dict[str, list[PurePath]] = {}
    going: dict[str, str] = {}
    if NIGHT_UNITS.name in there:
        going[NIGHT_UNITS.name] = "(source, night, unit) IN (SELECT (source, batch, unit) FROM temp.touched_units)"
        files[NIGHT_UNITS.name] = _written(lake, con, NIGHT_UNITS, _lists(con))
    if ERRORS.name in there:
        named = leaving(con)[ERRORS.name]
        going[ERRORS.name] = f"({named}) OR {_OF_SCAN} AND {_TOUCHED}"
        files[ERRORS.name] = _written(lake, con, ERRORS, _letters(con))
    return Extra(files, going)


def _lists(con: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    rows = con.execute(
        "SELECT n.*, t.uris FROM lake.night_units AS n JOIN temp.touched_units AS t "
        "ON t.source = n.source AND t.batch = n.night AND t.unit = n.unit"
    ).to_arrow_table()
    return [{**row, "content": _left(row["content"], row["uris"])} for row in rows.to_pylist()]


def _letters(con: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    """Letters of scan with what is left of their unit; none where nothing is, or where it was finished since."""
    rows = con.execute(
        f"SELECT e.*, t.uris FROM (FROM lake.errors WHERE {_OF_SCAN} AND status = 'open') AS e "
        "JOIN temp.touched_units AS t ON t.source = e.source AND t.batch = e.batch AND t.unit = e.unit"
    ).to_arrow_table()
    found: list[dict[str, object]] = []
    for row in rows.to_pylist():
        content = _left(row["content"], row["uris"])
        if content is not None:
            found.append({**row, "unit": from_text(content).key, "content": content, **_SILENT})
    return found


def _left(content: str | None, uris: list[str]) -> str | None:
    left = without(from_text(content), frozenset(uris)) if content is not None else None
    return None if left is None else to_text(left)


def _written(lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, rows: list[dict[str, object]]) -> list[PurePath]:
    if not rows:
        return []
    con.register("left_rows", table.from_rows([{name: row[name] for name in table.names} for row in rows]))
    try:
        return pack_query(con, lake, table, "FROM left_rows")
    finally:
        con.unregister("left_rows")


_OF_SCAN = "command = 'scan'"
_TOUCHED = "(batch, unit) IN (SELECT (batch, unit) FROM temp.touched_units)"
_SILENT = {"error": UNTOLD, "traceback": None}
