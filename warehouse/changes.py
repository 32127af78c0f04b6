"""Changes: which tables gained or lost rows since a snapshot: what reads none of them need not be done again."""

from __future__ import annotations

import re

import duckdb

from warehouse.metadata import METADATA
from warehouse.schema import KNOWN

_ROWS = re.compile(r"(?:inserted_into|deleted_from)_table:(\d+),?")


def changed_since(con: duckdb.DuckDBPyConnection, snapshot: int) -> frozenset[str] | None:
    """Names of the tables that gained or lost rows after the snapshot, those that only keep books of runs left out.

    None where that is not known: snapshots between are expired, or a table, view or macro itself was made anew. Costs
    by the snapshots between, not by the rows.
    """
    ((latest,),) = con.execute(f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot").fetchall()
    told = con.execute(
        f"SELECT snapshot_id, changes_made FROM {METADATA}.ducklake_snapshot_changes WHERE snapshot_id > ?", [snapshot]
    ).fetchall()
    if {number for number, _ in told} != set(range(snapshot + 1, latest + 1)):
        return None
    if any(_ROWS.sub("", made or "") for _, made in told):
        return None
    touched = {int(table) for _, made in told for table in _ROWS.findall(made or "")}
    names = dict(con.execute(f"SELECT table_id, table_name FROM {METADATA}.ducklake_table").fetchall())
    if not touched <= names.keys():
        return None
    return frozenset(names[table] for table in touched) - {table.name for table in KNOWN.values() if table.ledger}
