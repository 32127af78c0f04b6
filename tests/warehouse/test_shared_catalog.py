"""The catalog in a real PostgreSQL: the same lake, a lock that expires, and a database that goes away."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import hold_worker
import pytest
from lakes import decide, scan
from postgres_server import USER, PostgresServer

from warehouse import catalogs, lock
from warehouse.clean import clean
from warehouse.digest import digests
from warehouse.errors import LakeBusy, LakeError, UsageError
from warehouse.lake import Lake
from warehouse.metadata import METADATA
from warehouse.snapshot import snapshot
from warehouse.verify import verify

_numbers = itertools.count()
NewLake = Callable[[], Lake]


@pytest.fixture
def catalog(postgres: PostgresServer) -> str:
    return f"postgres:{postgres.database(f'lake{next(_numbers)}')}"


def slow_run(root: Path, **environment: str) -> subprocess.Popen[str]:
    """A process that holds the lock of the lake."""
    child = subprocess.Popen(
        [sys.executable, hold_worker.__file__, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_it_is_the_same_lake_as_with_a_file(tmp_path: Path, catalog: str) -> None:
    shared, plain = Lake.create(tmp_path / "shared", catalog=catalog), Lake.create(tmp_path / "plain")
    told = []
    for lake in (shared, plain):
        with lake.connect() as con:
            assert scan(lake, con, [("/a", [1, 2]), ("/b", [2, 3])]).committed
            assert not scan(lake, con, [("/a", [1, 2]), ("/b", [2, 3])]).committed
            decide(lake, con)
            decide(lake, con, outcome="dropped")
            con.execute("DELETE FROM captions WHERE image_id = (SELECT min(image_id) FROM captions)")
            told.append(digests(con))
        assert not any(check.problems for check in verify(lake))
    assert told[0] == told[1]
    again = Lake.open(tmp_path / "shared")  # lake.toml says where its catalog is
    with again.connect(read_only=True) as con:
        assert digests(con) == told[0]
        assert con.execute("SELECT count(*) FROM images").fetchone() == (3,)
    assert not (tmp_path / "shared" / "catalog.sqlite").exists()
    assert snapshot(again, tmp_path / "plain.duckdb")["captions"] == "copied"
    assert not clean(again).files
    with pytest.raises(LakeError, match="is no file"):
        _ = again.catalog


def test_creating_again_keeps_and_a_half_made_catalog_is_finished(
    tmp_path: Path, catalog: str, postgres: PostgresServer
) -> None:
    lake = Lake.create(tmp_path / "lake", catalog=catalog)
    with lake.connect() as con:
        scan(lake, con, [("/a", [1])])
    postgres.sql("DROP TABLE glyphmill_lock", catalog.rpartition("dbname=")[2])  # made last: as if killed before
    with pytest.raises(LakeError, match="is not a lake"):
        Lake.open(tmp_path / "lake")
    again = Lake.open_or_create(tmp_path / "lake")
    with again.connect() as con:
        assert con.execute("SELECT count(*) FROM inputs").fetchone() == (1,)
        assert scan(again, con, [("/b", [2])]).committed


def test_a_database_holds_one_lake_which_may_move(tmp_path: Path, catalog: str) -> None:
    Lake.create(tmp_path / "one", catalog=catalog)
    with pytest.raises(LakeError, match="a database of its own"):
        Lake.create(tmp_path / "two", catalog=catalog)
    (tmp_path / "one").rename(tmp_path / "three")
    moved = Lake.open(tmp_path / "three")
    with moved.connect() as con:
        assert scan(moved, con, [("/a", [1])]).committed
    assert not any(check.problems for check in verify(moved))


def test_the_environment_names_the_catalog_too(tmp_path: Path, catalog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(catalogs.ENVIRONMENT, catalog)
    Lake.open_or_create(tmp_path / "lake")
    monkeypatch.delenv(catalogs.ENVIRONMENT)
    assert catalogs.recorded(tmp_path / "lake") == catalog


@pytest.mark.parametrize(
    "told", ["dbname=x password=secret", "postgresql://me:secret@host/db", "host=h PASSWORD = 'secret' dbname=d"]
)
def test_a_password_is_refused_and_never_repeated(tmp_path: Path, told: str) -> None:
    with pytest.raises(UsageError, match="PGPASSWORD") as caught:
        Lake.create(tmp_path / "lake", catalog=f"postgres:{told}")
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "lake" / "lake.toml").exists()


def test_a_user_that_does_not_own_the_tables_is_refused_and_a_uri_may_stand_alone(
    tmp_path: Path, catalog: str, postgres: PostgresServer
) -> None:
    uri = f"postgres://{USER}@127.0.0.1:{postgres.port}/{catalog.partition('dbname=')[2]}"
    lake = Lake.create(tmp_path / "lake", catalog=uri)
    postgres.sql("CREATE ROLE guest LOGIN", "postgres")
    guest = uri.replace(USER, "guest")
    with pytest.raises(LakeError, match=r"the catalog refuses its user .*must be the one that owns") as caught:
        Lake.open(lake.root, catalog=guest)
    assert "\n" not in str(caught.value)


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="cannot be reached") as caught:
        Lake.create(tmp_path / "lake", catalog="postgres:host=127.0.0.1 port=1 dbname=lake")
    assert "\n" not in str(caught.value)


def test_a_second_run_is_told_who_writes_and_a_dead_owner_of_this_machine_is_not_waited_for(
    tmp_path: Path, catalog: str
) -> None:
    lake = Lake.create(tmp_path / "lake", catalog=catalog)
    child = slow_run(lake.root)
    with pytest.raises(LakeBusy, match=f"a slow run .process {child.pid} ") as caught, lake.lock("near"):
        pass
    assert "\n" not in str(caught.value)
    child.kill()
    child.communicate()
    with lake.lock("near"), lake.lock("the same run, once more"):
        assert lake.token


def test_an_owner_elsewhere_is_waited_for_until_its_lease_ends(
    tmp_path: Path, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.create(tmp_path / "lake", catalog=catalog)
    monkeypatch.setattr(lock, "_machine", lambda: "another machine")
    child = slow_run(lake.root, GLYPHMILL_LEASE_S="1.5")
    child.kill()
    child.communicate()
    with pytest.raises(LakeBusy), lake.lock("at once"):
        pass
    with lake.lock("after a while", wait_s=60):
        pass


def test_a_live_owner_keeps_the_lock_beyond_its_lease(tmp_path: Path, catalog: str) -> None:
    lake = Lake.create(tmp_path / "lake", catalog=catalog)
    child = slow_run(lake.root, GLYPHMILL_LEASE_S="0.6")
    with pytest.raises(LakeBusy), lake.lock("near", wait_s=2):
        pass
    assert child.communicate("go\n")[0] == "committed\n"


def test_who_stood_still_while_another_took_the_lock_cannot_commit(tmp_path: Path, catalog: str) -> None:
    """The classic: a pause as long as the lease, in a run that then wakes up and believes that it holds the lock."""
    lake = Lake.create(tmp_path / "lake", catalog=catalog)
    child = slow_run(lake.root, GLYPHMILL_LEASE_S="1")
    os.kill(child.pid, signal.SIGSTOP)
    with lake.connect() as con:
        with lake.lock("another run", wait_s=60):
            scan(lake, con, [("/quick", [1, 2])])
        before = digests(con)
        os.kill(child.pid, signal.SIGCONT)
        said = child.communicate("go\n")[0]
        assert said.startswith("LakeBusy: this run lost the lock"), said
        assert said.count("\n") == 1
        assert digests(con) == before


def test_who_lost_the_lock_cannot_turn_the_catalog_to_other_files(
    tmp_path: Path, catalog: str, postgres: PostgresServer
) -> None:
    lake, name = Lake.create(tmp_path / "lake", catalog=catalog), catalog.rpartition("dbname=")[2]
    taking = "UPDATE glyphmill_lock SET token = token + 1"
    with lake.lock("clean"), lake.connect() as con:
        con.execute("BEGIN")
        lake.backend.guard(con, METADATA, lake.token)
        with pytest.raises(subprocess.CalledProcessError):  # it waits for the end of the transaction
            postgres.sql(f"SET lock_timeout = 300; {taking}", name)
        con.execute("COMMIT")
        postgres.sql(taking, name)
        con.execute("BEGIN")
        with pytest.raises(LakeBusy, match="lost the lock"):
            lake.backend.guard(con, METADATA, lake.token)
        con.execute("ROLLBACK")


def test_a_catalog_killed_in_mid_commit_comes_back_and_a_rerun_finishes(
    tmp_path: Path, catalog: str, postgres: PostgresServer
) -> None:
    name = catalog.rpartition("dbname=")[2]
    plain, lake = Lake.create(tmp_path / "plain"), Lake.create(tmp_path / "lake", catalog=catalog)
    nights = [("/a", [1, 2]), ("/b", [2, 3])]
    with plain.connect() as con:
        scan(plain, con, nights[:1])
        scan(plain, con, nights[1:], batch="b2")
        whole = digests(con)
    with lake.connect() as con:
        scan(lake, con, nights[:1])
    # a commit that has written its rows and does not end: the moment to pull the plug
    postgres.sql(
        "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NEW; END';"
        "CREATE TRIGGER stall AFTER INSERT ON ducklake_snapshot_changes FOR EACH ROW EXECUTE FUNCTION stall()",
        name,
    )
    child = subprocess.Popen(
        [sys.executable, hold_worker.__file__, str(lake.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    stalled = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while postgres.sql(stalled, "postgres") == "0":
        assert child.poll() is None
        time.sleep(0.05)
    postgres.kill()
    said = child.communicate()[0].splitlines()[-1]
    assert said.startswith("LakeError: the catalog went away while committing"), said
    with pytest.raises(LakeError, match="cannot be reached"):
        Lake.open(lake.root)
    postgres.start()
    postgres.sql("DROP TRIGGER stall ON ducklake_snapshot_changes", name)
    with lake.connect() as con:
        assert con.execute("SELECT count(*) FROM inputs").fetchone() == (2,), "as it was before that commit"
        scan(lake, con, nights[1:], batch="b2")
        assert digests(con) == whole
    assert not any(check.problems for check in verify(lake))
