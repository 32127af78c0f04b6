"""Which images of the pool stages 6 and 7 take, and what each weighs: SQL over the pool, by quotas of its cells."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from pipelines.balancing.entry import BalanceEntry
from pipelines.balancing.quota import Plan
from warehouse.lake import quoted

SALT = "balance"  # so that this choice has nothing to do with any other by hash
CELLS = pa.schema([("leaf", pa.string()), ("cell", pa.string()), ("supply", pa.int64()), ("quota", pa.int64())])
REPEATS = pa.schema([("leaf", pa.string()), ("copies", pa.float64())])


def take(
    con: duckdb.DuckDBPyConnection,
    supply: Mapping[tuple[str, str], int],
    quotas: Mapping[tuple[str, str], int],
    entry: BalanceEntry,
) -> None:
    """Make the temporary table `taken` (image, leaf, cell, quality_rank, stage7): stage 6 by hash, stage 7 the best.

    Images of unknown quality rank last. Stage 7 takes the same share of every leaf and track, rounded up. `cells` keeps
    `supply` and `quotas` for the rows of `balance`.
    """
    listed = [
        {"leaf": leaf, "cell": cell, "supply": images, "quota": quotas[leaf, cell]}
        for (leaf, cell), images in sorted(supply.items())
    ]
    _register(
        con, "cells", pa.Table.from_pylist(listed, schema=CELLS), "leaf::leaf_name AS leaf, cell::cell_name AS cell"
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE taken AS
        WITH drawn AS (
            SELECT p.rowid AS image, leaf, cell, quality, quota, md5({quoted(SALT)} || image_id)::UUID AS draw
            FROM temp.pool p JOIN temp.cells USING (leaf, cell)
            QUALIFY row_number() OVER (PARTITION BY leaf, cell ORDER BY draw) <= quota
        )
        SELECT image, leaf, cell,
            row_number() OVER (PARTITION BY leaf, cell ORDER BY quality DESC NULLS LAST, draw) AS quality_rank,
            quality_rank <= ceil({entry.best_of_leaf!r} * quota) AS stage7
        FROM drawn"""
    )


def weigh_images(con: duckdb.DuckDBPyConnection, plan: Plan, entry: BalanceEntry) -> None:
    """Make the temporary table `chosen`: `taken` with each image's weight."""
    repeat = {
        leaf: min(entry.max_repeat, plan.quotas[leaf] / taken) if taken else 1.0 for leaf, taken in plan.taken.items()
    }
    listed = [{"leaf": leaf, "copies": copies} for leaf, copies in sorted(repeat.items())]
    _register(con, "repeats", pa.Table.from_pylist(listed, schema=REPEATS), "leaf::leaf_name AS leaf")
    con.execute(
        """CREATE OR REPLACE TEMP TABLE chosen AS
        SELECT taken.*, round(copies * coalesce(factor, 1), 4)::FLOAT AS weight
        FROM temp.taken JOIN temp.repeats USING (leaf) LEFT JOIN temp.token_factors USING (image)"""
    )


#: The rows of `balance` but for its `LATE` columns, see `pack_query`.
ROWS = """
    SELECT image_id, p.leaf AS leaf, category_class, text_track, portrait_track, quota / supply AS probability,
        c.image IS NOT NULL AS stage6, coalesce(stage7, false) AS stage7, quality, quality_rank, scale, bucket,
        coalesce(weight, 0) AS weight
    FROM temp.pool p
    LEFT JOIN temp.chosen c ON c.image = p.rowid
    LEFT JOIN temp.cells q ON q.leaf = p.leaf AND q.cell = p.cell"""
LATE = {
    "category": "leaf::VARCHAR",
    "tracks": "CASE WHEN text_track AND portrait_track THEN ['text', 'portrait'] WHEN text_track THEN ['text'] "
    "WHEN portrait_track THEN ['portrait'] ELSE [] END",
}


def _register(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table, typed: str) -> None:
    con.register("registered", table)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * REPLACE ({typed}) FROM registered")
    con.unregister("registered")
