"""The analyst's views: one SQL file each in `warehouse/views/`, created in the lake's catalog.

A file holds one statement, `CREATE OR REPLACE VIEW name AS ...` or `CREATE OR REPLACE MACRO name(...) AS ...`, and is
named after what it makes. Views may stand on one another: they are created in whatever order works. One whose tables
are not there yet (an extractor makes its table at its first scan) waits until they are.

`name.each.sql` makes the view `name` over every table `name_<rest>` that is there: it holds a SELECT, repeated for each
with `{table}` and `{rest}` filled in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import duckdb

from warehouse.metadata import stored_columns

FOLDER = Path(__file__).parent / "views"
EACH = ".each.sql"
MARK = "images"  # the view whose comment says from which files and tables all of them were made


def refresh(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Create or update every view that can be made now, in one transaction; returns the names that wait for tables.

    Nothing is written where neither the files nor the lake's tables changed. `con` has the lake attached AS lake, in
    use and not in a transaction.
    """
    columns = stored_columns(con)
    statements = read() | read_each(columns)
    state = hashlib.sha256(repr((sorted(statements.items()), columns)).encode()).hexdigest()[:32]
    if _comment(con) == state:
        return []
    con.execute("BEGIN")
    try:
        waiting = apply(con, statements)
        if MARK not in waiting and MARK in statements:
            con.execute(f"COMMENT ON VIEW {MARK} IS '{state}'")
        con.execute("COMMIT")
    except BaseException:
        con.execute("ROLLBACK")
        raise
    return waiting


def read(folder: Path = FOLDER) -> dict[str, str]:
    """The statements by name of what they make."""
    paths = (path for path in sorted(folder.glob("*.sql")) if not path.name.endswith(EACH))
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


def read_each(tables: Iterable[str], folder: Path = FOLDER) -> dict[str, str]:
    """The statements of views over all tables of a name, for those of `tables` that there are; none makes no view."""
    found = sorted(tables)
    made = {}
    for path in sorted(folder.glob(f"*{EACH}")):
        name = path.name.removesuffix(EACH)
        select = path.read_text(encoding="utf-8")
        selects = [
            select.replace("{table}", f'"{table}"').replace("{rest}", table.removeprefix(f"{name}_"))
            for table in found
            if table.startswith(f"{name}_")
        ]
        if selects:
            made[name] = f"CREATE OR REPLACE VIEW {name} AS\n" + "UNION ALL BY NAME\n".join(selects)
    return made


def apply(con: duckdb.DuckDBPyConnection, statements: dict[str, str]) -> list[str]:
    """Run the statements in an order that works; returns those that lack a table, view or column.

    Raises duckdb.Error where one is wrong in itself.
    """
    waiting = dict(statements)
    while True:
        made = []
        for name, sql in waiting.items():
            try:
                con.execute(sql)
            except (duckdb.CatalogException, duckdb.BinderException):
                continue  # it stands on a table, view or column that is not there, or not yet
            made.append(name)
        for name in made:
            del waiting[name]
        if not made or not waiting:
            return sorted(waiting)


def _comment(con: duckdb.DuckDBPyConnection) -> str | None:
    row = con.execute(
        "SELECT comment FROM duckdb_views() WHERE database_name = 'lake' AND view_name = ?", [MARK]
    ).fetchone()
    return None if row is None else row[0]
