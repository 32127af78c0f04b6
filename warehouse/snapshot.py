"""Snapshot: the lake as one plain DuckDB file that any DuckDB opens, without an extension and without us."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import duckdb

from warehouse import views
from warehouse.catalog import DataFile, data_files
from warehouse.errors import UsageError
from warehouse.files import replacing, told
from warehouse.lake import Lake, quoted

COPY_BELOW = 64 << 20  # bytes of packed files; a larger table becomes a view over its files


def snapshot(lake: Lake, out: Path, *, copy_below: int = COPY_BELOW) -> dict[str, str]:
    """Write the lake as it is now to `out`; returns `copied` or `view` by table.

    Small tables are copied. Larger ones are views over the packed files, by absolute path, with deleted rows left out:
    they work where the lake is, for as long as `glyphmill clean` has not expired the snapshot. The analyst's views and
    macros are there too. A file at `out` is replaced at once, when the new one is whole. Raises UsageError, LakeError.
    """
    if out.is_dir():
        raise UsageError(f"{out} is a folder: name a file, such as {out / 'warehouse.duckdb'}")
    with (
        told(f"writing {out}", out.absolute().parent),
        replacing(out.absolute()) as temporary,
        lake.connect(read_only=True) as con,
    ):
        con.execute(f"ATTACH {quoted(temporary)} AS plain")
        con.execute("BEGIN")  # one snapshot of the lake for all tables
        files: dict[str, list[DataFile]] = {}
        for file in data_files(con, lake):
            files.setdefault(file.table, []).append(file)
        how = {}
        for (table,) in con.execute(_TABLES).fetchall():
            own = files.get(table, [])
            large = sum(f.size for f in own) >= copy_below and bool(own)
            if large:
                con.execute(f'CREATE VIEW plain.main."{table}" AS {over_files(con, table, own)}')
            else:
                con.execute(f'CREATE TABLE plain.main."{table}" AS SELECT * FROM lake."{table}"')
            how[table] = "view" if large else "copied"
        con.execute("COMMIT")
        con.execute("USE plain")
        views.apply(con, {name: _unqualified(sql) for name, sql in (views.read() | views.read_each(how)).items()})
        con.execute("USE memory")
        con.execute("DETACH plain")
    return how


def over_files(con: duckdb.DuckDBPyConnection, table: str, files: Sequence[DataFile]) -> str:
    """Query over a table's packed files: its columns, without deleted rows."""
    whole = [f.path for f in files if f.deletes is None]
    pieces = [f"SELECT * FROM read_parquet({_listed(whole)}, union_by_name = true)"] if whole else []
    pieces += [
        f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({quoted(f.path)}, file_row_number = true) "
        f"WHERE file_row_number NOT IN (SELECT pos FROM read_parquet({quoted(f.deletes)}))"
        for f in files
        if f.deletes is not None
    ]
    rows = " UNION ALL BY NAME ".join(pieces)
    there = {name for (name,) in con.execute(f"SELECT column_name FROM (DESCRIBE {rows})").fetchall()}
    columns = con.execute(f'SELECT column_name, column_type FROM (DESCRIBE lake."{table}")').fetchall()
    listed = ", ".join(
        f'"{name}"::{kind} AS "{name}"' if name in there else f'NULL::{kind} AS "{name}"' for name, kind in columns
    )
    return f"SELECT {listed} FROM ({rows})"


_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' ORDER BY 1"


def _unqualified(sql: str) -> str:
    """A view's or macro's statement without the lake's name: in the file it stands in the database itself."""
    return re.sub(r"\blake\.(?=[\w\"])", "", sql)


def _listed(paths: Sequence[PurePath]) -> str:
    return "[" + ", ".join(quoted(p) for p in paths) + "]"
