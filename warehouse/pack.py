"""Pack: a run's many staged parts become few large immutable files, one row per key, sorted by key.

Parts are gathered into scratch files, ranges of ids that are sorted one after the other; SQL takes one row per key and
leaves out what the lake has; the result is streamed into files of bounded size. Memory does not grow with the parts.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path, PurePath

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import storage
from warehouse.files import sync, told
from warehouse.forgotten import admitted
from warehouse.gather import conform, gather
from warehouse.lake import Lake
from warehouse.merge import merged
from warehouse.parts import Part, part_path
from warehouse.schema import Table

MEMORY = "768MiB"  # for DuckDB while it merges parts
FILE_BYTES = 256 << 20  # a packed file is closed once it has grown past this
ROW_GROUP = 32 << 20  # bytes of a row group in memory
ROWS = 8192  # rows streamed at a time


def pack(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, parts: Sequence[Part]) -> list[PurePath]:
    """Packed files of the staged `parts` of one table, in the table's folder but not in the catalog yet.

    Of rows with the same key one survives, the same whatever the order of the parts. Rows that the lake already has
    under their key are left out, unless they were measured anew: another `version` or `file_stamp`; these are to
    replace the old ones (`merge.superseded` says which those are). `inputs` get the status `repeat` where the image was
    delivered before.
    """
    paths = sorted(part_path(lake, table.name, p.name) for p in parts if p.rows)
    if not paths:
        return []
    with (
        told(f"packing {table.name}", lake.root),
        _bounded(con),
        lake.workspace() as work,
        merged(con, table, gather(paths, table, work)) as queries,
    ):
        return store(lake, table, chain.from_iterable(_sorted(con, table, query) for query in queries))


def pack_query(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, sql: str, late: Mapping[str, str] | None = None
) -> list[PurePath]:
    """Packed files of exactly the rows that `sql` gives (all columns of the table, by name), sorted by key.

    `late` columns are not among them: they are worked out of the sorted rows, by SQL, so that the sort has less to
    carry and to compare. One that belongs to the key must be the same in every row. What exceeds the connection's own
    memory limit is spilled.
    """
    with told(f"packing {table.name}", lake.root):
        return store(lake, table, _sorted(con, table, sql, late))


def _sorted(
    con: duckdb.DuckDBPyConnection, table: Table, query: str, late: Mapping[str, str] | None = None
) -> Iterator[pa.Table]:
    """The rows of `query`, sorted by key, in batches; none about an image that the lake was told to forget."""
    query = admitted(con, table, query)
    made = late or {}
    columns = ", ".join(f'{made[c]} AS "{c}"' if c in made else f'"{c}"' for c in table.names)
    order = ", ".join(f'"{k}"' for k in table.key if k not in made) or "ALL"
    for batch in con.execute(f"SELECT {columns} FROM (FROM ({query}) ORDER BY {order})").to_arrow_reader(ROWS):
        if batch.num_rows:
            yield conform(pa.Table.from_batches([batch]), table.arrow)


def store(lake: Lake, table: Table, batches: Iterator[pa.Table]) -> list[PurePath]:
    """Stream batches into files of the table's folder, each closed when large enough and named by its content."""
    folder = lake.files(table.name)
    work = folder if isinstance(folder, Path) else lake.tmp
    work.mkdir(parents=True, exist_ok=True)
    files: list[PurePath] = []
    batch = next(batches, None)
    while batch is not None:
        temporary = work / f".pack-{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            batch = _write_file(temporary, table, batch, batches)
            sync(temporary)
            files.append(folder / f"{content_hash(temporary)}.parquet")
            storage.move(temporary, files[-1])
        finally:
            temporary.unlink(missing_ok=True)
    if files and isinstance(folder, Path):
        sync(folder)
    return files


def _write_file(path: Path, table: Table, first: pa.Table, more: Iterator[pa.Table]) -> pa.Table | None:
    """Write batches until the file is large enough; returns the first batch that did not go in, if there is one."""
    plain = {c.name: not pa.types.is_binary(c.type) for c in table.columns}  # hashes and thumbnails never repeat
    dictionary = [name for name, useful in plain.items() if useful]
    batch: pa.Table | None = first
    with (
        open(path, "xb") as file,
        pq.ParquetWriter(file, table.arrow, compression="zstd", use_dictionary=dictionary) as out,
    ):
        while batch is not None and file.tell() < FILE_BYTES:
            waiting, size = [batch], batch.nbytes
            batch = next(more, None)
            while batch is not None and size < ROW_GROUP:
                waiting.append(batch)
                size += batch.nbytes
                batch = next(more, None)
            out.write_table(pa.concat_tables(waiting), row_group_size=len(waiting) * ROWS)
    return batch


@contextmanager
def _bounded(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A small memory limit while packing: what exceeds it is spilled to disk."""
    row = con.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    con.execute(f"SET memory_limit = '{MEMORY}'")
    try:
        yield
    finally:
        con.execute(f"SET memory_limit = '{row[0]}'")


def content_hash(path: Path) -> str:
    """The name of a packed file: first 128 bits of the SHA-256 of its bytes, 32 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
