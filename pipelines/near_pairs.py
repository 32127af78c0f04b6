"""Near pairs: every pair of pictures that look alike, found by hash and measured on thumbnails, new against all.

The hash nominates: pairs within SEARCH_DISTANCE are all found. The thumbnails confirm: pairs are stored with their tile
distance up to LOOSE_TILE_DISTANCE, so that a recipe may set its limits anywhere below. Sensible ones are MAX_DISTANCE
and MAX_TILE_DISTANCE: re-encoded and resized copies lie within, pages that differ in a word without. Pictures equal in
hash and thumbnails are the same to every measure here: all but the first of them stand behind it (link = same) and are
compared no further, so that a million blank pages cost no more than one.

What is stored depends on the pictures alone; which of equal pictures is the first depends on which came first, and no
decision on that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pipelines import banding
from pipelines.engines import Engine
from pipelines.extractors.hashes import EXTRACTOR
from pipelines.known_text import find_known_text
from pipelines.progress import Progress, silent
from pipelines.thumb_store import LOOSE_TILE_DISTANCE, ThumbStore, measure
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake, quoted
from warehouse.schema import NEAR_COMPARED, NEAR_PAIRS

SEARCH_DISTANCE = banding.RADIUS
MAX_DISTANCE = 16  # bits of 256, for recipes
MAX_TILE_DISTANCE = 7.0  # for recipes
HASHES = EXTRACTOR.table

MEASURED = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("distance", pa.int16()), ("tile", pa.float32())])
MEMORY = "2GB"  # DuckDB's share: what is more is spilled
AT_ONCE = 1 << 16  # measured pairs handed to DuckDB at a time

# Pictures that can be compared: of the hash this code knows. Others wait until they are scanned again.
COMPARABLE = (
    f"SELECT image_id, version, phash FROM lake.{HASHES.name} WHERE status = 'ok' AND octet_length(phash) = "
    f"{banding.BITS // 8} AND octet_length(thumb64) = 4096 AND detail IS NOT NULL "
    f"AND split_part(version, ' (', 1) = {quoted(EXTRACTOR.version)}"
)


@dataclass(frozen=True)
class NearSummary:
    """What a pass did. `candidates` met under some key, `nominated` of them lay within SEARCH_DISTANCE."""

    compared: int = 0
    same: int = 0
    candidates: int = 0
    nominated: int = 0
    near: int = 0
    committed: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.compared:
            return "nothing new to compare"
        return (
            f"{self.compared} images compared, {self.seconds:.1f} s: {self.same} the same as another, "
            f"{self.nominated} pairs nominated, {self.near} of them alike"
        )


def near(lake: Lake, *, engine: Engine | None = None, progress: Progress = silent) -> NearSummary:
    """Compare every image that was not compared yet with all of the lake, and commit the pairs found.

    An image without a hash is compared with nothing. Killed at any moment and run again, it commits the same.
    Raises LakeBusy, LakeError.
    """
    started = time.monotonic()
    with lake.lock("near pairs"), lake.workspace() as work:
        con = lake.connect(memory_limit=MEMORY)
        try:
            lake.ensure_tables(con, [HASHES])
            seen = lake.snapshot(con)
            compared = find_fresh(con)
            if not compared:
                return NearSummary(seconds=time.monotonic() - started)
            find_known_text(con)
            same = collapse(con)
            tally = banding.Tally()
            alike = compare(con, work, tally, progress)
            counts = {
                "compared": compared,
                "same": same,
                "candidates": tally.candidates,
                "nominated": tally.found,
                "rejected": tally.found - alike,
                "near": alike,
            }
            files = {
                NEAR_PAIRS.name: pack_query(con, lake, NEAR_PAIRS, _PAIR_ROWS),
                NEAR_COMPARED.name: pack_query(con, lake, NEAR_COMPARED, "SELECT image_id, version FROM temp.fresh"),
            }
            run = RunInfo(
                command="near",
                engine=engine.name if engine is not None else "local",
                versions={"hashes": EXTRACTOR.version, "search": SEARCH_DISTANCE, "loose": LOOSE_TILE_DISTANCE},
                counts=counts,
                seconds=time.monotonic() - started,
                snapshot=seen,
            )
            again = "SELECT image_id FROM temp.again"
            replace = {
                NEAR_PAIRS.name: f"a IN ({again}) OR b IN ({again})",
                NEAR_COMPARED.name: f"image_id IN ({again})",
            }
            anew = _count(con, "temp.again") > 0
            done = commit(con, lake, run, files, replace=replace if anew else None)
        finally:
            con.close()
    return NearSummary(compared, same, tally.candidates, tally.found, alike, done.committed, time.monotonic() - started)


def find_fresh(con: duckdb.DuckDBPyConnection) -> int:
    """Make the temporary tables `fresh` (image_id, version), images to be compared, and `again`, those compared before.

    These had their hash measured anew, or the image that they stood behind had. Returns the number of fresh ones.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT image_id, version FROM ({COMPARABLE}) ANTI JOIN lake.near_compared USING (image_id, version)"""
    )
    con.execute(
        f"""INSERT INTO temp.fresh
        SELECT image_id, version FROM ({COMPARABLE})
        WHERE image_id IN (SELECT b FROM lake.near_pairs WHERE link = 'same' AND a IN (SELECT image_id FROM temp.fresh))
        AND image_id NOT IN (SELECT image_id FROM temp.fresh)"""
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE again AS "
        "SELECT image_id FROM temp.fresh SEMI JOIN lake.near_compared USING (image_id)"
    )
    return _count(con, "temp.fresh")


def collapse(con: duckdb.DuckDBPyConnection) -> int:
    """Make the temporary table `same` (a, b): fresh images equal in hash and thumbnails to another. Returns how many.

    The first is one that was compared before, else the smallest image_id. Images whose text is known, or that are
    linked as an edit pair, stand behind nobody.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE same AS
        WITH hashed AS (
            SELECT image_id, phash, image_id IN (SELECT image_id FROM temp.fresh) AS fresh
            FROM ({COMPARABLE})
            WHERE image_id NOT IN (SELECT image_id FROM temp.told)
            AND (image_id IN (SELECT image_id FROM temp.fresh)
                OR image_id NOT IN (SELECT b FROM lake.near_pairs WHERE link = 'same'))
        ),
        equal AS MATERIALIZED (
            SELECT image_id, phash, fresh FROM hashed
            SEMI JOIN (SELECT phash FROM hashed GROUP BY phash HAVING count(*) > 1 AND bool_or(fresh)) USING (phash)
        ),
        looks AS (
            SELECT image_id, phash, fresh, md5(thumb64 || detail) AS look
            FROM equal JOIN (SELECT image_id, thumb64, detail FROM lake.{HASHES.name}) USING (image_id)
        ),
        led AS (
            SELECT image_id, fresh,
                coalesce(min(image_id) FILTER (NOT fresh) OVER same_look, min(image_id) OVER same_look) AS first
            FROM looks WINDOW same_look AS (PARTITION BY phash, look)
        )
        SELECT first AS a, image_id AS b FROM led WHERE fresh AND image_id <> first"""
    )
    return _count(con, "temp.same")


def compare(con: duckdb.DuckDBPyConnection, work: Path, tally: banding.Tally, progress: Progress) -> int:
    """Make the temporary table `near` (a, b, distance, tile_distance); returns its number of pairs."""
    ids, hashes, fresh = load_hashes(con)
    con.execute("CREATE OR REPLACE TEMP TABLE near (a VARCHAR, b VARCHAR, distance SMALLINT, tile_distance FLOAT)")
    tables = len(banding.TABLES)
    nominated = _joined(
        banding.near(hashes, fresh=fresh, tally=tally, step=lambda n, _: progress(n, 2 * tables, "searching"))
    )
    if not len(nominated.a):
        return 0
    rows, slots = np.unique(np.concatenate([nominated.a, nominated.b]), return_inverse=True)
    a, b = slots[: len(nominated.a)], slots[len(nominated.a) :]
    store = ThumbStore.fill(con, work, ids.take(pa.array(rows)))
    total = 0
    for start in range(0, len(a), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        tile = measure(store, a[part], b[part])
        alike = tile <= LOOSE_TILE_DISTANCE
        columns = (nominated.a[part], nominated.b[part], nominated.distance[part], tile)
        _keep(con, ids, pa.table(dict(zip(MEASURED.names, (c[alike] for c in columns), strict=True)), schema=MEASURED))
        total += int(alike.sum())
        progress(tables + tables * min(start + AT_ONCE, len(a)) // len(a), 2 * tables, "measuring")
    return total


def load_hashes(con: duckdb.DuckDBPyConnection) -> tuple[pa.Array, banding.Hashes, int]:
    """Ids and hashes of all images that stand behind none, the fresh ones first, and how many these are."""
    table = con.execute(
        f"""SELECT image_id, phash, image_id IN (SELECT image_id FROM temp.fresh) AS fresh FROM ({COMPARABLE})
        WHERE image_id NOT IN (SELECT b FROM temp.same)
        AND (fresh OR image_id NOT IN (SELECT b FROM lake.near_pairs WHERE link = 'same'))
        ORDER BY fresh DESC, image_id"""
    ).to_arrow_table()
    column: pa.FixedSizeBinaryArray = table["phash"].combine_chunks().cast(pa.binary(banding.BITS // 8))
    size = banding.BITS // 8
    hashes = np.frombuffer(column.buffers()[1], np.uint8, len(column) * size, column.offset * size)
    fresh = int(np.count_nonzero(table["fresh"].to_numpy()))
    return table["image_id"].combine_chunks(), hashes.reshape(len(column), -1), fresh


def _keep(con: duckdb.DuckDBPyConnection, ids: pa.Array, measured: pa.Table) -> None:
    found = pa.table(
        {
            "x": ids.take(measured["a"]),
            "y": ids.take(measured["b"]),
            "distance": measured["distance"],
            "tile": measured["tile"],
        }
    )
    con.register("found", found)
    con.execute("INSERT INTO temp.near SELECT least(x, y), greatest(x, y), distance, tile FROM found")
    con.unregister("found")


def _joined(chunks: Iterable[banding.Pairs]) -> banding.Pairs:
    found = list(chunks)
    a = np.concatenate([np.empty(0, np.int64), *(c.a for c in found)])
    b = np.concatenate([np.empty(0, np.int64), *(c.b for c in found)])
    return banding.Pairs(a, b, np.concatenate([np.empty(0, np.int16), *(c.distance for c in found)]))


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


# The text of a pair differs where both are known and are not equal, and where the pair is an edit pair.
_PAIR_ROWS = """
    SELECT a, b, link, distance, tile_distance,
        CASE WHEN e.image IS NOT NULL THEN true ELSE x.text <> y.text END AS text_differs
    FROM (
        SELECT a, b, 'near' AS link, distance, tile_distance FROM temp.near
        UNION ALL
        SELECT a, b, 'same', 0::SMALLINT, 0::FLOAT FROM temp.same
    )
    LEFT JOIN temp.told AS x ON x.image_id = a
    LEFT JOIN temp.told AS y ON y.image_id = b
    LEFT JOIN temp.edited AS e ON e.image = a AND e.other = b
"""
