"""What the lake's catalog says about its files, for those who check, sweep or copy them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

import duckdb

from warehouse.lake import Lake
from warehouse.metadata import METADATA
from warehouse.places import place


@dataclass(frozen=True)
class DataFile:
    """One data file that counts now, with its delete file where rows of it were deleted."""

    table: str
    path: PurePath
    rows: int
    size: int
    deletes: PurePath | None
    deleted: int


def data_files(con: duckdb.DuckDBPyConnection, lake: Lake) -> list[DataFile]:
    """Every data file that counts in the present snapshot, by table and place in it."""
    found = con.execute(
        f"""
        SELECT t.table_name, f.path, f.path_is_relative, f.record_count, f.file_size_bytes,
               d.path, d.path_is_relative, coalesce(d.delete_count, 0)
        FROM {METADATA}.ducklake_data_file f
        JOIN {METADATA}.ducklake_table t USING (table_id)
        LEFT JOIN {METADATA}.ducklake_delete_file d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
        WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL
        ORDER BY t.table_name, f.data_file_id
        """
    ).fetchall()
    return [
        DataFile(
            table,
            _place(lake, table, path, relative),
            rows,
            size,
            None if deletes is None else _place(lake, table, deletes, deletes_relative),
            deleted,
        )
        for table, path, relative, rows, size, deletes, deletes_relative, deleted in found
    ]


def known_files(con: duckdb.DuckDBPyConnection, lake: Lake) -> set[PurePath]:
    """Every file that any snapshot still in the catalog refers to, and those it has scheduled for deletion."""
    found = con.execute(
        f"""
        SELECT t.table_name, f.path, f.path_is_relative
        FROM (SELECT table_id, path, path_is_relative FROM {METADATA}.ducklake_data_file
              UNION ALL SELECT table_id, path, path_is_relative FROM {METADATA}.ducklake_delete_file) f
        JOIN {METADATA}.ducklake_table t USING (table_id)
        """
    ).fetchall()
    scheduled = con.execute(
        f"SELECT path, path_is_relative FROM {METADATA}.ducklake_files_scheduled_for_deletion"
    ).fetchall()
    return {_place(lake, *row) for row in found} | {
        lake.tables / path if relative else place(path) for path, relative in scheduled
    }


def _place(lake: Lake, table: str, path: str, relative: bool) -> PurePath:
    return lake.files(table) / path if relative else place(path)
