"""Pack: a run's many staged parts become few large immutable files, one row per key, sorted by key.

Parts are first gathered into one scratch file, a chunk at a time; SQL over that file takes one row per key and leaves
out what the lake has; the result is streamed into files of bounded size. Memory does not grow with the parts: DuckDB
spills what exceeds `MEMORY` while it merges parts.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.files import sync, told
from warehouse.lake import Lake, quoted
from warehouse.parts import Part, part_path
from warehouse.schema import Table

MEMORY = "768MiB"
CHUNK = 32 << 20  # bytes gathered in memory at a time
FILE_BYTES = 256 << 20  # a packed file is closed once it has grown past this
ROW_GROUP = 32 << 20  # bytes of a row group in memory
ROWS = 8192  # rows streamed at a time

# The order in which deliveries count: the first is the one whose bytes are used.
DELIVERY_ORDER = 'batch, source, uri, "offset" NULLS FIRST, "row"'


def pack(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, parts: Sequence[Part]) -> list[Path]:
    """Packed files of the staged `parts` of one table, in the table's folder but not in the catalog yet.

    Of rows with the same key one survives, the same whatever the order of the parts. Rows that the lake already has
    under their key are left out, unless they were measured anew: another `version` or `file_stamp`; these are to
    replace the old ones (`superseded` says which those are). `inputs` get the status `repeat` where the image was
    delivered before.
    """
    paths = sorted(part_path(lake, table.name, p.name) for p in parts if p.rows)
    if not paths:
        return []
    with told(f"packing {table.name}", lake.root), _bounded(con), lake.workspace() as work:
        gathered = work / "gathered.parquet"
        gather(paths, table, gathered)
        source = f"read_parquet({quoted(gathered)})"
        query = _inputs(con, table, source) if table.name == "inputs" else _fresh(con, table, source)
        return write(con, lake, table, query)


def pack_query(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, sql: str) -> list[Path]:
    """Packed files of exactly the rows that `sql` gives (all columns of the table, by name), sorted by key.

    What exceeds the connection's own memory limit is spilled.
    """
    with told(f"packing {table.name}", lake.root):
        return write(con, lake, table, sql)


def superseded(table: Table, files: Sequence[Path]) -> str:
    """SQL predicate: the lake's rows that have the key of a row in `files`."""
    keys = ", ".join(f'"{k}"' for k in table.key)
    return f"({keys}) IN (SELECT ({keys}) FROM {_parquet(files)})"


def state_columns(table: Table) -> list[str]:
    """Columns that tell a row measured anew from the one the lake has; a table without any never replaces a row."""
    return [c for c in ("version", "file_stamp") if c in table.names and table.key and c not in table.key]


def gather(paths: Sequence[Path], table: Table, target: Path) -> None:
    """All rows of small Parquet files in one file; a column that a file lacks is NULL. Memory: one chunk."""
    schema = table.arrow
    waiting: list[pa.Table] = []
    size = 0
    with pq.ParquetWriter(target, schema, compression="lz4", use_dictionary=False, write_statistics=False) as writer:
        for path in paths:
            with pq.ParquetFile(path) as file:
                part = file.read(use_threads=False)
            waiting.append(_conform(part, schema))
            size += part.nbytes
            if size >= CHUNK:
                writer.write_table(pa.concat_tables(waiting))
                waiting, size = [], 0
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def write(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, query: str) -> list[Path]:
    """The rows of `query`, sorted by key, as files of the table's folder."""
    columns = ", ".join(f'"{c}"' for c in table.names)
    order = ", ".join(f'"{k}"' for k in table.key) or "ALL"
    reader = con.execute(f"SELECT {columns} FROM ({query}) ORDER BY {order}").to_arrow_reader(ROWS)
    return store(lake, table, (_conform(pa.Table.from_batches([b]), table.arrow) for b in reader if b.num_rows))


def store(lake: Lake, table: Table, batches: Iterator[pa.Table]) -> list[Path]:
    """Stream batches into files of the table's folder, each closed when large enough and named by its content."""
    folder = lake.files(table.name)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    batch = next(batches, None)
    while batch is not None:
        temporary = folder / f".pack-{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            batch = _write_file(temporary, table, batch, batches)
            sync(temporary)
            files.append(temporary.rename(folder / f"{content_hash(temporary)}.parquet"))
        finally:
            temporary.unlink(missing_ok=True)
    if files:
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


def _conform(data: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        data[f.name].cast(f.type) if f.name in data.column_names else pa.nulls(data.num_rows, f.type) for f in schema
    ]
    return pa.table(columns, schema=schema)


def _fresh(con: duckdb.DuckDBPyConnection, table: Table, source: str) -> str:
    """Query: one row per key, without those that the lake has in the same version or of the same file."""
    unique = _unique(con, table, source)
    if not table.key:
        return unique
    state = state_columns(table)
    same = " AND ".join(
        [*(f'o."{k}" = n."{k}"' for k in table.key), *(f'o."{s}" IS NOT DISTINCT FROM n."{s}"' for s in state)]
    )
    keys = ", ".join(f'"{k}"' for k in table.key)
    # The lake's keys stream past the new ones, and only those that meet are kept: the new rows' blobs never enter a
    # join that spills, whichever side is larger.
    wanted = ", ".join(f'"{c}"' for c in (*table.key, *state))
    con.execute(
        f'CREATE OR REPLACE TEMP TABLE pack_known AS SELECT {keys} FROM lake."{table.name}" o '
        f"WHERE EXISTS (SELECT 1 FROM (SELECT {wanted} FROM {source}) n WHERE {same})"
    )
    return f"SELECT * FROM ({unique}) ANTI JOIN temp.pack_known USING ({keys})"


def _unique(con: duckdb.DuckDBPyConnection, table: Table, source: str) -> str:
    """Query: one row per key. The survivor is the same in whatever order and cut the rows come: a measured row before
    an error, then the smallest origin, then the smallest of everything else."""
    if not table.key:
        return f"SELECT * FROM {source}"
    keys = ", ".join(f'"{k}"' for k in table.key)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE pack_twice AS SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1"
    )
    rank = [f'"{c}"' for c in table.names if c not in table.key]
    if "origin" in table.names:
        rank.insert(0, '"origin"')
    if "status" in table.names:
        rank.insert(0, "\"status\" = 'error'")
    order = ", ".join(rank) or keys
    return (
        f"SELECT * FROM {source} ANTI JOIN temp.pack_twice USING ({keys}) UNION ALL BY NAME "
        f"SELECT * FROM {source} SEMI JOIN temp.pack_twice USING ({keys}) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1"
    )


def _inputs(con: duckdb.DuckDBPyConnection, table: Table, source: str) -> str:
    """Query: new deliveries with their status, and the lake's rows whose status they change.

    The first delivery of an image is `ok`, every further one `repeat`. What the lake has comes before what is new.
    Where a changed file took away the delivery that was `ok`, the next one takes its place.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE pack_inputs AS {_fresh(con, table, source)}")
    keys = ", ".join(f'"{k}"' for k in table.key)
    return f"""
        WITH fresh AS (FROM temp.pack_inputs),
        touched AS (
            SELECT image_id FROM fresh WHERE status <> 'error'
            UNION SELECT image_id FROM lake.inputs SEMI JOIN fresh USING ({keys}) WHERE status = 'ok'
        ),
        known AS (
            SELECT * FROM lake.inputs ANTI JOIN fresh USING ({keys})
            WHERE status <> 'error' AND image_id IN (FROM touched)
        ),
        judged AS (
            SELECT *, 0 AS turn FROM known UNION ALL BY NAME SELECT *, 1 AS turn FROM fresh WHERE status <> 'error'
        ),
        ranked AS (
            SELECT *, 1 = row_number() OVER (
                PARTITION BY image_id ORDER BY turn, turn = 0 AND status <> 'ok', {DELIVERY_ORDER}
            ) AS is_first
            FROM judged
        )
        SELECT * EXCLUDE (turn, is_first) REPLACE (if(is_first, 'ok', 'repeat') AS status)
        FROM ranked WHERE turn = 1 OR is_first <> (status = 'ok')
        UNION ALL BY NAME SELECT * FROM fresh WHERE status = 'error'
    """


@contextmanager
def _bounded(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A small memory limit while packing: sorting spills to disk rather than grow with the run."""
    row = con.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    con.execute(f"SET memory_limit = '{MEMORY}'")
    try:
        yield
    finally:
        for name in ("pack_known", "pack_twice", "pack_inputs"):
            con.execute(f"DROP TABLE IF EXISTS temp.{name}")
        con.execute(f"SET memory_limit = '{row[0]}'")


def _parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(quoted(f) for f in files)}])"


def content_hash(path: Path) -> str:
    """The name of a packed file: first 128 bits of the SHA-256 of its bytes, 32 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
