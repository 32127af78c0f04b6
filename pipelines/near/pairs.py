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
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.engines import Engine
from pipelines.engines.local import LocalEngine
from pipelines.extractors.hashes import EXTRACTOR
from pipelines.known_text import find_known_text
from pipelines.near import banding
from pipelines.near.blocks import PAIRS, blocks, copy_out, finished, rows_of
from pipelines.near.search import Sizes, search
from pipelines.near.thumb_store import ASKED, LOOSE_TILE_DISTANCE, MEASURED, Measuring, gather, measure_some
from pipelines.progress import Progress, silent
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import LakeError
from warehouse.lake import Lake, quoted
from warehouse.schema import NEAR_COMPARED, NEAR_PAIRS

SEARCH_DISTANCE = banding.RADIUS
MAX_DISTANCE = 16  # bits of 256, for recipes
MAX_TILE_DISTANCE = 7.0  # for recipes
HASHES = EXTRACTOR.table

MEMORY = "2GB"  # DuckDB's share: what is more is spilled

# Pictures that can be compared: of the hash this code knows. Others wait until they are scanned again.
COMPARABLE = (
    f"SELECT image_id, version, phash FROM lake.{HASHES.name} WHERE status = 'ok' AND octet_length(phash) = "
    f"{banding.BITS // 8} AND split_part(version, ' (', 1) = {quoted(EXTRACTOR.version)}"
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


def near(
    lake: Lake, *, engine: Engine | None = None, sizes: Sizes | None = None, progress: Progress = silent
) -> NearSummary:
    """Compare every image that was not compared yet with all of the lake, and commit the pairs found.

    Workers of `engine` do it (None: this process); what is too little for them is done here, see `Sizes`.

    An image without a hash is compared with nothing. Killed at any moment and run again, it commits the same.
    Raises LakeBusy, LakeError.
    """
    started = time.monotonic()
    engine, sizes = engine or LocalEngine(workers=0), sizes or Sizes()
    with lake.lock("near pairs"), lake.workspace() as work:
        con = lake.connect(memory_limit=MEMORY)
        try:
            lake.ensure_tables(con, [HASHES])
            seen = lake.snapshot(con)
            compared = find_fresh(con)
            if not compared:
                return NearSummary(seconds=time.monotonic() - started)
            find_known_text(con)
            same = collapse(con, engine, work, sizes)
            found = nominate(con, engine, work, sizes, progress)
            alike = confirm(con, engine, found, work, sizes, progress)
            counts = {
                "compared": compared,
                "same": same,
                "candidates": found.candidates,
                "nominated": found.pairs,
                "rejected": found.pairs - alike,
                "near": alike,
            }
            files = {
                NEAR_PAIRS.name: pack_query(con, lake, NEAR_PAIRS, _PAIR_ROWS),
                NEAR_COMPARED.name: pack_query(con, lake, NEAR_COMPARED, "SELECT image_id, version FROM temp.fresh"),
            }
            run = RunInfo(
                command="near",
                engine=engine.name,
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
    return NearSummary(compared, same, found.candidates, found.pairs, alike, done.committed, time.monotonic() - started)


def find_fresh(con: duckdb.DuckDBPyConnection) -> int:
    """Make the temporary tables `fresh` (image_id, version, phash), images to be compared, and `again`, of these those
    compared before, and `behind` (image_id), those that stand behind another and are not fresh.

    The former had their hash measured anew, or the image that they stood behind had. Returns the number of fresh ones.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS "
        f"FROM ({COMPARABLE}) ANTI JOIN lake.near_compared USING (image_id, version)"
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE behind AS
        SELECT DISTINCT b AS image_id, a IN (SELECT image_id FROM temp.fresh) AS again
        FROM lake.near_pairs WHERE link = 'same' AND b NOT IN (SELECT image_id FROM temp.fresh)"""
    )
    con.execute(f"INSERT INTO temp.fresh FROM ({COMPARABLE}) SEMI JOIN (FROM temp.behind WHERE again) USING (image_id)")
    con.execute("DELETE FROM temp.behind WHERE again")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE again AS "
        "SELECT image_id FROM temp.fresh SEMI JOIN lake.near_compared USING (image_id)"
    )
    return _count(con, "temp.fresh")


def collapse(con: duckdb.DuckDBPyConnection, engine: Engine, work: Path, sizes: Sizes) -> int:
    """Make the temporary table `same` (a, b): fresh images equal in hash and thumbnails to another. Returns how many.

    The first is one that was compared before, else the smallest image_id. Images whose text is known, or that are
    linked as an edit pair, stand behind nobody.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE equal AS
        WITH hashed AS MATERIALIZED (
            SELECT image_id, phash, true AS fresh FROM temp.fresh ANTI JOIN temp.told USING (image_id)
            UNION ALL
            SELECT image_id, phash, false FROM ({COMPARABLE})
            SEMI JOIN temp.fresh AS f USING (phash)
            ANTI JOIN temp.fresh AS g USING (image_id) ANTI JOIN temp.behind USING (image_id)
            ANTI JOIN temp.told USING (image_id)
        )
        FROM hashed SEMI JOIN (SELECT phash FROM hashed GROUP BY phash HAVING count(*) > 1 AND bool_or(fresh))
        USING (phash)"""
    )
    equal = _count(con, "temp.equal")
    if not equal:
        con.execute("CREATE OR REPLACE TEMP TABLE same (a VARCHAR, b VARCHAR)")
        return 0
    places = gather(con, _where(engine, equal, sizes.measured), "temp.equal", work, silent)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE same AS
        WITH led AS (
            SELECT image_id, fresh,
                coalesce(min(image_id) FILTER (NOT fresh) OVER same_look, min(image_id) OVER same_look) AS first
            FROM temp.equal JOIN {places} USING (image_id) WINDOW same_look AS (PARTITION BY phash, look)
        )
        SELECT first AS a, image_id AS b FROM led WHERE fresh AND image_id <> first"""
    )
    return _count(con, "temp.same")


@dataclass(frozen=True)
class Nominated:
    """Pairs within SEARCH_DISTANCE: SQL that reads them (a, b, distance), their number, candidates, hashes searched."""

    sql: str
    pairs: int
    candidates: int
    hashes: int


def nominate(con: duckdb.DuckDBPyConnection, engine: Engine, work: Path, sizes: Sizes, progress: Progress) -> Nominated:
    """All pairs that have a fresh image. Images that stand behind another are in none."""
    fresh, old = work / "fresh.parquet", work / "old.parquet"
    row = "SELECT unhex(image_id) AS id, phash FROM"
    new = copy_out(con, f"{row} temp.fresh ANTI JOIN (SELECT b AS image_id FROM temp.same) USING (image_id)", fresh)
    others = copy_out(
        con,
        f"{row} ({COMPARABLE}) ANTI JOIN temp.fresh USING (image_id) ANTI JOIN temp.behind USING (image_id)",
        old,
    )
    where = _where(engine, new + others, sizes.here)
    parts = search(where, (fresh, new), (old, others), work, sizes, progress)
    sql = f"SELECT lower(hex(a)) AS a, lower(hex(b)) AS b, distance FROM {rows_of(parts, PAIRS)}"
    return Nominated(sql, sum(p.rows for p in parts), sum(p.candidates for p in parts), new + others)


def confirm(
    con: duckdb.DuckDBPyConnection, engine: Engine, found: Nominated, work: Path, sizes: Sizes, progress: Progress
) -> int:
    """Make the temporary table `near` (a, b, distance, tile_distance) of those pairs that are alike; their number."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE nominated AS {found.sql}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE wanted AS "
        "SELECT a AS image_id FROM temp.nominated UNION SELECT b FROM temp.nominated"
    )
    where = _where(engine, found.hashes, sizes.here)  # a few pairs of a large lake lie in many files
    con.execute(f"CREATE OR REPLACE TEMP TABLE places AS FROM {gather(con, where, 'temp.wanted', work, progress)}")
    path = work / "nominated.parquet"
    asked = copy_out(
        con,
        f"""SELECT {", ".join(ASKED)}
        FROM temp.nominated
        JOIN (SELECT image_id AS a, store AS a_store, place AS a_place, size AS a_size FROM temp.places) USING (a)
        JOIN (SELECT image_id AS b, store AS b_store, place AS b_place, size AS b_size FROM temp.places) USING (b)
        ORDER BY a_store, a_place, b_store, b_place""",
        path,
    )
    if asked != found.pairs:
        raise LakeError(f"{found.pairs} pairs were nominated and {asked} have thumbnails: run `glyphmill verify`")
    units = [Measuring(block, str(work)) for block in blocks(path, asked, sizes.measured)]
    measuring = _where(engine, asked, sizes.measured)
    parts = list(finished(measuring, measure_some, units, progress, "measuring"))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE near AS SELECT least(a, b) AS a, greatest(a, b) AS b, distance, tile_distance "
        f"FROM {rows_of(parts, MEASURED)}"
    )
    return sum(part.rows for part in parts)


def _where(engine: Engine, count: int, little: int) -> Engine:
    """This process where there is too little to do for a worker's start."""
    return LocalEngine(workers=0) if count <= little else engine


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
