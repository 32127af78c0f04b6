"""Tables that a pass needs, made under the lake's lock: two runs that write the catalog at once trip each other."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from warehouse.lake import Lake
from warehouse.metadata import stored_columns
from warehouse.schema import Table


def ensure(lake: Lake, con: duckdb.DuckDBPyConnection, tables: Iterable[Table], *, wait_s: float = 0) -> None:
    """Make what the lake lacks of the tables and their columns; where it lacks nothing, no lock is asked for.

    Raises LakeBusy.
    """
    stored, wanted = stored_columns(con), list(tables)
    if any(c.name not in stored.get(table.name, {}) for table in wanted for c in table.columns):
        with lake.lock("making tables", wait_s):
            lake.ensure_tables(con, wanted)
