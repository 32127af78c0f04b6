"""The pool that balance takes from: a row per kept image with its leaf, cell, quality, scale and bucket.

A cell is a leaf's images of one track. Later steps name an image by its row in the pool (`rowid`), a leaf and a cell by
an ENUM: ten million ids of 32 letters are carried once and not through every sort and join.
"""

from __future__ import annotations

import duckdb

from pipelines.balancing.quality import PARTS, quality
from pipelines.balancing.quota import GENERAL
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import Taxonomy
from pipelines.recipe import Recipe, stored_tables
from pipelines.signals import Signal, known_signals, source_of
from warehouse.buckets import nearest_sql
from warehouse.errors import LakeError
from warehouse.lake import quoted

ENOUGH_PIXELS = 0.9  # of a scale's side: enlarging by a tenth teaches no blur
TRACKS = ("text", "portrait")
SIDES = ("width", "height")


def find_pool(con: duckdb.DuckDBPyConnection, recipe: Recipe, taxonomy: Taxonomy) -> None:
    """Make the temporary table `pool`.

    `cell` is the track that counts for quotas: text where the image is of the class of stage 6 that the text track
    stands for, else portrait, else general; NULL where the image cannot be taken. Raises LakeError where nothing was
    decided with the recipe.
    """
    (decided,) = con.execute("SELECT count(*) FROM lake.recipes WHERE recipe = ?", [recipe.hash]).fetchall()[0]
    if not decided:
        raise LakeError(f"recipe {recipe.name} was not decided yet in this lake: run glyphmill decide with it first")
    known = known_signals(stored_tables(con))
    expression, used = quality([name for part in PARTS for name in part.signals if name in known])
    scale, bucket = "NULL", "NULL::VARCHAR"
    if known.keys() >= {*SIDES}:
        scale, bucket = _scale(recipe), nearest_sql(*SIDES)
        used = tuple(dict.fromkeys((*used, *SIDES)))
    text_class = "NULL" if taxonomy.text_class is None else quoted(taxonomy.text_class)
    synthetic = ", ".join(quoted(leaf.path) for leaf in taxonomy.leaves if leaf.synthetic) or "NULL"
    con.execute(f"CREATE OR REPLACE TEMP TYPE leaf_name AS ENUM ({', '.join(map(quoted, taxonomy.paths))})")
    con.execute(f"CREATE OR REPLACE TEMP TYPE cell_name AS ENUM ({', '.join(map(quoted, (GENERAL, *TRACKS)))})")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pool AS
        SELECT image_id, leaf, category_class, text_track, portrait_track, ai_generated,
            CASE WHEN leaf IS NULL OR ai_generated THEN NULL
                WHEN leaf IN ({synthetic}) THEN {quoted(GENERAL)}
                WHEN category_class = {text_class} THEN 'text'
                WHEN portrait_track THEN 'portrait'
                ELSE {quoted(GENERAL)} END::cell_name AS cell,
            {expression} AS quality, {scale}::INTEGER AS scale, {bucket} AS bucket
        FROM (SELECT image_id FROM lake.decisions WHERE recipe = {quoted(recipe.hash)} AND outcome = 'kept')
        LEFT JOIN (
            SELECT image_id, TRY_CAST(category AS leaf_name) AS leaf, category_class, text_track, portrait_track,
                ai_generated
            FROM lake.{CATEGORY.name} WHERE status = 'ok'
        ) USING (image_id)
        {_joins([known[name] for name in used])}"""
    )


def count_cells(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], int]:
    """Images in the pool of each leaf and cell; those that cannot be taken are not counted."""
    found = con.execute("SELECT leaf, cell, count(*) FROM temp.pool WHERE cell IS NOT NULL GROUP BY leaf, cell")
    return {(leaf, cell): images for leaf, cell, images in found.fetchall()}


def _scale(recipe: Recipe) -> str:
    """SQL of the largest scale that an image has the pixels for."""
    sides = sorted((scale.side for scale in recipe.scales), reverse=True)
    cases = " ".join(f"WHEN sqrt(width::DOUBLE * height) >= {ENOUGH_PIXELS * side!r} THEN {side}" for side in sides)
    return f"CASE {cases} END"


def _joins(signals: list[Signal]) -> str:
    tables = dict.fromkeys(signal.table for signal in signals)
    sources = (source_of(table, [s for s in signals if s.table == table], "lake.") for table in tables)
    return "\n".join(f"LEFT JOIN ({source}) USING (image_id)" for source in sources)
