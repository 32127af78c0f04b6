"""What DuckLake's own tables say of the lake's tables."""

from __future__ import annotations

import duckdb

METADATA = "__ducklake_metadata_lake"  # where DuckLake shows its own tables


def stored_columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Columns and their types, in DuckLake's words, of each table of the attached lake, by table.

    Asked of the catalog itself: duckdb_columns() binds every view on its way, and takes ten times as long.
    """
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in con.execute(
        f"""SELECT t.table_name, c.column_name, c.column_type
        FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_column c USING (table_id)
        WHERE t.end_snapshot IS NULL AND c.end_snapshot IS NULL AND c.parent_column IS NULL
        ORDER BY t.table_name, c.column_order"""
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def relations(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the tables and views of the attached lake."""
    return {
        name
        for (name,) in con.execute(
            f"""SELECT table_name FROM {METADATA}.ducklake_table WHERE end_snapshot IS NULL
            UNION ALL SELECT view_name FROM {METADATA}.ducklake_view WHERE end_snapshot IS NULL"""
        ).fetchall()
    }
