"""The lake: creating, opening, locking, moving, reading beside a writer, and every way it can be refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from lakes import TABLES, decide, scan, unit_rows

from warehouse import catalogs, views
from warehouse.commit import RunInfo, commit_parts
from warehouse.digest import digests
from warehouse.errors import LakeBusy, LakeError, UsageError
from warehouse.lake import Lake
from warehouse.parts import Part, key, write_part
from warehouse.schema import TABLES as DECLARED
from warehouse.schema import Column, signal_table
from warehouse.verify import verify


def mount(folder: Path, *arguments: str) -> None:
    """Mount a tmpfs, or skip with the reason where this machine does not allow it."""
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=12m", "tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_new_lake_has_every_table_and_column_as_declared(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect(read_only=True) as con:
        for table in DECLARED.values():
            found = con.execute(f'SELECT * FROM "{table.name}"').to_arrow_table().schema
            assert found.names == list(table.names)
            assert [f.type for f in found] == [c.type for c in table.columns], table.name


def test_create_twice_opens_and_keeps(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
    again = Lake.create(tmp_path / "lake")
    with again.connect() as con:
        assert con.execute("SELECT count(*) FROM inputs").fetchone() == (2,)


def test_what_a_killed_creation_left_is_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    root.mkdir()
    for name in ("catalog.sqlite.new", "catalog.sqlite.new-wal"):
        (root / name).write_bytes(b"half a catalog")
    (root / "staging").mkdir()
    lake = Lake.open_or_create(root)
    assert not any(p.name.startswith("catalog.sqlite.new") for p in root.iterdir())
    assert not any(check.problems for check in verify(lake))


def test_kill_9_while_creating_leaves_nothing_or_a_lake(tmp_path: Path) -> None:
    script = "import sys; from warehouse.lake import Lake; print('go', flush=True); Lake.create(sys.argv[1])"
    for number, delay in enumerate((0.05, 0.2, 0.35)):
        root = tmp_path / f"lake{number}"
        child = subprocess.Popen([sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.kill()
        child.wait()
        child.stdout.close()
        lake = Lake.open_or_create(root)
        with lake.connect() as con:
            scan(lake, con, [("/a", [1])])
        assert not any(check.problems for check in verify(lake))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "no lake at"),
        (lambda p: p.mkdir(), "is not a lake"),
        (lambda p: p.write_text("x"), "no lake at"),
        (lambda p: (p.mkdir(), (p / "catalog.sqlite").write_text("not a database")), "is not a lake"),
    ],
)
def test_what_is_no_lake_is_refused_in_one_line(tmp_path: Path, make, says: str) -> None:
    root = tmp_path / "lake"
    make(root)
    for read_only in (False, True):
        with pytest.raises(LakeError) as caught:
            Lake.open(root, read_only=read_only)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        assert str(root) in str(caught.value)


def test_another_sqlite_database_is_not_a_lake(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with sqlite3.connect(tmp_path / "lake" / "catalog.sqlite") as db:
        db.execute("CREATE TABLE notes (text)")
    for read_only in (False, True):
        with pytest.raises(LakeError, match="not a lake"):
            Lake.open(tmp_path / "lake", read_only=read_only)
    with sqlite3.connect(tmp_path / "lake" / "catalog.sqlite") as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]


def test_a_folder_with_other_files_does_not_become_a_lake(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(LakeError, match="holds other files"):
        Lake.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("name", ["with space", "it's", "字", "semi;colon", "q?x=1", "per%20cent"])
def test_odd_folder_names_work(tmp_path: Path, name: str) -> None:
    lake = Lake.create(tmp_path / name)
    with lake.connect() as con:
        assert scan(lake, con, [("/a", [1, 2, 3])]).committed
        assert con.execute("SELECT count(*) FROM signals_header").fetchone() == (3,)
    assert not any(check.problems for check in verify(Lake.open(tmp_path / name, read_only=True)))


def test_a_second_run_is_told_who_writes(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    holder = (
        "import sys; from warehouse.lake import Lake\n"
        "with Lake.open(sys.argv[1]).lock('scan of last night'):\n    print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", holder, str(lake.root)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(LakeBusy) as caught, lake.lock("near"):
        pass
    assert "scan of last night" in str(caught.value)
    assert str(child.pid) in str(caught.value)
    assert "\n" not in str(caught.value)
    with lake.connect() as con, pytest.raises(LakeBusy):
        scan(lake, con, [("/a", [1])])
    child.kill()  # the kernel gives the lock back, whatever killed its owner
    child.communicate()
    with lake.lock("near"), lake.lock("the same run, once more"):
        pass


def test_two_lake_objects_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    one, two = Lake.create(tmp_path / "lake"), Lake.open(tmp_path / "lake")
    with one.lock("first"), pytest.raises(LakeBusy, match="first"), two.lock("second"):
        pass
    with two.lock("second"):
        pass


def test_an_open_reader_neither_blocks_a_commit_nor_is_broken_by_it(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as writer, lake.connect(read_only=True) as reader:
        scan(lake, writer, [("/a", [1, 2])])
        reader.execute("BEGIN")
        counts = "SELECT (SELECT count(*) FROM inputs), (SELECT count(*) FROM captions)"
        assert reader.execute(counts).fetchone() == (2, 2)
        scan(lake, writer, [("/b", [3, 4, 5])])
        decide(lake, writer)
        decide(lake, writer, outcome="dropped")
        assert reader.execute(counts).fetchone() == (2, 2), "its transaction sees one snapshot"
        assert reader.execute("SELECT count(*) FROM decisions").fetchone() == (0,)
        reader.execute("COMMIT")
        assert reader.execute(counts).fetchone() == (5, 5)


def test_an_analyst_attaches_the_lake_in_plain_duckdb(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
    with duckdb.connect() as con:
        con.execute("LOAD ducklake")
        con.execute(f"ATTACH 'ducklake:sqlite:{lake.catalog}' AS mine (READ_ONLY)")
        assert con.execute("SELECT count(*), min(width) FROM mine.images").fetchone() == (2, 101)
        with pytest.raises(duckdb.Error):
            con.execute("DELETE FROM mine.inputs")


def test_a_moved_lake_opens_verifies_and_takes_the_next_night(tmp_path: Path) -> None:
    old = Lake.create(tmp_path / "old")
    with old.connect() as con:
        scan(old, con, [("/a", [1, 2]), ("/b", [2, 3])])
        decide(old, con)
        decide(old, con, outcome="dropped")
        before = digests(con)
    shutil.copytree(old.root, tmp_path / "elsewhere" / "new")
    shutil.rmtree(old.root)
    new = Lake.open(tmp_path / "elsewhere" / "new")
    assert not any(check.problems for check in verify(new))
    with new.connect() as con:
        assert digests(con) == before
        assert scan(new, con, [("/c", [4])], batch="b2").committed
        decide(new, con)
        assert con.execute("SELECT count(*) FROM decisions").fetchone() == (4,)
    assert not any(check.problems for check in verify(new))
    with duckdb.connect() as con:
        con.execute("LOAD ducklake")
        con.execute(f"ATTACH 'ducklake:sqlite:{new.catalog}' AS lake (READ_ONLY)")
        assert con.execute("SELECT count(*) FROM lake.inputs").fetchone() == (5,)


def test_a_read_only_lake_answers_and_refuses_to_be_written(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        before = digests(con)
    if os.geteuid() == 0:
        mount(lake.root, "--bind", str(lake.root))
        mount(lake.root, "-o", "remount,ro,bind")
    else:
        lake.root.chmod(0o555)
        lake.catalog.chmod(0o444)
    try:
        with pytest.raises(LakeError, match="cannot be written") as caught:
            Lake.open(lake.root)
        assert "\n" not in str(caught.value)
        reading = Lake.open(lake.root, read_only=True)
        with reading.connect() as con:
            assert digests(con) == before
        assert not any(check.problems for check in verify(reading))
        with lake.connect(read_only=True) as con, pytest.raises(LakeError, match="cannot write"):
            scan(lake, con, [("/b", [3])])
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(lake.root)], check=True)
        else:
            lake.root.chmod(0o755)
            lake.catalog.chmod(0o644)


def test_a_full_disk_is_one_line_and_the_same_run_succeeds_after_room_was_made(small_disk: Path) -> None:
    lake = Lake.create(small_disk / "lake")
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        before = digests(con)
        units = [(f"/u{n}", range(10 + n * 50, 60 + n * 50)) for n in range(8)]
        ballast = small_disk / "ballast"
        told: list[str] = []
        for spare in (0, 20, 60, 100, 140, 180, 250, 350):  # kB: it fails while staging, while packing, in the commit
            room = shutil.disk_usage(small_disk).free - spare * 1000
            ballast.write_bytes(bytes(max(room, 0)))
            try:
                scan(lake, con, units)
            except LakeError as error:
                told.append(str(error))
            else:
                break
            finally:
                ballast.unlink()
            assert digests(con) == before
        assert len(told) >= 2
        assert all("disk full" in line and "\n" not in line for line in told), told
        scan(lake, con, units)
        assert con.execute("SELECT count(*), count(DISTINCT image_id) FROM inputs").fetchone() == (402, 402)
    assert not any(check.problems for check in verify(lake))


def test_a_signal_gains_a_column_without_a_file_being_touched(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        files = {p: p.stat().st_mtime_ns for p in lake.files("signals_header").iterdir()}
        wider = signal_table(
            "header",
            (
                *TABLES["signals_header"].columns[2:-2],
                Column("hue", DECLARED["inputs"].arrow.field("length").type, "new"),
            ),
            "wider",
        )
        row = {"image_id": "f" * 32, "version": "2", "hue": 7, "status": "ok"}
        part = write_part(lake, wider, key("wider"), "u", wider.from_rows([row]))
        assert commit_parts(lake, con, RunInfo("scan"), [part], {wider.name: wider}).committed
        assert con.execute("SELECT hue, width FROM signals_header ORDER BY hue").fetchall() == [
            (7, None),
            (None, 101),
            (None, 102),
        ]
        assert {p: p.stat().st_mtime_ns for p in files} == files
    assert not any(check.problems for check in verify(lake))


def test_views_wait_for_their_tables_and_refresh_changes_nothing_twice(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        names = "SELECT view_name FROM duckdb_views() WHERE database_name = 'lake'"
        assert ("run_history",) in con.execute(names).fetchall()
        assert ("images",) not in con.execute(names).fetchall()
        scan(lake, con, [("/a", [1])])
        assert ("images",) in con.execute(names).fetchall()
        before = lake.snapshot(con)
        views.refresh(con)
        assert lake.snapshot(con) == before


def test_lineage_has_one_row_per_delivery(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    first = scan(lake, con, [("/a", [1, 2])])
    second = scan(lake, con, [("/a", [1, 2]), ("/b", [3])], batch="b2")
    found = con.execute("SELECT batch, uri, row, run_id, part IS NOT NULL FROM lineage ORDER BY ALL").fetchall()
    assert found == [
        ("b1", "/a", 0, first.run_id, True),
        ("b1", "/a", 1, first.run_id, True),
        ("b2", "/a", 0, second.run_id, True),
        ("b2", "/a", 1, second.run_id, True),
        ("b2", "/b", 0, second.run_id, True),
    ]


def test_parts_are_named_by_content_kept_and_found(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    table = TABLES["captions"]
    data = table.from_rows(unit_rows([1, 2], "/a")["captions"])
    first = write_part(lake, table, "n1", "u", data)
    assert first == Part("captions", "n1", "u", 2)
    assert write_part(lake, table, "n1", "u", data.slice(0, 1)) == first, "a complete part is kept as it is"
    assert [p.name for p in lake.staged("captions").iterdir()] == ["n1.parquet"]


def test_keys_are_the_same_in_every_process_and_tell_types_apart() -> None:
    pieces = [
        (1,),
        ("1",),
        (True,),
        (1.0,),
        (b"1",),
        (None,),
        ("a", "b"),
        ("ab",),
        (("a", "b"),),
        ({"a": 1},),
        ([],),
        ({},),
    ]
    assert len({key(*p) for p in pieces}) == len(pieces)
    assert key({"b": 1, "a": [0.1, "ü"]}) == key({"a": [0.1, "ü"], "b": 1})
    code = "from warehouse.parts import key; print(key('x', 1, 0.1, b'y', {'k': None}))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    with pytest.raises(TypeError):
        key(object())


@pytest.mark.parametrize("said", ["mysql:lake", "dbname=lake user=mill", "postgresql://db.local/lake"])
def test_a_catalog_of_no_known_kind_is_refused_and_not_made_a_file(tmp_path: Path, said: str) -> None:
    with pytest.raises(UsageError, match="--catalog is postgres: and a libpq connection string"):
        Lake.open_or_create(tmp_path / "lake", catalog=said)
    assert not list(tmp_path.iterdir())
    assert str(catalogs.find(tmp_path, f"sqlite:{tmp_path}/a=b")) == f"{tmp_path}/a=b"


def test_a_second_catalog_is_not_put_over_a_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake.create(tmp_path / "lake")
    other = f"sqlite:{tmp_path}/other.sqlite"
    for given, said in ((other, None), (None, other)):
        if said is not None:
            monkeypatch.setenv("GLYPHMILL_CATALOG", said)
        with pytest.raises(
            LakeError, match=r"has the catalog .*/catalog.sqlite, and there is no lake in .*/other.sqlit"
        ):
            Lake.open_or_create(lake.root, catalog=given)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake"]
    monkeypatch.delenv("GLYPHMILL_CATALOG")
    Lake.create(tmp_path / "theirs", catalog=other)
    with pytest.raises(
        LakeError, match=r"no lake at .*/mine: the catalog .*other.sqlite is that of the lake at .*/theirs"
    ):
        Lake.open_or_create(tmp_path / "mine", catalog=other)
