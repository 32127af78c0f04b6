"""Which tables changed since a snapshot: what is not known must never be taken for nothing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lakes import scan

from warehouse.changes import changed_since
from warehouse.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def _snapshot(lake: Lake, con: duckdb.DuckDBPyConnection) -> int:
    found = lake.snapshot(con)
    assert found is not None
    return found


def test_tables_with_new_rows_are_named_and_the_books_of_runs_are_not(lake: Lake) -> None:
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        before = _snapshot(lake, con)
        assert changed_since(con, before) == frozenset()
        scan(lake, con, [("/b", [3])])
        assert changed_since(con, before) == {"inputs", "captions", "signals_header"}
        con.execute("INSERT INTO lake.parts SELECT * FROM lake.parts LIMIT 1")
        assert changed_since(con, _snapshot(lake, con) - 1) == frozenset()


def test_rows_that_went_count_too(lake: Lake) -> None:
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        before = _snapshot(lake, con)
        con.execute("DELETE FROM lake.captions")
        assert changed_since(con, before) == {"captions"}


def test_what_cannot_be_known_is_not_taken_for_nothing(lake: Lake) -> None:
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        before = _snapshot(lake, con)
        con.execute("ALTER TABLE lake.captions ADD COLUMN more INTEGER")
        assert changed_since(con, before) is None
        altered = _snapshot(lake, con)
        scan(lake, con, [("/b", [3])])
        scan(lake, con, [("/c", [4])])
        con.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{altered + 1}])")
        assert changed_since(con, altered) is None
