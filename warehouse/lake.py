"""The lake: a DuckLake of Parquet files with a SQLite catalog, in one folder that can be moved as it is.

<root>/catalog.sqlite            which files count (SQLite in WAL mode: readers and the writer never wait for another)
<root>/staging/<table>/          parts as workers write them, named by content
<root>/tables/main/<table>/      packed Parquet files, immutable
<root>/shards/pool/              tars of original bytes, append-only
<root>/tmp/                      what DuckDB and pack spill; `clean` empties it
<root>/lock                      held by the run that writes
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse import extensions, views
from warehouse.errors import LakeError
from warehouse.files import sync, told
from warehouse.lock import WriterLock
from warehouse.metadata import stored_columns
from warehouse.schema import TABLES, Table

CATALOG = "catalog.sqlite"
OURS = {"staging", "tables", "shards", "tmp", "lock"}
WHERE_PLACE = "WHERE key = 'data_path' AND scope IS NULL"
BUSY_MS = 30_000  # how long a reader or writer of the catalog waits for the other's few milliseconds

_SQL_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.binary(): "BLOB",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


class Lake:
    """A lake folder. Make one with `create`, `open` or `open_or_create`."""

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root.absolute()
        self.read_only = read_only
        self.catalog = self.root / CATALOG
        self.tables = self.root / "tables"
        self.staging = self.root / "staging"
        self.pool = self.root / "shards" / "pool"
        self.tmp = self.root / "tmp"
        self._lock = WriterLock(self.root / "lock")

    @classmethod
    def create(cls, root: str | Path) -> Lake:
        """A new lake with every table and view in it; one that is already there is opened.

        The catalog is made under another name and takes its own at the end, so a kill on the way leaves no half lake.
        Raises LakeError where the folder holds something else, or cannot be written.
        """
        lake = cls(Path(root))
        if lake.root.is_file():
            raise LakeError(f"{root} is a file: name a folder for the lake")
        with told(f"creating the lake {root}", lake.root.parent):
            lake.root.mkdir(parents=True, exist_ok=True)
            foreign = sorted(
                p.name for p in lake.root.iterdir() if p.name not in OURS and not p.name.startswith(CATALOG)
            )
            if foreign and not lake.catalog.exists():
                raise LakeError(f"{root} holds other files ({foreign[0]} ...): name a new or empty folder for the lake")
            for folder in (lake.tables, lake.staging, lake.pool):
                folder.mkdir(parents=True, exist_ok=True)
            with lake.lock("create the lake", wait_s=60):
                if not lake.catalog.exists():
                    lake._make_catalog()
        return cls.open(root)

    @classmethod
    def open(cls, root: str | Path, *, read_only: bool = False) -> Lake:
        """A lake that is there. Raises LakeError where there is none, or where it shall be written and cannot be."""
        lake = cls(Path(root), read_only=read_only)
        if not lake.root.is_dir():
            raise LakeError(f"no lake at {root}: check the path, or make one with `glyphmill scan SRC --lake {root}`")
        place = lake._recorded_place()
        if place is None:
            raise LakeError(f"{root} is not a lake (no {CATALOG} of a lake in it): check --lake")
        if not read_only:
            if not lake.writable():
                raise LakeError(f"the lake {root} cannot be written: check its permissions and how it is mounted")
            if place != f"{lake.tables}/":
                lake._record_place()
        return lake

    @classmethod
    def open_or_create(cls, root: str | Path) -> Lake:
        """The lake at `root`, made where there is none yet."""
        return cls.open(root) if (Path(root) / CATALOG).exists() else cls.create(root)

    def connect(
        self,
        *,
        read_only: bool = False,
        memory_limit: str | None = None,
        threads: int | None = None,
    ) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with the lake attached AS lake and in use, so that table names stand alone.

        `memory_limit` is DuckDB's (`4GB`; half of the machine where None); more is spilled to the lake's `tmp` folder,
        or the system's for a lake that cannot be written. Raises LakeError, MissingDependency.
        """
        reading = read_only or self.read_only
        con = extensions.connect("ducklake", "sqlite_scanner")
        try:
            spill = Path(tempfile.gettempdir())
            if self.writable():
                spill = self.tmp
                spill.mkdir(exist_ok=True)
            con.execute(f"SET temp_directory = {quoted(spill / f'duckdb-{os.getpid()}-{secrets.token_hex(4)}')}")
            con.execute(f"SET memory_limit = {quoted(memory_limit or _half_of_memory())}")
            con.execute("SET TimeZone = 'UTC'")
            con.execute("SET enable_progress_bar = false")
            if threads is not None:
                con.execute(f"SET threads = {threads}")
            catalog = self.catalog
            if reading and not self.writable():
                catalog = self._copied_catalog(con)
            self._attach(con, catalog, read_only=reading)
        except duckdb.Error as error:
            con.close()
            text = str(error).strip().splitlines()[0]
            raise LakeError(f"the catalog of the lake {self.root} cannot be opened ({text})") from error
        return con

    def ensure_tables(self, con: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
        """Make those tables that are not there yet, and add the columns that their schemas gained since."""
        stored = stored_columns(con)
        for table in tables:
            known = stored.get(table.name)
            if known is None:
                columns = ", ".join(f'"{c.name}" {sql_type(c.type)}' for c in table.columns)
                con.execute(f'CREATE TABLE IF NOT EXISTS lake."{table.name}" ({columns})')
                continue
            for column in table.columns:
                if column.name not in known:
                    con.execute(f'ALTER TABLE lake."{table.name}" ADD COLUMN "{column.name}" {sql_type(column.type)}')

    def snapshot(self, con: duckdb.DuckDBPyConnection) -> int:
        """The number of the lake's snapshot that the connection sees."""
        row = con.execute("SELECT id FROM ducklake_current_snapshot('lake')").fetchone()
        assert row is not None
        return int(row[0])

    @contextmanager
    def lock(self, purpose: str, wait_s: float = 0) -> Iterator[None]:
        """Hold the lake's writer lock; re-entrant within this object. Raises LakeBusy naming the run that holds it."""
        with told(f"locking the lake {self.root}", self.root):
            self._lock.acquire(purpose, wait_s)
        try:
            yield
        finally:
            self._lock.release()

    def staged(self, table_name: str) -> Path:
        """Folder of a table's staged parts."""
        return self.staging / table_name

    def files(self, table_name: str) -> Path:
        """Folder of a table's packed files."""
        return self.tables / "main" / table_name

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A scratch folder inside the lake, gone on leaving."""
        folder = self.tmp / f"work-{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _attach(self, con: duckdb.DuckDBPyConnection, catalog: Path, *, read_only: bool) -> None:
        options = [f"DATA_PATH {quoted(f'{self.tables}/')}", "OVERRIDE_DATA_PATH true", "DATA_INLINING_ROW_LIMIT 0"]
        options.append(f"META_BUSY_TIMEOUT {BUSY_MS}")
        if read_only:
            options.append("READ_ONLY")
        con.execute(f"ATTACH {quoted(f'ducklake:sqlite:{catalog}')} AS lake ({', '.join(options)})")
        con.execute("USE lake")

    def _make_catalog(self) -> None:
        for leftover in self.root.glob(f"{CATALOG}.new*"):
            leftover.unlink()
        new = self.root / f"{CATALOG}.new"
        with closing(sqlite3.connect(new)) as db:
            db.execute("PRAGMA journal_mode = WAL")  # stays with the file
        with extensions.connect("ducklake", "sqlite_scanner") as con:
            self._attach(con, new, read_only=False)
            con.execute("BEGIN")
            self.ensure_tables(con, TABLES.values())
            con.execute("COMMIT")
            views.refresh(con)
            con.execute("USE memory")
            con.execute("DETACH lake")
        with closing(sqlite3.connect(new)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sync(new)
        new.rename(self.catalog)
        sync(self.root)

    def readable_uri(self) -> str:
        """URI for `sqlite3` to read the catalog; where nothing can be written, SQLite is not to look for its WAL."""
        return f"{self.catalog.as_uri()}?{'mode=ro' if self.writable() else 'immutable=1'}"

    def _recorded_place(self) -> str | None:
        """Where the catalog says that its files are; None where it is not the catalog of a lake."""
        try:
            with closing(sqlite3.connect(self.readable_uri(), uri=True, timeout=BUSY_MS / 1000)) as db:
                row = db.execute(f"SELECT value FROM ducklake_metadata {WHERE_PLACE}").fetchone()
        except sqlite3.DatabaseError:
            return None
        return None if row is None else str(row[0])

    def _record_place(self) -> None:
        """A lake that was moved tells its new place to those who attach it without us."""
        with (
            told(f"opening the lake {self.root}", self.root),
            closing(sqlite3.connect(self.catalog, timeout=BUSY_MS / 1000)) as db,
        ):
            db.execute(f"UPDATE ducklake_metadata SET value = ? {WHERE_PLACE}", [f"{self.tables}/"])
            db.commit()

    def writable(self) -> bool:
        """Whether this process may write the lake's folder and catalog."""
        return os.access(self.root, os.W_OK) and os.access(self.catalog, os.W_OK)

    def _copied_catalog(self, con: duckdb.DuckDBPyConnection) -> Path:
        """A copy of the catalog for as long as `con` lives: SQLite cannot open a WAL database where it cannot write."""
        folder = Path(tempfile.mkdtemp(prefix="glyphmill-catalog-"))
        weakref.finalize(con, shutil.rmtree, folder, ignore_errors=True)
        copy = folder / CATALOG
        with suppress(sqlite3.OperationalError):
            source = sqlite3.connect(f"{self.catalog.as_uri()}?mode=ro", uri=True)
            with closing(source), closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                return copy
        for suffix in ("", "-wal"):
            part = self.catalog.with_name(CATALOG + suffix)
            if part.exists():
                shutil.copyfile(part, copy.with_name(CATALOG + suffix))
        return copy


def quoted(text: object) -> str:
    """A SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def sql_type(kind: pa.DataType) -> str:
    """The DuckDB type of an Arrow type; raises TypeError for one that no table may have."""
    if pa.types.is_list(kind):
        return sql_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{f.name}" {sql_type(f.type)}' for f in kind) + ")"
    if kind not in _SQL_TYPES:
        raise TypeError(f"no DuckDB type for {kind}")
    return _SQL_TYPES[kind]


def _half_of_memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2 // 2**20}MiB"
