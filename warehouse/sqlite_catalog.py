"""The catalog as a SQLite file: one machine, one writer, any number of readers beside it (WAL mode)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import duckdb

from warehouse import extensions, fence
from warehouse.errors import LakeBusy, LakeError
from warehouse.files import sync, told
from warehouse.lock import FileLock, WriterLock
from warehouse.sql import quoted

WHERE_PLACE = "WHERE key = 'data_path' AND scope IS NULL"
BUSY_MS = 30_000  # how long a reader or writer of the catalog waits for the other's few milliseconds
SHOWN = 20  # problems listed


class SqliteCatalog:
    """The catalog file `path` of the lake at `lake`; `lock_file` is held by the run that writes."""

    extension = "sqlite_scanner"

    def __init__(self, path: Path, lake: object, lock_file: Path) -> None:
        self.path, self.lake, self.lock_file = path, lake, lock_file
        self._seen: tuple[str, bool] | None = None  # its place, and whether it has a fence

    def __str__(self) -> str:
        return str(self.path)

    @property
    def options(self) -> list[str]:
        return [f"META_BUSY_TIMEOUT {BUSY_MS}"]

    def source(self, con: duckdb.DuckDBPyConnection, *, read_only: bool) -> str:
        """What DuckLake attaches; a copy that lives as long as `con` where the file cannot be written."""
        path = self.path if self.writable() or not read_only else self._copied(con)
        return f"sqlite:{path}"

    def exists(self) -> bool:
        return self.path.exists()

    def writable(self) -> bool:
        return os.access(self.path.parent, os.W_OK) and os.access(self.path, os.W_OK)

    def place(self) -> str | None:
        """Where the catalog says that its files are; None where it is not the catalog of a lake."""
        try:
            with closing(sqlite3.connect(self._readable_uri(), uri=True, timeout=BUSY_MS / 1000)) as db:
                row = db.execute(f"SELECT value FROM ducklake_metadata {WHERE_PLACE}").fetchone()
                fenced = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'glyphmill_fence'").fetchone() is not None
        except sqlite3.DatabaseError:
            return None
        self._seen = None if row is None else (str(row[0]), fenced)
        return None if row is None else str(row[0])

    def settle(self, place: str) -> None:
        """A lake that was moved tells its new place to those who attach it without us; one made before fences were
        gets its own."""
        if self._seen == (place, True):
            return
        with (
            told(f"opening the lake {self.lake}", self.path.parent),
            closing(sqlite3.connect(self.path, timeout=BUSY_MS / 1000)) as db,
        ):
            fenced = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'glyphmill_fence'").fetchone()
            if fenced is None:
                db.executescript(f"BEGIN;{fence.SQLITE}COMMIT;")
            (known,) = db.execute(f"SELECT value FROM ducklake_metadata {WHERE_PLACE}").fetchone()
            if known != place:
                db.execute(f"UPDATE ducklake_metadata SET value = ? {WHERE_PLACE}", [place])
                db.commit()

    def make(self, fill: Callable[[str], None]) -> None:
        """A new catalog, which `fill` fills; under another name until it is whole, so a kill leaves no half lake."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.parent.glob(f"{self.path.name}.new*"):
            leftover.unlink()
        new = self.path.with_name(f"{self.path.name}.new")
        with closing(sqlite3.connect(new)) as db:
            db.execute("PRAGMA journal_mode = WAL")  # stays with the file
        fill(f"sqlite:{new}")
        with closing(sqlite3.connect(new)) as db:
            db.executescript(fence.SQLITE)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sync(new)
        new.rename(self.path)
        sync(self.path.parent)

    def lock(self) -> WriterLock:
        return WriterLock(lambda purpose, until: FileLock(self.lock_file, self.lake, purpose, until, self._raised))

    def check(self) -> tuple[int, list[str]]:
        """Pages of the file, and what SQLite's own check finds wrong with them."""
        with closing(sqlite3.connect(self._readable_uri(), uri=True)) as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            return pages, [row[0] for row in db.execute(f"PRAGMA quick_check({SHOWN})") if row[0] != "ok"]

    def guard(self, con: duckdb.DuckDBPyConnection, attached: str, token: int | None) -> None:
        """The kernel takes the lock from the dead only: who holds it may go on."""

    def compact(self) -> None:
        """Give back free pages and the write-ahead log, which still hold what was deleted.

        Raises LakeBusy where another process keeps the file open for reading.
        """
        with closing(sqlite3.connect(self.path)) as db:
            vacuum(db, self.path)

    def _raised(self) -> int | None:
        """The next token. By DuckDB, as its connections hold the file: a second SQLite in the process would, on
        closing it, give back their locks."""
        if not self.exists():
            return None
        try:
            with extensions.connect("sqlite_scanner") as con:
                con.execute(f"ATTACH {quoted(self.path)} AS c (TYPE sqlite, BUSY_TIMEOUT {BUSY_MS})")
                con.execute("BEGIN")
                con.execute("UPDATE c.glyphmill_lock SET token = token + 1")
                row = con.execute("SELECT token FROM c.glyphmill_lock").fetchone()
                con.execute("COMMIT")
        except duckdb.Error as error:
            if "readonly" in str(error) or "disk is full" in str(error):
                raise  # the caller tells what it was about to do
            text = str(error).strip().splitlines()[0]
            raise LakeError(f"the catalog of the lake {self.lake} cannot be opened ({text})") from error
        return None if row is None else int(row[0])

    def _readable_uri(self) -> str:
        """URI for `sqlite3` to read the catalog; where nothing can be written, SQLite is not to look for its WAL."""
        return f"{self.path.absolute().as_uri()}?{'mode=ro' if self.writable() else 'immutable=1'}"

    def _copied(self, con: duckdb.DuckDBPyConnection) -> Path:
        """A copy of the catalog for as long as `con` lives: SQLite cannot open a WAL database where it cannot write."""
        folder = Path(tempfile.mkdtemp(prefix="glyphmill-catalog-"))
        weakref.finalize(con, shutil.rmtree, folder, ignore_errors=True)
        copy = folder / self.path.name
        with suppress(sqlite3.OperationalError):
            source = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
            with closing(source), closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                return copy
        for suffix in ("", "-wal"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        return copy


def vacuum(db: sqlite3.Connection, file: Path) -> None:
    """Write the database anew and empty its write-ahead log."""
    db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    db.isolation_level = None
    try:
        db.execute("VACUUM")
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        busy = 1
    if busy:
        raise LakeBusy(
            f"{file} is open elsewhere, so what was deleted from it is still in its pages: close what reads the lake, "
            "and run glyphmill clean again"
        )
