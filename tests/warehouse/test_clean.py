"""Clean: what stopped runs left goes; what counts, is pinned or is still being written stays."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from lakes import TABLES, decide, scan, stage, unit_rows
from typer.testing import CliRunner

from warehouse.clean import clean, pin, pins, unpin
from warehouse.cli import app, duration
from warehouse.commit import RunInfo, commit_parts, pack
from warehouse.digest import digests
from warehouse.errors import LakeBusy, LakeError, UsageError
from warehouse.lake import Lake
from warehouse.verify import verify

NOW = timedelta(0)


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        os.utime(each, (then, then))


def leave(lake: Lake, con: duckdb.DuckDBPyConnection) -> list[Path]:
    """Everything that stopped runs can leave behind."""
    parts = stage(lake, unit_rows([90, 91], "/x"), "/x")
    (packed,) = pack(con, lake, TABLES["captions"], [p for p in parts if p.table == "captions"])
    left = [packed, lake.files("captions") / ".pack-1-ab.tmp", lake.pool / ".jpg-x.tar.tmp", lake.pool / "jpg-x.tar"]
    left += [lake.staged("captions") / ".x.parquet.1.tmp", lake.root / "catalog.sqlite.new", lake.tmp / "work-1"]
    for path in left[1:-1]:
        path.write_bytes(b"half")
    left[-1].mkdir(exist_ok=True)
    (left[-1] / "gathered.parquet").write_bytes(b"half")
    return left + [lake.staged(part.table) / f"{part.name}.parquet" for part in parts]


def test_leftovers_go_and_what_counts_stays(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2])])
    decide(lake, con)
    decide(lake, con, outcome="dropped")
    con.execute("DELETE FROM captions WHERE image_id = (SELECT min(image_id) FROM captions)")
    before = digests(con)
    left = leave(lake, con)
    would = clean(lake, older_than=NOW, dry_run=True)
    assert all(path.exists() for path in left)
    swept = clean(lake, older_than=NOW)
    assert {lake.root / path for path in swept.files} >= set(left)
    assert would.files.keys() >= {p.relative_to(lake.root) for p in left}
    assert not any(path.exists() for path in left)
    assert digests(con) == before
    assert not any(check.problems for check in verify(lake))
    assert con.execute("SELECT count(*) FROM decisions AT (VERSION => 1)").fetchone() == (0,)


def test_what_is_newer_than_the_age_is_spared(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    left = leave(lake, con)
    age(left[0], days=3)
    assert list(clean(lake).files) == [left[0].relative_to(lake.root)]
    assert all(path.exists() for path in left[1:])


def test_parts_of_a_run_of_several_days_are_spared_together(lake: Lake) -> None:
    parts = stage(lake, unit_rows([1], "/a"), "/a")
    for part in parts:
        age(lake.staged(part.table) / f"{part.name}.parquet", days=3)
    assert len(clean(lake, dry_run=True).files) == len(parts), "nobody writes any more"
    stage(lake, unit_rows([2], "/b"), "/b")
    assert not clean(lake).files


def test_a_run_goes_on_after_its_parts_were_spared(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    parts = stage(lake, unit_rows([1, 2], "/a"), "/a")
    clean(lake)
    assert commit_parts(lake, con, RunInfo("scan"), parts, TABLES).committed


def test_a_folder_being_written_is_as_new_as_its_newest_file(lake: Lake) -> None:
    folder = lake.tmp / "work-1"
    folder.mkdir(parents=True)
    (folder / "gathered.parquet").write_bytes(b"half")
    os.utime(folder, (0, 0))
    assert not clean(lake).files


def test_clean_waits_for_no_one(lake: Lake) -> None:
    with Lake.open(lake.root).lock("scan"), pytest.raises(LakeBusy, match="scan"):
        clean(lake)


def test_old_snapshots_go_unless_pinned(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2])])
    decide(lake, con)
    pinned = lake.snapshot(con)
    decide(lake, con, outcome="dropped")
    replaced = lake.snapshot(con)
    decide(lake, con, outcome="pending")
    pin(lake, "training-7", pinned)
    assert pins(lake) == {"training-7": pinned}
    before, files = digests(con), set(lake.files("decisions").iterdir())
    assert not clean(lake, older_than=NOW, expire=timedelta(hours=1)).snapshots
    swept = clean(lake, older_than=NOW, expire=NOW)
    assert replaced in swept.snapshots
    assert pinned not in swept.snapshots
    assert len(files - set(lake.files("decisions").iterdir())) == 1
    kept = f"SELECT DISTINCT outcome FROM decisions AT (VERSION => {pinned})"
    with lake.connect(read_only=True) as fresh:
        assert fresh.execute(kept).fetchall() == [("kept",)]
        assert digests(fresh) == before
    assert not any(check.problems for check in verify(lake))
    unpin(lake, "training-7")
    assert pinned in clean(lake, older_than=NOW, expire=NOW).snapshots
    with lake.connect() as fresh:
        assert decide(lake, fresh, outcome="kept").committed, "an expired file's name may come back"
        assert fresh.execute("SELECT DISTINCT outcome FROM decisions").fetchall() == [("kept",)]
    assert not any(check.problems for check in verify(lake))


def test_a_pin_that_cannot_be_read_stops_the_expiry(lake: Lake) -> None:
    pin(lake, "x", 1)
    (lake.root / "pins" / "x").write_text("one")
    with pytest.raises(LakeError, match="pin"):
        clean(lake, expire=NOW)
    with pytest.raises(UsageError):
        pin(lake, "../x", 1)


def test_the_command(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    left = leave(lake, con)
    run = CliRunner().invoke
    told = run(app, ["clean", "--lake", str(lake.root), "--dry-run", "--older-than", "0s"])
    assert told.exit_code == 0
    assert "would go" in told.stdout
    assert left[0].name in told.stdout
    assert left[0].exists()
    assert isinstance(run(app, ["clean", "-L", str(lake.root), "--older-than", "soon"]).exception, UsageError)


def test_lengths_of_time() -> None:
    assert [duration(t) for t in ("90s", "1.5m", "2h", "7d")] == [
        timedelta(seconds=90),
        timedelta(seconds=90),
        timedelta(hours=2),
        timedelta(days=7),
    ]
    for text in ("", "7", "d", "-1d", "7 days"):
        with pytest.raises(UsageError):
            duration(text)


def test_pins_by_command(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    run, at = CliRunner().invoke, ["--lake", str(lake.root)]
    assert "is kept" in run(app, ["pin", "training-7", *at]).stdout
    assert pins(lake) == {"training-7": lake.snapshot(con)}
    assert "training-7" in run(app, ["pin", *at]).stdout
    assert isinstance(run(app, ["pin", "x", "--snapshot", "999", *at]).exception, UsageError)
    assert isinstance(run(app, ["pin", "x", "--remove", *at]).exception, UsageError)
    assert run(app, ["pin", "training-7", "--remove", *at]).exit_code == 0
    assert pins(lake) == {}
