"""Forgotten: images that were taken down. Which rows are about them, and what keeps them out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

import duckdb

from warehouse import storage
from warehouse.forgotten_list import listing
from warehouse.metadata import stored_columns
from warehouse.schema import FORGOTTEN, Table

#: Columns that name the images a row is about, where that is not `image_id` alone. A column of ids is a list.
NAMING = {"near_pairs": ("a", "b"), "edits": ("target_id", "reference_ids"), "errors": ("images",)}
LISTS = frozenset({"reference_ids", "images"})


def naming(table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns of a table that name the images a row is about: where one is forgotten, the row goes."""
    if table == FORGOTTEN.name:
        return ()
    there = set(columns)
    return tuple(column for column in NAMING.get(table, ("image_id",)) if column in there)


def about(columns: Iterable[str], ids: str) -> str:
    """SQL predicate, never NULL: the row names an image of `ids`, a query that gives image_id. False for no columns."""
    tests = [
        f'coalesce(list_has_any("{column}", (SELECT list(image_id) FROM ({ids}))), false)'
        if column in LISTS
        else f'coalesce("{column}" IN (SELECT image_id FROM ({ids})), false)'
        for column in columns
    ]
    return " OR ".join(tests) or "false"


def admitted(con: duckdb.DuckDBPyConnection, table: Table, query: str) -> str:
    """`query`, whose rows are to be packed for `table`, without those about forgotten images."""
    columns = naming(table.name, table.names)
    if not columns or not anything_forgotten(con):
        return query
    return f"SELECT * FROM ({query}) WHERE NOT ({about(columns, 'SELECT image_id FROM lake.forgotten')})"


def anything_forgotten(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the lake was ever asked to forget; a lake of an earlier version has no such table."""
    if FORGOTTEN.name not in stored_columns(con):
        return False
    return con.execute("SELECT 1 FROM lake.forgotten LIMIT 1").fetchone() is not None


def write_listing(pool: PurePath, ids: Iterable[str]) -> None:
    """Put these ids in the place of what the list beside the pool named; no ids: no list."""
    lines = "".join(f"{image_id}\n" for image_id in sorted(set(ids)))
    if not lines:
        storage.delete(listing(pool))
        return
    storage.write(listing(pool), lines.encode("ascii"))
