"""Files that are whole or not there: temporary name, fsync, rename. And a full or read-only disk, or a catalog or an
object store that went away, told in one line."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import duckdb

from warehouse.errors import LakeError, UsageError

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
STORE_AWAY = ("error for HTTP", "HTTP Error", "HTTP GET error", "HTTP PUT error", "HTTP POST error", "HTTP HEAD error")


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


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there yet. Raises UsageError where it cannot be made; a
    full or read-only disk passes as it is."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL or error.errno in DENIED:
            raise
        raise UsageError(f"folder {path} cannot be made ({error.strerror}): name another one") from error


@contextmanager
def told(what: str, where: PurePath | None = None) -> Iterator[None]:
    """A full or read-only disk, that of `where`, or a lost catalog or store while doing `what` becomes a LakeError.

    It is one line. Other failures pass untouched.
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
        away = gone_away(error)
        if away is not None:
            raise LakeError(
                f"{away} went away while {what} ({text[:200]}): check that it runs and run the same command again, the "
                "lake is unharmed"
            ) from error
        raise


def gone_away(error: Exception) -> str | None:
    """What an error of DuckDB's says cannot be reached: the catalog's database or the object store. None: neither."""
    if not isinstance(error, duckdb.Error):
        return None
    if any(said in str(error) for said in AWAY):
        return "the catalog"
    return "the object store" if any(said in str(error) for said in STORE_AWAY) else None
