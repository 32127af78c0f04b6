"""SQL to a memory-mapped selection: DuckDB joins and sorts, Arrow hands columns over, no loop over rows."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.buckets import ASPECT_BUCKETS, nearest_sql
from warehouse.errors import LakeError, UsageError
from warehouse.files import told
from warehouse.lake import Lake
from warehouse.parts import key
from warehouse.schema import CAPTION_KINDS
from warehouse.selection import RECORD, Bucket, Header, Selection, digest_of, settle, write_header

UNKNOWN = "unknown"
_ROWS = 1 << 17
_MAX_SHARD = 512 << 32


def select_images(
    lake: Lake,
    sql: str,
    cache: Path,
    *,
    captions_sql: str | None = None,
    buckets: Sequence[str] = ASPECT_BUCKETS,
) -> Selection:
    """The selection of a query over the lake as it is now, made in the folder `cache` or found there.

    `sql` gives `image_id`, each once, and may give `weight` (expected copies in an epoch, >= 0; 1 where not given) and
    `bucket` (any label; the nearest of `buckets` to the upright size where not given). `captions_sql` gives `image_id`
    and `text`, any number an image; where not given, the captions of the best kind that the image or its duplicates
    have. Images that are not in the pool are left out and counted in `header.unstored`.

    Raises UsageError for a query that does not fit, LakeError where the lake cannot be read or the cache written.
    """
    with lake.connect(read_only=True) as con:
        con.execute("BEGIN")  # one snapshot for every query
        snapshot, when = _snapshot(con)
        captions_sql = captions_sql or _best_captions(con)
        name = key("selection", RECORD.descr, str(lake.root), snapshot, when, sql, captions_sql, list(buckets))
        folder = cache / name[:32]
        if (folder / "selection.json").exists():
            return Selection(folder)
        _choose(con, sql, buckets)
        selected, unstored = _count(con)
        with told(f"writing the selection {folder}"):
            temporary = cache / f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
            temporary.mkdir(parents=True)
            try:
                shards = [str(row[0]) for row in con.execute("SELECT shard FROM numbered ORDER BY n").fetchall()]
                ranges = _ranges(con)
                _write_records(con, temporary / "records")
                captions = _write_captions(con, captions_sql, temporary, selected - unstored)
                header = Header(
                    sql=sql,
                    captions_sql=captions_sql,
                    snapshot=snapshot,
                    selected=selected,
                    stored=selected - unstored,
                    unstored=unstored,
                    captions=captions,
                    buckets=ranges,
                    shards=tuple(shards),
                    digest=digest_of(temporary / "records", ranges, shards),
                )
                write_header(temporary / "selection.json", header)
                return settle(temporary, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def _choose(con: duckdb.DuckDBPyConnection, sql: str, buckets: Sequence[str]) -> None:
    """Make the temporary tables `chosen` (what was asked for), `numbered` (its shards), `picked` (what is stored)."""
    sql = _statement(sql)
    columns = _columns(con, sql, "the selection")
    if "image_id" not in columns:
        raise UsageError(f"the selection must give image_id, it gives {', '.join(columns)}")
    weight = "weight" if "weight" in columns else "1"
    bucket, sizes = "c.bucket", ""
    if "bucket" not in columns:
        bucket = nearest_sql("h.width", "h.height", buckets)
        sizes = "LEFT JOIN lake.signals_header AS h ON h.image_id = c.image_id"
        if not _exists(con, "signals_header"):
            raise UsageError(
                "the lake holds no image sizes yet (signals_header), so no aspect buckets: scan with `glyphmill scan`, "
                "or name a bucket, as in SELECT image_id, 'all' AS bucket FROM ..."
            )
    kept = f"image_id::VARCHAR AS image_id, {weight}::FLOAT AS weight" + (
        ", bucket::VARCHAR AS bucket" if "bucket" in columns else ""
    )
    _run(con, f"CREATE TEMP TABLE chosen AS SELECT {kept} FROM ({sql}\n)", "the selection")
    _refuse(con, "SELECT image_id, count(*) FROM chosen GROUP BY 1 HAVING count(*) > 1", _TWICE)
    _refuse(con, "SELECT image_id, weight FROM chosen WHERE (weight >= 0 AND isfinite(weight)) IS NOT TRUE", _WEIGHT)
    con.execute(
        "CREATE TEMP TABLE numbered AS SELECT shard, row_number() OVER (ORDER BY shard) - 1 AS n FROM "
        "(SELECT DISTINCT shard FROM lake.shard_index WHERE image_id IN (SELECT image_id FROM chosen))"
    )
    con.execute(
        f"""CREATE TEMP TABLE picked AS
        SELECT row_number() OVER (ORDER BY bucket, n, "offset") - 1 AS pos, * FROM (
            SELECT c.image_id, coalesce({bucket}, '{UNKNOWN}') AS bucket, numbered.n, s."offset", s.size,
                   c.weight, s.xxh3
            FROM chosen AS c JOIN lake.shard_index AS s ON s.image_id = c.image_id
            JOIN numbered ON numbered.shard = s.shard {sizes}
        )"""
    )
    _refuse(
        con, f'SELECT image_id, "offset" FROM picked WHERE "offset" > {_MAX_SHARD} OR size >= 1::BIGINT << 32', _BIG
    )


_TWICE = "the selection gives image {} {} times: use SELECT DISTINCT, or give copies as a `weight`"
_WEIGHT = "the selection gives image {} the weight {}: a weight is a number >= 0, the expected copies in an epoch"
_BIG = "image {} at byte {} of its shard lies beyond what a selection can address (2 TiB shards, 4 GiB images)"


def _count(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    row = con.execute("SELECT (SELECT count(*) FROM chosen), (SELECT count(*) FROM picked)").fetchone()
    assert row is not None  # two scalar subqueries always give a row
    selected, stored = int(row[0]), int(row[1])
    if not selected:
        raise UsageError("the selection is empty: no image fits the query")
    if not stored:
        raise UsageError(f"none of the {selected} selected images is stored in the pool: run `glyphmill export` first")
    return selected, selected - stored


def _ranges(con: duckdb.DuckDBPyConnection) -> tuple[Bucket, ...]:
    rows = con.execute(
        "SELECT bucket, min(pos), max(pos) + 1, bool_or(weight <> 1) FROM picked GROUP BY bucket ORDER BY min(pos)"
    ).fetchall()
    return tuple(Bucket(str(name), int(start), int(stop), bool(weighted)) for name, start, stop, weighted in rows)


def _write_records(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    query = 'SELECT n, ("offset" - 512) // 512 AS block, size, weight, xxh3 FROM picked ORDER BY pos'
    with open(path, "wb") as file:
        for batch in _batches(con, query):
            out = np.empty(batch.num_rows, RECORD)
            for i, field in enumerate(("shard", "block", "size", "weight", "check")):
                out[field] = batch.column(i).to_numpy(zero_copy_only=False)
            out.tofile(file)


def _write_captions(con: duckdb.DuckDBPyConnection, sql: str, folder: Path, images: int) -> int:
    """Three files, see warehouse/selection.py; returns the number of captions."""
    sql = _statement(sql)
    if not {"image_id", "text"} <= set(_columns(con, sql, "captions_sql")):
        raise UsageError("captions_sql must give image_id and text")
    query = f"SELECT DISTINCT p.pos, c.text FROM ({sql}\n) AS c JOIN picked AS p ON p.image_id = c.image_id"
    _run(con, f"CREATE TEMP TABLE worded AS {query} WHERE c.text <> ''", "captions_sql")
    counts = np.zeros(images + 1, np.int64)
    total = 0
    with open(folder / "caption_text", "wb") as text, open(folder / "caption_end", "wb") as ends:
        np.zeros(1, "<u8").tofile(ends)
        for batch in _batches(con, "SELECT pos, encode(text) AS text FROM worded ORDER BY pos, text"):
            positions = batch.column(0).to_numpy(zero_copy_only=False)
            images_here, number = np.unique(positions, return_counts=True)
            counts[images_here + 1] += number
            lengths = pc.binary_length(batch.column(1)).to_numpy(zero_copy_only=False).astype(np.int64)
            text.write(_bytes_of(batch.column(1)))
            (total + np.cumsum(lengths)).astype("<u8").tofile(ends)
            total += int(lengths.sum())
    first = np.cumsum(counts)
    first.astype("<u8").tofile(folder / "caption_first")
    return int(first[-1])


def _bytes_of(texts: pa.Array) -> memoryview:
    """The bytes of a binary array, one after another; no copy."""
    width = np.int64 if pa.types.is_large_binary(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])] if len(texts) and data is not None else memoryview(b"")


def _batches(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.RecordBatch]:
    yield from con.execute(query).to_arrow_reader(_ROWS)


def _best_captions(con: duckdb.DuckDBPyConnection) -> str:
    """Captions of the best kind that an image has a usable one of; what was measured and found to be none is left out
    where there is another."""
    table, of = ("caption_pool", "caption_of") if _exists(con, "caption_pool") else ("captions", "image_id")
    unusable = "false"
    if _exists(con, "signals_captions"):
        bad = "SELECT image_id, caption_id FROM lake.signals_captions WHERE invalid IS NOT NULL"
        unusable = f"({of}, caption_id) IN ({bad})"
    return (
        f"SELECT image_id, text FROM lake.{table} QUALIFY rank() OVER (PARTITION BY image_id "
        f"ORDER BY {unusable}, coalesce(list_position({list(CAPTION_KINDS)}, kind), 99)) = 1"
    )


def _snapshot(con: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Number and time of the snapshot: a lake made anew in the same place counts from the start again."""
    row = con.execute(
        "SELECT snapshot_id, snapshot_time::VARCHAR FROM ducklake_snapshots('lake') ORDER BY snapshot_id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        raise LakeError("the lake has no snapshot: its catalog is damaged")
    return int(row[0]), str(row[1])


def _exists(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    query = "SELECT 1 FROM information_schema.tables WHERE table_catalog = 'lake' AND table_name = ?"
    return con.execute(query, [name]).fetchone() is not None


def _columns(con: duckdb.DuckDBPyConnection, sql: str, what: str) -> list[str]:
    return [str(row[0]) for row in _run(con, f"DESCRIBE SELECT * FROM ({sql}\n)", what).fetchall()]


def _run(con: duckdb.DuckDBPyConnection, sql: str, what: str) -> duckdb.DuckDBPyConnection:
    try:
        return con.execute(sql)
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        text = str(error).strip().splitlines()[0]
        raise UsageError(f"{what} cannot be run: {text}") from error


def _refuse(con: duckdb.DuckDBPyConnection, query: str, message: str) -> None:
    row = con.execute(f"{query} ORDER BY 1 LIMIT 1").fetchone()
    if row is not None:
        raise UsageError(message.format(*row))


def _statement(sql: str) -> str:
    return sql.strip().rstrip(";")
