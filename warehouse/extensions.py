"""Finds and loads the DuckDB extensions a lake needs, from a wheel where there is one, else by DuckDB's own INSTALL."""

from __future__ import annotations

import duckdb

from warehouse.errors import MissingDependency

_verified: set[str] = set()  # what this process loaded once with DuckDB's check of its signature


def connect(*names: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with these extensions. Their signatures are checked at the first one of a process: each check
    hashes the whole file, 70 MB for a lake's two, and a pass makes many connections. Raises MissingDependency."""
    if not _verified.issuperset(names):
        con = duckdb.connect()
    else:
        con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    try:
        load(con, *names)
        con.execute("SET allow_unsigned_extensions = false")  # what a user loads is checked
    except BaseException:
        con.close()
        raise
    _verified.update(names)
    return con


def load(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Load extensions into a connection; one that is not there yet is installed first.

    Raises MissingDependency, naming the wheel to install, where neither a wheel nor the network has it.
    """
    for name in names:
        try:
            con.load_extension(name)
        except duckdb.Error:
            _install(con, name)


def _install(con: duckdb.DuckDBPyConnection, name: str) -> None:
    try:
        from duckdb_extensions import import_extension

        import_extension(name, con=con)
        con.load_extension(name)
        return
    except (ImportError, OSError, RuntimeError, duckdb.Error):
        pass  # no wheel of it on this machine, or not for this platform: DuckDB's own repository is next
    try:
        con.install_extension(name)
        con.load_extension(name)
    except duckdb.Error as error:
        wheel = "duckdb-extension-" + name.replace("_", "-")
        raise MissingDependency(
            f"DuckDB extension '{name}' is not here and could not be downloaded "
            f"({str(error).strip().splitlines()[0]}): pip install {wheel}=={duckdb.__version__}"
        ) from error
