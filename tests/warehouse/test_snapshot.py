"""Snapshot: one DuckDB file that answers as the lake does, in a DuckDB that has no extension."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lakes import TABLES, decide, scan, signals, stage
from typer.testing import CliRunner

from warehouse import views
from warehouse.cli import app
from warehouse.commit import RunInfo, commit_parts
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.snapshot import snapshot


@pytest.fixture
def full(lake: Lake, con: duckdb.DuckDBPyConnection) -> Lake:
    """A lake with replaced and deleted rows, several files a table, and decisions."""
    scan(lake, con, [("/a", [1, 2, 3])])
    scan(lake, con, [("/b", [3, 4, 5])], batch="b2")
    decide(lake, con)
    decide(lake, con, outcome="dropped")
    newer = stage(lake, {"signals_header": [signals(2, version="2") | {"width": 7}]}, "newer")
    commit_parts(lake, con, RunInfo("scan"), newer, TABLES)
    con.execute("ALTER TABLE captions ADD COLUMN tone VARCHAR")
    return lake


@pytest.mark.parametrize("copy_below", [0, 1 << 30])
def test_every_table_and_view_answers_as_in_the_lake(
    full: Lake, con: duckdb.DuckDBPyConnection, tmp_path: Path, copy_below: int
) -> None:
    out = tmp_path / "warehouse.duckdb"
    how = snapshot(full, out, copy_below=copy_below)
    assert how["inputs"] == ("view" if copy_below == 0 else "copied")
    relations = [
        name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    ]
    relations += [
        name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE database_name = 'lake'").fetchall()
    ]
    assert {"inputs", "images", "lineage", "run_history"} <= set(relations)
    with duckdb.connect(str(out), read_only=True, config={"autoload_known_extensions": "false"}) as plain:
        assert not plain.execute(
            "FROM duckdb_extensions() WHERE loaded AND install_mode <> 'STATICALLY_LINKED'"
        ).fetchall()
        plain.execute("SET TimeZone = 'UTC'")
        for name in relations:
            sql = f'SELECT * FROM "{name}" ORDER BY ALL'
            there, here = plain.execute(sql).to_arrow_table(), con.execute(sql).to_arrow_table()
            assert there.equals(here), name
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["warehouse.duckdb"]


def test_it_is_the_lake_of_that_moment_and_may_be_made_anew(
    full: Lake, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    out = tmp_path / "warehouse.duckdb"
    for expected in (6, 8):
        snapshot(full, out)
        scan(full, con, [("/c", [8, 9])], batch="b3")
        with duckdb.connect(str(out), read_only=True) as plain:
            assert plain.execute("SELECT count(*) FROM inputs").fetchone() == (expected,)


def test_a_failure_leaves_the_old_file(full: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "warehouse.duckdb"
    snapshot(full, out)
    before = out.read_bytes()
    monkeypatch.setattr(views, "read", lambda: {"broken": "CREATE VIEW this is wrong"})
    with pytest.raises(duckdb.Error):
        snapshot(full, out)
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["warehouse.duckdb"]
    with pytest.raises(UsageError, match="is a folder"):
        snapshot(full, tmp_path)


def test_the_command(full: Lake, tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["snapshot", "-L", str(full.root), "--out", str(tmp_path / "w.duckdb"), "--copy-mb", "0"]
    )
    assert told.exit_code == 0, told.exception
    assert "views over the lake's files" in told.stdout
