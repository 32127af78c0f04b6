"""Pack and commit: one row per key, the same whatever the order; all of a run or nothing; twice is once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import commit_worker
import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lakes import TABLES, caption, decide, decisions, delivery, image_id, scan, signals, stage, unit_rows

from warehouse import gather as gathering
from warehouse import pack as packing
from warehouse.commit import RunInfo, commit, commit_parts, pack, pack_query
from warehouse.digest import TableDigest, digests
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, DECISIONS, INPUTS
from warehouse.verify import verify

KILLS = 10 if os.environ.get("GLYPHMILL_SOAK") else 4


def statuses(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, int], str]:
    found = con.execute("SELECT batch, uri, row, status FROM inputs").fetchall()
    return {(batch, uri, row): status for batch, uri, row, status in found}


def contents(con: duckdb.DuckDBPyConnection) -> dict[str, TableDigest]:
    """Digests of the tables that hold something."""
    return {table: found for table, found in digests(con).items() if found.rows}


def healthy(lake: Lake) -> bool:
    return not any(check.problems for check in verify(lake))


def test_the_same_run_committed_twice_changes_nothing(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    units = [("/a", [1, 2, 3]), ("/b", [3, 4])]
    first = scan(lake, con, units)
    before = lake.snapshot(con), digests(con), con.execute("SELECT count(*) FROM parts").fetchone()
    again = scan(lake, con, units)
    assert first.committed
    assert not again.committed
    assert (lake.snapshot(con), digests(con), con.execute("SELECT count(*) FROM parts").fetchone()) == before
    assert con.execute("SELECT run_id FROM runs").fetchall() == [(first.run_id,)]
    assert not list(lake.staging.rglob("*.parquet"))
    assert healthy(lake)


def test_a_run_with_new_parts_beside_old_ones_commits_the_new(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2])])
    result = scan(lake, con, [("/a", [1, 2]), ("/b", [3])])
    assert result.rows == {"captions": 1, "inputs": 1, "signals_header": 1}
    assert healthy(lake)


def test_the_first_delivery_is_ok_and_every_further_one_a_repeat(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/b", [1, 2]), ("/a", [2, 2, 3])])
    assert statuses(con) == {
        ("b1", "/a", 0): "ok",
        ("b1", "/a", 1): "repeat",
        ("b1", "/a", 2): "ok",
        ("b1", "/b", 0): "ok",
        ("b1", "/b", 1): "repeat",
    }
    scan(lake, con, [("/0", [1, 5])], batch="b0")  # an earlier name, but delivered later: what the lake has comes first
    assert statuses(con)["b0", "/0", 0] == "repeat"
    assert statuses(con)["b0", "/0", 1] == "ok"
    assert statuses(con)["b1", "/b", 0] == "ok"


def test_a_changed_file_replaces_its_rows_and_gives_its_ok_to_the_next_delivery(
    lake: Lake, con: duckdb.DuckDBPyConnection
) -> None:
    scan(lake, con, [("/a", [1, 2]), ("/b", [1]), ("/c", [1])])
    changed = [delivery(2, "/a", 0, stamp="s2"), delivery(7, "/a", 1, stamp="s2")]
    commit_parts(lake, con, RunInfo("scan", "b1"), stage(lake, {"inputs": changed}, "/a-2"), TABLES)
    found = con.execute("SELECT uri, row, image_id, status, file_stamp FROM inputs ORDER BY ALL").fetchall()
    assert found == [
        ("/a", 0, image_id(2), "ok", "s2"),
        ("/a", 1, image_id(7), "ok", "s2"),
        ("/b", 0, image_id(1), "ok", "s1"),
        ("/c", 0, image_id(1), "repeat", "s1"),
    ]
    assert healthy(lake)


def test_an_error_row_stays_an_error_and_is_nobodys_repeat(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    rows = [delivery(1, "/a", 0) | {"status": "error", "error": "truncated: half a file"}, delivery(1, "/b", 0)]
    rows.append(delivery(0, "/c", 0) | {"image_id": None, "status": "error", "error": "empty: no bytes"})
    rows.append(delivery(0, "/d", 0) | {"image_id": None, "status": "error", "error": "empty: no bytes"})
    commit_parts(lake, con, RunInfo("scan", "b1"), stage(lake, {"inputs": rows}, "u"), TABLES)
    assert list(statuses(con).values()).count("error") == 3
    assert statuses(con)["b1", "/b", 0] == "ok"


def test_a_new_version_replaces_a_signal_and_the_same_version_does_not(
    lake: Lake, con: duckdb.DuckDBPyConnection
) -> None:
    scan(lake, con, [("/a", [1, 2, 3])])
    same = stage(lake, {"signals_header": [signals(3) | {"width": 9}, signals(4)]}, "again")
    assert commit_parts(lake, con, RunInfo("scan"), same, TABLES).rows == {"signals_header": 1}
    newer = stage(lake, {"signals_header": [signals(n, version="2") for n in (1, 3)]}, "newer")
    assert commit_parts(lake, con, RunInfo("scan"), newer, TABLES).rows == {"signals_header": 2}
    found = con.execute("SELECT width, version FROM signals_header ORDER BY 1").fetchall()
    assert found == [(101, "2"), (102, "1"), (103, "2"), (104, "1")]
    assert healthy(lake)


def test_a_measured_row_survives_an_error_and_the_smallest_origin_the_others(
    lake: Lake, con: duckdb.DuckDBPyConnection
) -> None:
    broken = signals(1) | {"status": "error", "error": "timeout: 30 s", "width": None}
    parts = stage(lake, {"signals_header": [broken], "captions": [caption(1, "z.txt"), caption(1, "b.csv")]}, "u1")
    parts += stage(lake, {"signals_header": [signals(1)], "captions": [caption(1, "a.json")]}, "u2")
    commit_parts(lake, con, RunInfo("scan"), parts, TABLES)
    assert con.execute("SELECT status, width FROM signals_header").fetchall() == [("ok", 101)]
    assert con.execute("SELECT origin FROM captions").fetchall() == [("a.json",)]


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=6), min_size=1, max_size=5),
    cuts=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_digests_know_neither_the_order_of_parts_nor_the_cut_into_units(
    new_lake: Callable[[], Lake], files: list[list[int]], cuts: int, seed: int
) -> None:
    told = []
    for cut in (6, cuts):
        lake = new_lake()
        parts = []
        for number, images in enumerate(files):
            rows = unit_rows(images, f"/{number}")
            for start in range(0, len(images), cut):
                unit = f"{number}:{start}"
                piece = {table: found[start : start + cut] for table, found in rows.items()}
                piece["inputs"] = [row | {"unit": unit} for row in piece["inputs"]]
                parts += stage(lake, piece, unit)
        random.Random(seed + cut).shuffle(parts)
        with lake.connect() as con:
            commit_parts(lake, con, RunInfo("scan", "b1"), parts, TABLES)
            told.append(digests(con))
    assert told[0] == told[1]


def test_packed_files_are_sorted_bounded_and_named_by_content(
    lake: Lake, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "FILE_BYTES", 40_000)
    monkeypatch.setattr(packing, "ROW_GROUP", 20_000)
    monkeypatch.setattr(packing, "ROWS", 200)
    monkeypatch.setattr(gathering, "CHUNK", 10_000)
    monkeypatch.setattr(gathering, "RANGE", 50_000)
    rows = [caption(n) for n in range(8000)]
    parts = [part for at in range(0, 8000, 200) for part in stage(lake, {"captions": rows[at : at + 200]}, str(at))]
    one, two = pack(con, lake, CAPTIONS, parts), pack(con, lake, CAPTIONS, parts[::-1])
    assert one == two, "the same rows give the same files, to the byte and the name"
    assert len(one) > 1
    ids = [i for file in one for (i,) in con.execute(f"SELECT image_id FROM '{file}'").fetchall()]
    assert ids == sorted(ids)
    assert len(ids) == 8000
    assert all(file.stat().st_size < 300_000 for file in one)


def test_a_decision_replaces_the_one_before_and_may_come_back(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2, 3])])
    outcomes = "SELECT recipe, outcome, count(*) FROM decisions GROUP BY ALL ORDER BY ALL"
    assert decide(lake, con).committed
    assert not decide(lake, con).committed, "the same decisions again change nothing"
    decide(lake, con, "r2", "pending")
    assert decide(lake, con, outcome="dropped").committed
    assert con.execute(outcomes).fetchall() == [("r1", "dropped", 3), ("r2", "pending", 3)]
    assert decide(lake, con, outcome="kept").committed, "what was replaced is not in the lake: it is committed anew"
    assert con.execute(outcomes).fetchall() == [("r1", "kept", 3), ("r2", "pending", 3)]
    assert not decide(lake, con, outcome="kept").committed
    assert healthy(lake)


def test_a_file_that_counts_already_is_never_registered_twice(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2, 3])])
    sql = f"{decisions('r', 'kept')} FROM images"
    files = pack_query(con, lake, DECISIONS, sql)
    for batch in ("one", "another"):
        commit(con, lake, RunInfo("decide", batch), {"decisions": files})
    assert con.execute("SELECT count(*) FROM decisions").fetchone() == (3,)
    commit(con, lake, RunInfo("decide", "third"), {"decisions": files}, replace={"decisions": "recipe = 'r'"})
    assert con.execute("SELECT count(*) FROM decisions").fetchone() == (3,)
    assert healthy(lake)


def test_nothing_left_to_decide_empties_the_table(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1])])
    decide(lake, con)
    result = commit(con, lake, RunInfo("decide"), {"decisions": []}, replace={"decisions": "recipe = 'r1'"})
    assert result.committed
    assert con.execute("SELECT count(*) FROM decisions").fetchone() == (0,)
    assert not commit(con, lake, RunInfo("decide"), {"decisions": []}, replace={"decisions": "recipe = 'r1'"}).committed


def test_a_commit_that_fails_half_way_leaves_the_lake_as_it_was(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2])])
    before = digests(con), lake.snapshot(con)
    parts = stage(lake, unit_rows([5, 6], "/b"), "/b")
    files = {name: pack(con, lake, TABLES[name], [p for p in parts if p.table == name]) for name in TABLES}
    damaged = lake.files("signals_header") / "damaged.parquet"
    damaged.write_bytes(b"PAR1 this is no Parquet file PAR1")
    with pytest.raises((duckdb.Error, OSError, ValueError)):
        commit(con, lake, RunInfo("scan"), files | {"signals_header": [damaged]}, parts)
    with pytest.raises(duckdb.Error):
        commit(con, lake, RunInfo("scan"), files, parts, replace={"inputs": "no_such_column = 1"})
    assert (digests(con), lake.snapshot(con)) == before
    assert commit(con, lake, RunInfo("scan"), files, parts).committed
    assert con.execute("SELECT count(*) FROM inputs").fetchone() == (4,)


def test_a_part_of_a_run_is_never_seen(lake: Lake, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A reader that polls all the while sees tables that belong together, whatever the writer is at."""
    child = subprocess.Popen([sys.executable, commit_worker.__file__, str(lake.root)], stdout=subprocess.DEVNULL)
    sql = "SELECT (SELECT count(*) FROM inputs), (SELECT count(*) FROM captions), (SELECT count(*) FROM decisions)"
    seen = set()
    with lake.connect(read_only=True) as reader:
        while child.poll() is None:
            seen.add(reader.execute(sql).fetchone())
        seen.add(reader.execute(sql).fetchone())
    assert child.returncode == 0
    first, both = (72, 62, 62), (112, 102, 102)
    assert seen <= {(0, 0, 0), (72, 62, 0), first, (112, 102, 62), both}, seen
    assert both in seen


def test_kill_9_at_any_moment_leaves_the_last_commit_and_a_rerun_the_same_lake(tmp_path: Path) -> None:
    began = time.monotonic()
    states: list[dict[str, TableDigest]] = [{}]
    whole = Lake.create(tmp_path / "never-killed")
    with whole.connect() as con:
        for batch, units in commit_worker.NIGHTS.items():
            scan(whole, con, units, batch=batch)
            states.append(contents(con))
            decide(whole, con)
            states.append(contents(con))
    seconds = time.monotonic() - began
    rng = random.Random(20261121)
    killed = 0
    for number in range(KILLS):
        root = tmp_path / f"killed-{number}"
        child = subprocess.Popen([sys.executable, commit_worker.__file__, str(root)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        try:
            child.wait((0.05 + 0.75 * (number + rng.random()) / KILLS) * seconds)  # once in each part of the run
        except subprocess.TimeoutExpired:
            child.kill()
            killed += 1
        child.wait()
        child.stdout.close()
        if (root / "catalog.sqlite").exists():
            after = Lake.open(root, read_only=True)
            with after.connect() as con:
                assert contents(con) in states, "a state that no commit made"
            assert healthy(after)
        commit_worker.run(root)
        lake = Lake.open(root)
        with lake.connect() as con:
            assert contents(con) == states[-1]
    assert healthy(lake)
    assert killed


def test_a_commit_needs_a_lake_that_can_be_written(tmp_path: Path, lake: Lake) -> None:
    with lake.connect(read_only=True) as con, pytest.raises((duckdb.Error, LakeError)):
        scan(lake, con, [("/a", [1])])


def test_rows_of_another_schema_are_refused(lake: Lake) -> None:
    with pytest.raises(KeyError, match="no column"):
        INPUTS.from_rows([{"no_such_column": 1}])
