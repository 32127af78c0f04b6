"""The writer lock of a catalog in PostgreSQL: a row with an owner, a time of expiry and a token.

The owner renews the time from a thread of its own; when it is dead or cut off, the time passes and another run takes
the row, which raises the token. It is the token that makes this safe, not the time: whatever the former owner was at,
the catalog refuses its commit (`warehouse/fence.py`). An owner that died on this very machine is not waited for.
Clocks of different machines are never compared: expiry is told by the database's own.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from typing import Any

import duckdb

from warehouse import extensions
from warehouse.errors import LakeBusy, LakeError
from warehouse.lock import POLL_S, busy, is_dead, owner
from warehouse.sql import quoted

LEASE_S = 60.0  # how long a silent owner is waited for; GLYPHMILL_LEASE_S says otherwise
_ROW = "SELECT token, owner, (SELECT max(expires) > clock_timestamp() FROM glyphmill_lease) FROM glyphmill_lock"


class Lease:
    """The lock's row, taken and kept alive until `release`. Raises LakeBusy, and LakeError where it cannot be asked."""

    def __init__(self, dsn: str, lake: object, purpose: str, until: float) -> None:
        self._seconds = float(os.environ.get("GLYPHMILL_LEASE_S", LEASE_S))
        self._con = connect(dsn)
        self._ended = threading.Event()
        try:
            self.token: int | None = self._take(lake, purpose, until)
        except BaseException:
            self._con.close()
            raise
        self._thread = threading.Thread(target=self._beat, name="glyphmill-lease", daemon=True)
        self._thread.start()

    def still(self) -> bool:
        return bool(query(self._con, _ROW)[0][0] == self.token)

    def release(self) -> None:
        self._ended.set()
        self._thread.join()
        try:
            execute(self._con, f"UPDATE glyphmill_lock SET owner = NULL WHERE token = {self.token}")
        except duckdb.Error:
            pass  # the database is away: the lock expires by itself
        finally:
            self._con.close()

    def _take(self, lake: object, purpose: str, until: float) -> int:
        mine = json.dumps({**json.loads(owner(purpose)), "nonce": secrets.token_hex(8)})
        while True:
            token, held_by, alive = query(self._con, _ROW)[0]
            if not (held_by and alive) or is_dead(held_by):
                # of several who try, the first to raise the token has it
                execute(
                    self._con,
                    f"UPDATE glyphmill_lock SET token = token + 1, owner = {quoted(mine)} WHERE token = {token}",
                )
                token, held_by, _ = query(self._con, _ROW)[0]
                if held_by == mine:
                    execute(self._con, self._renewal(token))
                    return int(token)
            if time.monotonic() >= until:
                raise LakeBusy(busy(lake, held_by or ""))
            time.sleep(POLL_S)

    def _renewal(self, token: int | None) -> str:
        return (
            f"UPDATE glyphmill_lease SET expires = clock_timestamp() + interval '{self._seconds} seconds' "
            f"WHERE EXISTS (SELECT 1 FROM glyphmill_lock WHERE token = {token})"
        )

    def _beat(self) -> None:
        con = self._con.cursor()
        while not self._ended.wait(self._seconds / 6):
            try:
                execute(con, self._renewal(self.token))
            except duckdb.Error:
                continue  # away for a moment: the next beat tries again, and the fence stands whatever happens
        con.close()


def connect(dsn: str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the database attached AS c. Raises LakeError, MissingDependency."""
    con = extensions.connect("postgres_scanner")
    try:
        con.execute(f"ATTACH {quoted(dsn)} AS c (TYPE postgres{', READ_ONLY' if read_only else ''})")
    except duckdb.Error as error:
        con.close()
        raise LakeError(f"the catalog cannot be reached ({' '.join(str(error).split())[:300]})") from error
    return con


def execute(con: duckdb.DuckDBPyConnection, statements: str) -> None:
    """Run statements in the attached database, as they are, in one transaction."""
    for attempt in range(10):
        try:
            con.execute("CALL postgres_execute('c', ?)", [statements])
        except duckdb.Error as error:
            if "could not serialize" not in str(error) or attempt == 9:
                raise
            time.sleep(0.01)  # another run changed the row in this moment
        else:
            return


def query(con: duckdb.DuckDBPyConnection, select: str) -> list[tuple[Any, ...]]:
    """Rows of a query that the attached database answers itself. Raises LakeError where its user may not ask."""
    try:
        return con.execute("SELECT * FROM postgres_query('c', ?)", [select]).fetchall()
    except duckdb.Error as error:
        if "permission denied" not in str(error):
            raise
        text = str(error).rpartition("ERROR:")[2].strip()
        raise LakeError(f"the catalog refuses its user ({text}): it must be the one that owns the tables") from error
