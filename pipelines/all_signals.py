"""The view `all_signals`: one row per image with every signal that an extractor of the lake gave, as recipes read it.

The views `signals` and `samples` hold scan's own signals and are fast over many millions of images; this one joins
every signal table, and is made anew when the lake has got one more.
"""

from __future__ import annotations

import hashlib

import duckdb
import pyarrow as pa

from pipelines.signals import Signal, known_signals, relation
from warehouse.schema import Table

VIEW = "all_signals"


def refresh(con: duckdb.DuckDBPyConnection, tables: tuple[Table, ...]) -> None:
    """Make the view over these signal tables of the lake, unless it is made from just these. `con` has the lake
    attached AS lake, in use and not in a transaction."""
    sql = relation(readable(tables))
    mark = hashlib.sha256(sql.encode()).hexdigest()[:32]
    row = con.execute(
        "SELECT comment FROM duckdb_views() WHERE database_name = 'lake' AND view_name = ?", [VIEW]
    ).fetchone()
    if row is None or row[0] != mark:
        con.execute("BEGIN")
        con.execute(f"CREATE OR REPLACE VIEW {VIEW} AS {sql}")
        con.execute(f"COMMENT ON VIEW {VIEW} IS '{mark}'")
        con.execute("COMMIT")


def readable(tables: tuple[Table, ...]) -> list[Signal]:
    """The signals that a person can read: hashes, thumbnails and embeddings are left out, and `evaluation`, which asks
    every caption: see the view evaluation_matches."""
    blobs = {column.name for table in tables for column in table.columns if pa.types.is_binary(column.type)}
    return [signal for signal in known_signals(tables).values() if signal.name not in blobs | {"evaluation"}]
