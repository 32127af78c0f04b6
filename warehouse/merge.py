"""Merge: which of the gathered rows go into the lake, as SQL over the scratch files.

One row per key, the same whatever the order and cut in which the rows came; none that the lake has already in the same
state; `inputs` with their status. Temporary tables hold keys only, so blobs never pass through a join.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

import duckdb

from warehouse.schema import Table
from warehouse.sql import quoted

# The order in which deliveries count: the first is the one whose bytes are used.
DELIVERY_ORDER = 'batch, source, uri, "offset" NULLS FIRST, "row"'
SCRATCH = ("merge_known", "merge_twice", "merge_inputs")


def superseded(table: Table, files: Sequence[PurePath]) -> str:
    """SQL predicate: the lake's rows that have the key of a row in `files`."""
    keys = _listed(table.key)
    return f"({keys}) IN (SELECT ({keys}) FROM {parquet(files)})"


def state_columns(table: Table) -> list[str]:
    """Columns that tell a row measured anew from the one the lake has; a table without any never replaces a row."""
    return [c for c in ("version", "file_stamp") if c in table.names and table.key and c not in table.key]


@contextmanager
def merged(con: duckdb.DuckDBPyConnection, table: Table, files: Sequence[PurePath]) -> Iterator[list[str]]:
    """Queries, one a scratch file and in their order, whose rows are to be packed. They hold within the context."""
    if not table.key:
        yield [f"SELECT * FROM {parquet([file])}" for file in files]
        return
    try:
        _find_known(con, table, parquet(files))
        _find_twice(con, table, parquet(files))
        queries = [_fresh(table, parquet([file])) for file in files]
        if table.name == "inputs":
            con.execute(f"CREATE OR REPLACE TEMP TABLE merge_inputs AS {' UNION ALL '.join(queries)}")
            queries = [_deliveries(table)]
        yield queries
    finally:
        for name in SCRATCH:
            con.execute(f"DROP TABLE IF EXISTS temp.{name}")


def parquet(files: Sequence[PurePath]) -> str:
    """FROM clause over Parquet files."""
    return f"read_parquet([{', '.join(quoted(f) for f in files)}])"


def _find_known(con: duckdb.DuckDBPyConnection, table: Table, source: str) -> None:
    """`merge_known`: keys that the lake has in the same version, or of the same file."""
    wanted = (*table.key, *state_columns(table))
    con.execute(
        f'CREATE OR REPLACE TEMP TABLE merge_known AS SELECT {_listed(table.key)} FROM lake."{table.name}" '
        f"SEMI JOIN (SELECT {_listed(wanted)} FROM {source}) USING ({_listed(wanted)})"
    )


def _find_twice(con: duckdb.DuckDBPyConnection, table: Table, source: str) -> None:
    """`merge_twice`: keys that more than one gathered row has."""
    keys = _listed(table.key)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE merge_twice AS SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1"
    )


def _fresh(table: Table, source: str) -> str:
    """Query: a measured row before an error, then the smallest origin, then the smallest of everything else."""
    keys = _listed(table.key)
    rank = [f'"{c}"' for c in table.names if c not in table.key]
    if "origin" in table.names:
        rank.insert(0, '"origin"')
    if "status" in table.names:
        rank.insert(0, "\"status\" = 'error'")
    return (
        f"(SELECT * FROM {source} ANTI JOIN temp.merge_known USING ({keys}) ANTI JOIN temp.merge_twice USING ({keys})) "
        f"UNION ALL (SELECT * FROM {source} ANTI JOIN temp.merge_known USING ({keys}) "
        f"SEMI JOIN temp.merge_twice USING ({keys}) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {', '.join(rank) or keys}) = 1)"
    )


def _deliveries(table: Table) -> str:
    """Query: new deliveries with their status, and the lake's rows whose status they change.

    The first delivery of an image is `ok`, every further one `repeat`. What the lake has comes before what is new.
    Where a changed file took away the delivery that was `ok`, the next one takes its place.
    """
    keys = _listed(table.key)
    return f"""
        WITH fresh AS (FROM temp.merge_inputs),
        touched AS (
            SELECT image_id FROM fresh WHERE status <> 'error'
            UNION SELECT image_id FROM lake.inputs SEMI JOIN fresh USING ({keys}) WHERE status = 'ok'
        ),
        known AS (
            SELECT * FROM lake.inputs ANTI JOIN fresh USING ({keys})
            WHERE status <> 'error' AND image_id IN (FROM touched)
        ),
        judged AS (
            SELECT *, 0 AS turn FROM known UNION ALL BY NAME SELECT *, 1 AS turn FROM fresh WHERE status <> 'error'
        ),
        ranked AS (
            SELECT *, 1 = row_number() OVER (
                PARTITION BY image_id ORDER BY turn, turn = 0 AND status <> 'ok', {DELIVERY_ORDER}
            ) AS is_first
            FROM judged
        )
        SELECT * EXCLUDE (turn, is_first) REPLACE (if(is_first, 'ok', 'repeat') AS status)
        FROM ranked WHERE turn = 1 OR is_first <> (status = 'ok')
        UNION ALL BY NAME SELECT * FROM fresh WHERE status = 'error'
    """


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{c}"' for c in columns)
