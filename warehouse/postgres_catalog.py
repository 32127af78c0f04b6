"""The catalog in a PostgreSQL database: several machines read and write the lake. One database holds one lake.

Its password is libpq's business (PGPASSWORD, ~/.pgpass): it stands in no file of the lake, no message, no list of
processes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import duckdb

from warehouse import fence, lease
from warehouse.errors import LakeBusy, LakeError, UsageError
from warehouse.lock import POLL_S, WriterLock
from warehouse.sql import quoted

PREFIX = "postgres:"
_PASSWORD = re.compile(r"password\s*=|://[^/@]*:[^/@]*@", re.IGNORECASE)
_PLACE = "SELECT value FROM ducklake_metadata WHERE key = 'data_path' AND scope IS NULL"
_MAKING = 0x676C797068  # the advisory lock of those who make a lake here
BUSY_MS = 30_000  # how long the readers of what was deleted are waited for
_OLDER = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (age(backend_xmin) > age('{now}'::xid) OR age(backend_xid) > age('{now}'::xid)) LIMIT 1"""


class PostgresCatalog:
    """The catalog of the lake at `lake`, in the database that the libpq string or URI `dsn` names."""

    extension = "postgres_scanner"

    def __init__(self, dsn: str, lake: object) -> None:
        """Raises UsageError where a password stands in `dsn`."""
        if _PASSWORD.search(dsn):
            raise UsageError(
                "leave the password out of --catalog, others can read it there: set PGPASSWORD or ~/.pgpass"
            )
        self.dsn, self.lake = dsn, lake
        self._seen: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.dsn}"

    @property
    def options(self) -> list[str]:
        return []

    def source(self, con: duckdb.DuckDBPyConnection, *, read_only: bool) -> str:
        """What DuckLake attaches."""
        return f"postgres:{self.dsn}"

    def exists(self) -> bool:
        return self.place() is not None

    def writable(self) -> bool:
        return True  # what the user may do there is the database's to say

    def place(self) -> str | None:
        """Where the catalog says that its files are; None where no lake was made here, or not to the end.

        Raises LakeError where the database cannot be reached.
        """
        with lease.connect(self.dsn, read_only=True) as con:
            made = "SELECT to_regclass('ducklake_metadata') IS NOT NULL AND to_regclass('glyphmill_lock') IS NOT NULL"
            if not lease.query(con, made)[0][0]:
                return None
            rows = lease.query(con, _PLACE)
        self._seen = str(rows[0][0]) if rows else None
        return self._seen

    def settle(self, place: str) -> None:
        """A lake that was moved tells its new place. Raises LakeError where the catalog is another lake's."""
        known = self._seen or self.place()
        if known is None or known == place:
            return
        if not known.startswith("/") or Path(known).exists():
            raise LakeError(
                f"the catalog {self} is that of the lake at {known.removesuffix('/').removesuffix('/tables')}: "
                f"give the lake {self.lake} a database of its own"
            )
        with lease.connect(self.dsn) as con:
            lease.execute(
                con,
                f"UPDATE ducklake_metadata SET value = {quoted(place)} WHERE key = 'data_path' AND scope IS NULL",
            )

    def make(self, fill: Callable[[str], None]) -> None:
        """A new catalog, which `fill` fills. The lock's table comes last: without it, it is no lake yet, and what a
        killed making left is gone over again."""
        with lease.connect(self.dsn) as con:
            con.execute("BEGIN")
            lease.query(con, f"SELECT pg_advisory_xact_lock({_MAKING})::TEXT")
            if self.place() is None:
                fill(f"postgres:{self.dsn}")
                with lease.connect(self.dsn) as other:
                    lease.execute(other, fence.POSTGRES)
            con.execute("COMMIT")

    def lock(self) -> WriterLock:
        return WriterLock(lambda purpose, until: lease.Lease(self.dsn, self.lake, purpose, until))

    def guard(self, con: duckdb.DuckDBPyConnection, attached: str, token: int | None) -> None:
        """Keep the lock for this run until the open transaction of `con`, which has the catalog attached under that
        name, ends. Raises LakeBusy where another run took it."""
        held = f"SELECT 1 FROM glyphmill_lock WHERE token = {token or 0} FOR SHARE"
        if not con.execute("SELECT * FROM postgres_query(?, ?)", [attached, held]).fetchall():
            raise fence.lost(self.lake)

    def compact(self) -> None:
        """Write the tables anew, without what was deleted from them, and the samples that the planner keeps of them.

        Raises LakeBusy where a transaction that began before may still read what was deleted.
        """
        until = time.monotonic() + BUSY_MS / 1000
        with lease.connect(_impatient(self.dsn)) as con:
            ((now,),) = lease.query(con, "SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::TEXT")
            while lease.query(con, _OLDER.format(now=now)):
                if time.monotonic() > until:
                    raise self._read()
                time.sleep(POLL_S)
            tables = "SELECT relname::TEXT FROM pg_class WHERE relkind = 'r' AND relname LIKE 'ducklake%' ORDER BY 1"
            again = [f'VACUUM (FULL, ANALYZE) "{table}"' for (table,) in lease.query(con, tables)]
            for statement in (*again, "VACUUM FULL pg_statistic"):  # passed over where it is not the user's to do
                try:
                    con.execute("CALL postgres_execute('c', ?, use_transaction => false)", [statement])
                except duckdb.Error as error:
                    if "lock timeout" not in str(error):
                        raise
                    raise self._read() from error

    def _read(self) -> LakeBusy:
        return LakeBusy(
            f"a transaction that began earlier still reads the catalog {self}, so what was deleted from it is in its "
            "tables yet: close what reads the lake, and run glyphmill clean again"
        )

    def check(self) -> tuple[int, list[str]]:
        """Pages of the catalog's tables, each of which is read."""
        with lease.connect(self.dsn, read_only=True) as con:
            found = lease.query(
                con,
                "SELECT relname::TEXT, pg_relation_size(oid) / current_setting('block_size')::BIGINT FROM pg_class "
                "WHERE relkind = 'r' AND relname LIKE 'ducklake%' ORDER BY 1",
            )
            problems = []
            for table, _ in found:
                try:
                    lease.query(con, f'SELECT count(t::TEXT) FROM "{table}" AS t')
                except duckdb.Error as error:
                    problems.append(f"{table} cannot be read ({str(error).strip().splitlines()[0]})")
        return sum(int(str(pages)) for _, pages in found), problems


def _impatient(dsn: str) -> str:
    """The libpq string or URI with a limit to how long a statement waits for others."""
    if "options=" in dsn.replace(" ", ""):
        return dsn  # the user's own stand
    options = f"{os.environ.get('PGOPTIONS', '')} -c lock_timeout={BUSY_MS}".strip()
    if "://" in dsn:
        return f"{dsn}{'&' if '?' in dsn else '?'}options={quote(options)}"
    escaped = options.replace("\\", "\\\\").replace("'", "\\'")
    return f"{dsn} options='{escaped}'"
