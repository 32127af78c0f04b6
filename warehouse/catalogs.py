"""Which catalog a lake has: the SQLite file beside it, or the database that `--catalog` names and lake.toml records."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Protocol

import duckdb

from warehouse import storage
from warehouse.errors import LakeError, UsageError
from warehouse.lock import WriterLock
from warehouse.postgres_catalog import PREFIX, PostgresCatalog
from warehouse.sqlite_catalog import SqliteCatalog

FILE = "catalog.sqlite"
RECORD = "lake.toml"
ENVIRONMENT = "GLYPHMILL_CATALOG"
_SQLITE = "sqlite:"


class Catalog(Protocol):
    """What DuckLake attaches, and what a lake asks of it besides. `str()` is how a user writes it."""

    extension: str

    @property
    def options(self) -> list[str]: ...
    def source(self, con: duckdb.DuckDBPyConnection, *, read_only: bool) -> str: ...
    def exists(self) -> bool: ...
    def writable(self) -> bool: ...
    def place(self) -> str | None: ...
    def settle(self, place: str) -> None: ...
    def make(self, fill: Callable[[str], None]) -> None: ...
    def lock(self) -> WriterLock: ...
    def check(self) -> tuple[int, list[str]]: ...
    def guard(self, con: duckdb.DuckDBPyConnection, attached: str, token: int | None) -> None: ...
    def compact(self) -> None: ...


def find(root: PurePath, given: str | None = None) -> Catalog | None:
    """The catalog of the lake at `root`: `given`, else that of the environment, else the one recorded there, else the
    file beside it. None for an object store with none of these. Raises UsageError, LakeError.
    """
    said = given or os.environ.get(ENVIRONMENT)
    return own(root) if said is None else _named(root, said)


def own(root: PurePath) -> Catalog | None:
    """The catalog that the lake itself has, whatever is said for this run: the recorded one, else the file beside it.
    None for an object store that records none. Raises LakeError.
    """
    said = recorded(root)
    if said is None:
        return SqliteCatalog(root / FILE, root, root / "lock") if isinstance(root, Path) else None
    return _named(root, said)


def _named(root: PurePath, said: str) -> Catalog:
    if said.startswith(PREFIX):
        return PostgresCatalog(said if said.startswith(f"{PREFIX}//") else said.removeprefix(PREFIX), root)
    if not said.startswith(_SQLITE) and any(mark in said for mark in ":="):  # postgresql://, mysql:x, dbname=x
        raise UsageError(f"--catalog is postgres: and a libpq connection string, or sqlite: and a file, not {said!r}")
    file = Path(said.removeprefix(_SQLITE)).absolute()
    return SqliteCatalog(file, root, file.with_name(f"{file.name}.lock"))


def recorded(root: PurePath) -> str | None:
    """The catalog that the lake's own lake.toml names; None where there is none. Raises LakeError."""
    try:
        text = storage.read(root / RECORD).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return str(tomllib.loads(text)["catalog"])
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise LakeError(f'{root / RECORD} does not say where the catalog is: write catalog = "postgres:..."') from error


def record(root: PurePath, catalog: Catalog) -> None:
    """Tell later opens where the catalog is; the file beside the lake needs no telling."""
    if isinstance(catalog, SqliteCatalog):
        if isinstance(root, Path) and catalog.path == root / FILE:
            return
        said = f"{_SQLITE}{catalog}"
    else:
        said = str(catalog)
    escaped = said.replace("\\", "\\\\").replace('"', '\\"')
    storage.write(root / RECORD, f'catalog = "{escaped}"\n'.encode())
