"""Finds and loads the DuckDB extensions a lake needs, from a wheel where there is one, else by DuckDB's own INSTALL."""

from __future__ import annotations

import duckdb

from warehouse.errors import MissingDependency


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
