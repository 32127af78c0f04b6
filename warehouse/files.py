"""Files that are whole or not there: temporary name, fsync, rename. And a full or read-only disk, or a catalog that
went away, told in one line."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import duckdb

from warehouse.errors import LakeError

SCARCE = 1 << 20  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)
# What libpq and DuckDB say when the database that holds the catalog is away.
AWAY = (
    "Unable to connect to Postgres",
    "server closed the connection",
    "terminating connection",
    "no connection to the server",
    "the database system is ",
    "Could not receive data from server",
    'Failed to execute query "ROLLBACK"',
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what was written there is made durable and takes the name on leaving."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.rename(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told(what: str, where: PurePath | None = None) -> Iterator[None]:
    """A full or read-only disk, that of `where`, or a lost catalog while doing `what` becomes a LakeError of one line.

    Other failures pass untouched.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        text = (str(error).strip().splitlines() or ["no detail given"])[0]
        number = error.errno if isinstance(error, OSError) else None
        full = number in FULL or "No space left on device" in str(error) or "disk is full" in str(error)
        # SQLite tells a full disk as an I/O error where the file it could not grow is the index of its WAL
        if isinstance(where, Path) and "disk I/O error" in str(error):
            full = full or shutil.disk_usage(where).free < SCARCE
        if full:
            raise LakeError(
                f"disk full while {what} ({text}): free some space and run the same command again, the lake is unharmed"
            ) from error
        if number in DENIED or "readonly database" in str(error) or "Read-only file system" in str(error):
            raise LakeError(
                f"cannot write while {what} ({text}): check the permissions of the lake's folder, the lake is unharmed"
            ) from error
        if is_away(error):
            raise LakeError(
                f"the catalog went away while {what} ({text[:200]}): check that its database runs and run the same "
                "command again, the lake is unharmed"
            ) from error
        raise


def is_away(error: Exception) -> bool:
    """Whether an error says that the database with the catalog cannot be reached."""
    return isinstance(error, duckdb.Error) and any(said in str(error) for said in AWAY)
