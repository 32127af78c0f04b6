"""Verify: a whole lake has nothing to tell; every kind of damage is told by name."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from lakes import decide, scan
from typer.testing import CliRunner

from warehouse.cli import app
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.parts import Part, key, write_part
from warehouse.schema import DECISIONS, SHARD_INDEX
from warehouse.shards import ShardSample, write_shard
from warehouse.verify import verify


@pytest.fixture
def stored(lake: Lake, con: duckdb.DuckDBPyConnection) -> Lake:
    """A lake with two deliveries, decisions, and three of its images in a shard."""
    scan(lake, con, [("/a", [1, 2, 3]), ("/b", [3, 4])])
    decide(lake, con)
    # image ids of `lakes` are hashes of the number's digits: these digits are the original bytes
    samples = [ShardSample(hashlib.sha256(d).hexdigest()[:32], d, {"n": 1}, "a caption") for d in (b"1", b"2", b"3")]
    written = write_shard(lake.pool, "jpg", samples, key=key("one"))
    part = write_part(lake, SHARD_INDEX, key("s"), "u", SHARD_INDEX.from_rows(written.rows))
    files = {"shard_index": pack_parts(con, lake, [part])}
    commit(con, lake, RunInfo("export"), files, [part])
    (lake.staged("shard_index") / f"{part.name}.parquet").unlink()
    return lake


def pack_parts(con: duckdb.DuckDBPyConnection, lake: Lake, parts: list[Part]) -> list[Path]:
    from warehouse.commit import pack

    return pack(con, lake, SHARD_INDEX, parts)


def problems(lake: Lake) -> dict[str, list[str]]:
    return {check.name: check.problems for check in verify(lake) if check.problems}


def packed(lake: Lake, table: str) -> Path:
    return sorted(lake.files(table).glob("*.parquet"))[0]


def test_a_whole_lake_has_nothing_to_tell(stored: Lake) -> None:
    checks = verify(stored)
    assert not any(check.problems or check.notes for check in checks), checks
    assert {check.name: check.counted for check in checks}["shards"] == 3
    assert {check.name: check.counted for check in checks}["accounting"] == 5


def test_a_lost_file_is_named(stored: Lake) -> None:
    path = packed(stored, "captions")
    path.unlink()
    found = problems(stored)
    assert any(path.name in line and "missing" in line for line in found["packed files"])


@pytest.mark.parametrize("at", [100, -20])
def test_one_flipped_bit_in_a_packed_file_is_found(stored: Lake, at: int) -> None:
    path = packed(stored, "signals_header")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert any(path.name in line for line in problems(stored)["packed files"])


def test_a_cut_file_is_found(stored: Lake) -> None:
    path = packed(stored, "inputs")
    path.write_bytes(path.read_bytes()[:-50])
    assert any("bytes, the catalog says" in line for line in problems(stored)["packed files"])


def test_one_flipped_bit_in_a_shard_is_found_wherever_it_is(stored: Lake) -> None:
    (shard,) = stored.pool.iterdir()
    whole = shard.read_bytes()
    row = stored.connect(read_only=True).execute('SELECT "offset" FROM shard_index LIMIT 1').fetchone()
    assert row is not None
    for at in (row[0], row[0] - 512, len(whole) - 1000):
        data = bytearray(whole)
        data[at] ^= 1
        shard.write_bytes(data)
        assert "shards" in problems(stored), at
    shard.write_bytes(whole[:-600])
    assert any("cut off" in line for line in problems(stored)["shards"])
    shard.unlink()
    assert any("missing" in line for line in problems(stored)["shards"])


def test_an_index_row_that_points_elsewhere_is_found(stored: Lake, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE shard_index SET size = size + 1 WHERE image_id = (SELECT min(image_id) FROM shard_index)")
    assert any("size" in line for line in problems(stored)["shards"])


def test_a_row_registered_twice_is_found(stored: Lake, con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"CALL ducklake_add_data_files('lake', 'captions', ['{packed(stored, 'captions')}'])")
    assert any("more than once" in line for line in problems(stored)["tables"])


def test_a_lost_decision_breaks_the_accounting(stored: Lake, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DELETE FROM decisions WHERE image_id = (SELECT min(image_id) FROM decisions)")
    assert any("3 decisions on 4 images" in line for line in problems(stored)["accounting"])


def test_a_decision_on_nothing_breaks_the_accounting(stored: Lake, con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT * REPLACE ('f' || image_id[2:] AS image_id) FROM decisions LIMIT 1"
    commit(con, stored, RunInfo("test"), {"decisions": pack_query(con, stored, DECISIONS, sql)})
    assert {"references", "accounting"} <= problems(stored).keys()


def test_images_that_came_after_the_decision_are_a_note(stored: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(stored, con, [("/c", [9])], batch="b2")
    checks = {check.name: check for check in verify(stored)}
    assert not any(check.problems for check in checks.values())
    assert "1 images came after" in checks["accounting"].notes[0]


def test_orphans_are_notes(stored: Lake) -> None:
    (stored.files("captions") / "left.parquet").write_bytes(b"x")
    (stored.pool / "jpg-left.tar").write_bytes(b"x")
    notes = next(check for check in verify(stored) if check.name == "orphans").notes
    assert any("left.parquet" in note for note in notes)
    assert any("jpg-left.tar" in note for note in notes)
    assert not problems(stored)


def test_deleted_rows_are_accounted_for(stored: Lake, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DELETE FROM captions WHERE image_id = (SELECT min(image_id) FROM captions)")
    assert not problems(stored)
    (deletes,) = stored.files("captions").glob("*-delete.parquet")
    pq.write_table(pq.read_table(deletes).slice(0, 0), deletes)
    assert problems(stored)


def test_a_damaged_catalog_is_told_in_one_line(stored: Lake) -> None:
    with sqlite3.connect(stored.catalog) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(stored.catalog.read_bytes())
    data[5000:9000] = bytes(4000)
    stored.catalog.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        stored.catalog.with_name(stored.catalog.name + suffix).unlink(missing_ok=True)
    try:
        assert problems(Lake.open(stored.root, read_only=True))
    except LakeError as error:
        told = str(error)
        assert "\n" not in told


def test_the_command_prints_a_table_or_json_and_fails_on_problems(stored: Lake) -> None:
    run = CliRunner().invoke
    fine = run(app, ["verify", "--lake", str(stored.root)])
    assert fine.exit_code == 0
    assert fine.stdout.count("ok\n") == 7
    (stored.pool / next(stored.pool.iterdir()).name).unlink()
    broken = run(app, ["verify", "-L", str(stored.root), "--json"])
    assert isinstance(broken.exception, LakeError)
    told = json.loads(broken.stdout)
    assert told["ok"] is False
    assert any(check["problems"] for check in told["checks"])
