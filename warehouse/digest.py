"""Content digests: one number per table that tells whether two lakes hold the same rows.

A table's digest is the sum, modulo 2^128, of a 128-bit hash of each row's canonical text. A sum does not know the order
of rows, files or units; the canonical text takes the columns in the order of their names and leaves out those that are
NULL, so a column added later changes nothing until it has values. Transient columns (how work was cut, file times),
embeddings (compared by cosine) and the ledgers are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from warehouse.metadata import METADATA, stored_columns
from warehouse.schema import KNOWN, in_digests


@dataclass(frozen=True)
class TableDigest:
    """Rows of a table and the digest of their content, 32 hex digits."""

    table: str
    rows: int
    digest: str


def digests(con: duckdb.DuckDBPyConnection) -> dict[str, TableDigest]:
    """The digest of every table of the attached lake that holds content, by name, all of one moment. `con` is in no
    transaction."""
    con.execute("BEGIN")
    try:
        filled = _filled(con)
        return {
            name: digest(con, name, [c for c in sorted(columns) if in_digests(name, c)])
            if name in filled
            else TableDigest(name, 0, f"{0:032x}")
            for name, columns in stored_columns(con).items()
            if name not in KNOWN or not KNOWN[name].ledger
        }
    finally:
        con.execute("ROLLBACK")


def _filled(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the tables that may hold rows; half of a young lake's have never had any."""
    found = con.execute(
        f"""SELECT table_name FROM {METADATA}.ducklake_table WHERE end_snapshot IS NULL AND table_id IN (
        SELECT table_id FROM {METADATA}.ducklake_data_file WHERE end_snapshot IS NULL
        UNION ALL SELECT table_id FROM {METADATA}.ducklake_inlined_data_tables)"""
    ).fetchall()
    return {name for (name,) in found}


def digest(con: duckdb.DuckDBPyConnection, table: str, columns: list[str]) -> TableDigest:
    """The digest of the named columns of one table."""
    types = dict(con.execute(f'SELECT column_name, column_type FROM (DESCRIBE lake."{table}")').fetchall())
    pieces = ", ".join(_canonical(c, types[c]) for c in sorted(columns))
    row = con.execute(
        f"SELECT count(*), coalesce(sum((h >> 64)::UBIGINT), 0), coalesce(sum((h & {2**64 - 1})::UBIGINT), 0) "
        f'FROM (SELECT md5_number(concat_ws(chr(10), {pieces}))::UHUGEINT AS h FROM lake."{table}")'
    ).fetchone()
    assert row is not None
    rows, high, low = row
    return TableDigest(table, rows, f"{((high << 64) + low) % 2**128:032x}")


def _canonical(column: str, kind: str) -> str:
    """SQL text of one value, NULL where it is NULL; no two different rows give the same pieces."""
    name = f'"{column}"'
    if kind == "BLOB":
        text = f"md5({name})"
    elif kind in ("FLOAT", "DOUBLE"):
        text = f"({name} + 0)::VARCHAR"  # -0.0 is 0.0
    elif kind == "VARCHAR":
        text = f"strlen({name}) || ':' || {name}"
    elif kind.endswith(("]", ")")):
        text = f"to_json({name})::VARCHAR"
    else:
        text = f"{name}::VARCHAR"
    return f"'{column}=' || {text}"
