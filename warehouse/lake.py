"""The lake: a DuckLake of Parquet files and a catalog. By default all of it is one folder that can be moved as it is.

<root>/catalog.sqlite            which files count (SQLite in WAL mode: readers and the writer never wait for another)
<root>/lake.toml                 where the catalog is instead, where it is another (a PostgreSQL database)
<root>/staging/<table>/          parts as workers write them, named by content
<root>/tables/main/<table>/      packed Parquet files, immutable
<root>/shards/pool/              tars of original bytes, append-only
<root>/tmp/                      what DuckDB and pack spill; `clean` empties it
<root>/lock                      held by the run that writes, where the catalog is a file

With a root on an object store (`s3://bucket/prefix`) tables, staging and shards are there, the catalog never is, and
what is only of use on one machine (tmp, lock) is in a folder of that machine (`Lake.local`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePath

import duckdb
import pyarrow as pa

from warehouse import catalogs, extensions, views
from warehouse.catalogs import Catalog
from warehouse.errors import LakeError
from warehouse.files import told
from warehouse.lock import WriterLock
from warehouse.metadata import stored_columns
from warehouse.places import is_remote, place
from warehouse.schema import TABLES, Table
from warehouse.sql import quoted as quoted
from warehouse.sqlite_catalog import SqliteCatalog

CATALOG = catalogs.FILE
OURS = {"staging", "tables", "shards", "tmp", "lock", catalogs.RECORD}

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
    """A lake folder, or a prefix of an object store. Make one with `create`, `open` or `open_or_create`."""

    def __init__(self, root: str | PurePath, *, read_only: bool = False, catalog: str | None = None) -> None:
        where = place(root)
        self.root = where.absolute() if isinstance(where, Path) else where
        self.read_only = read_only
        self.tables = self.root / "tables"
        self.staging = self.root / "staging"
        self.pool = self.root / "shards" / "pool"
        self._given = catalog

    @cached_property
    def local(self) -> Path:
        """The folder on this machine for what is only of use here: the lake's own, or one of the user's cache."""
        return self.root if isinstance(self.root, Path) else _cache() / key_of(str(self.root))

    @property
    def tmp(self) -> Path:
        return self.local / "tmp"

    @cached_property
    def backend(self) -> Catalog:
        """The database that says which files count. Raises LakeError where an object store does not say."""
        found = catalogs.find(self.root, self._given)
        if found is None:
            raise LakeError(
                f"no lake at {self.root}: check the path, or make one with a catalog for it, as in `glyphmill scan SRC "
                f"--lake {self.root} --catalog postgres:dbname=lake`"
            )
        return found

    @property
    def catalog(self) -> Path:
        """The catalog's file; raises LakeError where the catalog is no file."""
        if not isinstance(self.backend, SqliteCatalog):
            raise LakeError(f"the catalog of the lake {self.root} is no file but {self.backend}")
        return self.backend.path

    @cached_property
    def _lock(self) -> WriterLock:
        return self.backend.lock()

    @classmethod
    def create(cls, root: str | PurePath, *, catalog: str | None = None) -> Lake:
        """A new lake with every table and view in it; one that is already there is opened.

        `catalog`: `postgres:` and a libpq string, or a file for SQLite; where None, a file in the lake's folder. What a
        kill on the way leaves is no lake yet. Raises LakeError where the folder holds something else, or a lake with
        another catalog, or cannot be written.
        """
        lake = cls(root, catalog=catalog)
        folder = lake.root
        with told(f"creating the lake {root}", lake.local.parent):
            _refuse_second_catalog(lake)
            if isinstance(folder, Path):
                _make_folders(lake, folder)
            if isinstance(lake.backend, SqliteCatalog):
                with lake.lock("create the lake", wait_s=60):
                    if not lake.backend.exists():
                        lake.backend.make(lake._fill)
            else:
                lake.backend.make(lake._fill)
            lake.backend.settle(f"{lake.tables}/")
            catalogs.record(lake.root, lake.backend)
        return cls.open(root, catalog=catalog)

    @classmethod
    def open(cls, root: str | PurePath, *, read_only: bool = False, catalog: str | None = None) -> Lake:
        """A lake that is there. Raises LakeError where there is none, or where it shall be written and cannot be."""
        lake = cls(root, read_only=read_only, catalog=catalog)
        if isinstance(lake.root, Path) and not lake.root.is_dir():
            other = None if lake._is_plain else lake.backend.place()
            raise LakeError(
                f"no lake at {root}: check the path, or make one with `glyphmill scan SRC --lake {root}`"
                if other is None
                else f"no lake at {root}: the catalog {lake.backend} is that of the lake at {_lake_of(other)}"
            )
        if lake.backend.place() is None:
            raise LakeError(
                f"{root} is not a lake (no {CATALOG} of a lake in it): check --lake"
                if lake._is_plain
                else f"{root} is not a lake (no lake in its catalog {lake.backend}): check --lake and --catalog"
            )
        if not read_only:
            if not lake.writable():
                raise LakeError(f"the lake {root} cannot be written: check its permissions and how it is mounted")
            lake.backend.settle(f"{lake.tables}/")
        return lake

    @classmethod
    def open_or_create(cls, root: str | PurePath, *, catalog: str | None = None) -> Lake:
        """The lake at `root`, made where there is none yet."""
        return (
            cls.open(root, catalog=catalog)
            if cls.is_there(root, catalog=catalog)
            else cls.create(root, catalog=catalog)
        )

    @classmethod
    def is_there(cls, root: str | PurePath, *, catalog: str | None = None) -> bool:
        """Whether a lake, or something in its place, is at `root`."""
        found = catalogs.find(cls(root).root, catalog)
        return found is not None and found.exists()

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
        con = extensions.connect(*self._extensions)
        try:
            spill = Path(tempfile.gettempdir())
            if self.writable():
                spill = self.tmp
                spill.mkdir(parents=True, exist_ok=True)
            con.execute(f"SET temp_directory = {quoted(spill / f'duckdb-{os.getpid()}-{secrets.token_hex(4)}')}")
            con.execute(f"SET memory_limit = {quoted(memory_limit or _half_of_memory())}")
            con.execute("SET TimeZone = 'UTC'")
            con.execute("SET enable_progress_bar = false")
            if threads is not None:
                con.execute(f"SET threads = {threads}")
            self._attach(con, self.backend.source(con, read_only=reading), read_only=reading)
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
        with told(f"locking the lake {self.root}", self.local):
            self._lock.acquire(purpose, wait_s)
        try:
            yield
        finally:
            self._lock.release()

    def check_lock(self) -> None:
        """Raises LakeBusy where this object's lock was lost; to be asked before files are removed."""
        self._lock.check(self.root)

    @property
    def token(self) -> int | None:
        """The token of the lock while this object holds it: what a commit shows to the catalog."""
        return self._lock.token

    def staged(self, table_name: str) -> PurePath:
        """Folder of a table's staged parts."""
        return self.staging / table_name

    def files(self, table_name: str) -> PurePath:
        """Folder of a table's packed files."""
        return self.tables / "main" / table_name

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A scratch folder on this machine, gone on leaving."""
        folder = self.tmp / f"work-{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def writable(self) -> bool:
        """Whether this process may write the lake's folder and catalog."""
        return (not isinstance(self.root, Path) or os.access(self.root, os.W_OK)) and self.backend.writable()

    @property
    def _extensions(self) -> list[str]:
        return ["ducklake", self.backend.extension, *(["httpfs"] if is_remote(self.root) else [])]

    @property
    def _is_plain(self) -> bool:
        return isinstance(self.backend, SqliteCatalog) and self.backend.path == self.root / CATALOG

    def _attach(self, con: duckdb.DuckDBPyConnection, source: str, *, read_only: bool) -> None:
        if is_remote(self.root):
            from warehouse import object_store

            object_store.prepare(con)
        options = [f"DATA_PATH {quoted(f'{self.tables}/')}", "OVERRIDE_DATA_PATH true", "DATA_INLINING_ROW_LIMIT 0"]
        options += self.backend.options
        if read_only:
            options.append("READ_ONLY")
        con.execute(f"ATTACH {quoted(f'ducklake:{source}')} AS lake ({', '.join(options)})")
        con.execute("USE lake")

    def _fill(self, source: str) -> None:
        """Every table and view of a new lake, in the catalog that DuckLake attaches as `source`."""
        with extensions.connect(*self._extensions) as con:
            self._attach(con, source, read_only=False)
            con.execute("BEGIN")
            self.ensure_tables(con, TABLES.values())
            con.execute("COMMIT")
            views.refresh(con)
            con.execute("USE memory")
            con.execute("DETACH lake")


def key_of(text: str) -> str:
    """A short name for a place, for folders of this machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("GLYPHMILL_SCRATCH", cache / "glyphmill" / "lakes")).absolute()


def _refuse_second_catalog(lake: Lake) -> None:
    """A second catalog over a lake's files would hide the first, and its `clean` take their files for leftovers."""
    own = catalogs.own(lake.root)
    if own is not None and str(own) != str(lake.backend) and own.exists():
        raise LakeError(
            f"the lake {lake.root} has the catalog {own}, and there is no lake in {lake.backend}: correct --catalog "
            f"or {catalogs.ENVIRONMENT}, or leave it out"
        )


def _lake_of(tables: str) -> str:
    return tables.removesuffix("/").removesuffix("/tables")


def _make_folders(lake: Lake, folder: Path) -> None:
    if folder.is_file():
        raise LakeError(f"{folder} is a file: name a folder for the lake")
    folder.mkdir(parents=True, exist_ok=True)
    foreign = sorted(p.name for p in folder.iterdir() if p.name not in OURS and not p.name.startswith(CATALOG))
    if foreign and not lake.backend.exists():
        raise LakeError(f"{folder} holds other files ({foreign[0]} ...): name a new or empty folder for the lake")
    for own in (lake.tables, lake.staging, lake.pool):
        Path(own).mkdir(parents=True, exist_ok=True)


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
