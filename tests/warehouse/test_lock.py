"""The writer lock's token: it rises with each taking, and whoever lost the lock cannot commit."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lakes import scan

from warehouse.digest import digests
from warehouse.errors import LakeBusy
from warehouse.lake import Lake


def test_the_token_rises_with_each_taking_and_stays_within_one(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    tokens = []
    for _ in range(3):
        with lake.lock("first"):
            tokens.append(lake.token)
            with lake.lock("the same, once more"):
                assert lake.token == tokens[-1]
    with Lake.open(tmp_path / "lake").lock("another"):
        pass
    with lake.lock("last"):
        tokens.append(lake.token)
    assert lake.token is None
    assert tokens == sorted({*tokens})
    assert tokens[-1] - tokens[0] == 4


def test_a_run_that_lost_its_lock_cannot_commit(tmp_path: Path) -> None:
    """Somebody took the lock's file away, and another run came in between."""
    slow, quick = Lake.create(tmp_path / "lake"), Lake.open(tmp_path / "lake")
    with slow.connect() as con, quick.connect() as other:
        with slow.lock("a slow run"):
            (tmp_path / "lake" / "lock").unlink()
            scan(quick, other, [("/quick", [1, 2])])
            before = digests(other), quick.snapshot(other)
            with pytest.raises(LakeBusy, match="lost the lock") as caught:
                scan(slow, con, [("/slow", [3])])
            assert "\n" not in str(caught.value)
            assert (digests(other), quick.snapshot(other)) == before
        assert scan(slow, con, [("/slow", [3])]).committed, "once it has the lock again, it may"
        assert con.execute("SELECT count(*) FROM inputs").fetchone() == (3,)


def test_commits_are_signed_and_what_is_unsigned_passes(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        con.execute("DELETE FROM captions")
        signed = con.execute(
            "SELECT author, commit_message, commit_extra_info LIKE 'lock %' FROM ducklake_snapshots('lake') "
            "WHERE author IS NOT NULL"
        ).fetchall()
        assert signed == [("glyphmill", "scan", True)]
        assert con.execute("SELECT count(*) FROM captions").fetchone() == (0,)


def test_a_lake_made_before_there_were_tokens_gets_them_when_it_is_opened(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with duckdb.connect() as con:
        con.load_extension("sqlite_scanner")
        con.execute(f"ATTACH '{lake.catalog}' AS c (TYPE sqlite)")
        con.execute("DROP TABLE c.glyphmill_lock")
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(lake.catalog)) as db:
        db.execute("DROP TRIGGER IF EXISTS glyphmill_fence")
        db.commit()
    old = Lake.open(tmp_path / "lake")
    with old.connect() as con:
        assert scan(old, con, [("/a", [1])]).committed
    with old.lock("again"):
        assert old.token
