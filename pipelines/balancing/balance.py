"""Balance, stages 6 and 7: of the images that every rule keeps, as many of each leaf and track as the targets want.

Counts are made in SQL, quotas of them in plain arithmetic (`balance_quota`), and images are taken in SQL by a hash of
their id: the same images on every run, engine and thread count, and a larger quota only adds to a smaller one's. What
is lacking becomes rows of `actions`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from pipelines.balancing.actions import ASKER, requests
from pipelines.balancing.entry import BalanceEntry
from pipelines.balancing.quality import PARTS, quality
from pipelines.balancing.quota import GENERAL, Plan, plan, track_cells
from pipelines.balancing.tokens import Gini, count_tokens, find_tokens, inequality, weigh
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import Taxonomy, load_taxonomy
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe, stored_tables
from pipelines.signals import known_signals, relation
from warehouse import views
from warehouse.buckets import nearest_sql
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake, quoted
from warehouse.schema import ACTIONS, BALANCE, TAXONOMY, TEXT_TOKENS

STEPS = 6
SALT = "balance"  # so that this choice has nothing to do with any other by hash
ENOUGH_PIXELS = 0.9  # of a scale's side: enlarging by a tenth teaches no blur
TRACKS = ("text", "portrait")


@dataclass(frozen=True)
class Balanced:
    """One leaf or track as balanced. `target` 0 to 1; `stage6` and `stage7`: images taken; `copies`: their weights."""

    name: str
    class_name: str | None
    target: float
    supply: int
    quota: int
    stage6: int
    stage7: int
    copies: float

    @property
    def deficit(self) -> int:
        """Images that lack: what there is does not fill the quota."""
        return max(0, self.quota - self.supply)


@dataclass(frozen=True)
class BalanceSummary:
    """What stages 6 and 7 make of a recipe's images. `uncategorised` and `ai_generated` images are left out.

    `committed` is False where the lake said the same before, and in a dry run.
    """

    recipe: str
    name: str
    size: int
    kept: int
    uncategorised: int
    ai_generated: int
    leaves: tuple[Balanced, ...]
    tracks: tuple[Balanced, ...]
    classes: Mapping[str, int]
    scarce: frozenset[str]
    gini: tuple[Gini, ...]
    actions: int
    committed: bool = False
    seconds: float = 0.0
    text_images: int = field(default=0)

    @property
    def stage6(self) -> int:
        return sum(leaf.stage6 for leaf in self.leaves)

    @property
    def stage7(self) -> int:
        return sum(leaf.stage7 for leaf in self.leaves)

    @property
    def deficit(self) -> int:
        return sum(leaf.deficit for leaf in self.leaves)


def balance(
    lake: Lake,
    recipe: Recipe,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> BalanceSummary:
    """Balance the images that `recipe` keeps and commit the rows in place of those the recipe had before.

    Balancing again with nothing changed commits nothing; a dry run writes nothing at all. Raises UsageError for a
    recipe without [balance] or a taxonomy that cannot be read, LakeError where the recipe was not decided yet,
    LakeBusy.
    """
    started = time.monotonic()
    entry = recipe.balance
    if entry is None:
        raise UsageError(f"recipe {recipe.name} has no section [balance]: add one, see docs/balance.md")
    taxonomy = load_taxonomy(entry.taxonomy)
    with lake.lock("balance"):
        lake.tmp.mkdir(parents=True, exist_ok=True)
        con = lake.connect()
        try:
            lake.ensure_tables(con, (CATEGORY, BALANCE, TAXONOMY, TEXT_TOKENS, ACTIONS))
            views.refresh(con)
            seen = lake.snapshot(con)
            progress(0, STEPS, "counting")
            find_pool(con, recipe, taxonomy)
            made, cells = quotas(con, taxonomy, entry)
            progress(1, STEPS, "taking")
            take(con, cells, entry)
            progress(2, STEPS, "weighing text")
            text_images = find_tokens(con)
            weigh(con, entry.tokens)
            weigh_images(con, made, entry)
            count_tokens(con)
            progress(3, STEPS, "packing")
            summary = _summary(con, recipe, taxonomy, entry, made, text_images)
            asked = requests(
                recipe.hash, made, _supply(con), _track_deficits(summary), _rare(con, entry), entry.tokens.minimum
            )
            if not dry_run:
                _register(con, "targets", TAXONOMY.from_rows(_targets(recipe, taxonomy, entry, made)))
                _register(con, "asked", ACTIONS.from_rows(asked))
                files = {
                    BALANCE.name: pack_query(con, lake, BALANCE, _rows(recipe)),
                    TEXT_TOKENS.name: pack_query(con, lake, TEXT_TOKENS, _token_rows(recipe)),
                    TAXONOMY.name: pack_query(con, lake, TAXONOMY, "FROM targets"),
                    ACTIONS.name: pack_query(con, lake, ACTIONS, _NEW_ACTIONS),
                }
                progress(4, STEPS, "committing")
                mine = f"recipe = {quoted(recipe.hash)}"
                run = RunInfo(
                    command="balance",
                    engine="sql",
                    recipe=recipe.hash,
                    versions={"duckdb": duckdb.__version__, "taxonomy": taxonomy.hash},
                    counts=_counts(summary, len(asked)),
                    seconds=time.monotonic() - started,
                    snapshot=seen,
                )
                replaced = dict.fromkeys((BALANCE.name, TEXT_TOKENS.name, TAXONOMY.name), mine)
                replaced[ACTIONS.name] = f"{mine} AND created_by = {quoted(ASKER)} AND status = 'open'"
                committed = commit(con, lake, run, files, replace=replaced).committed
            else:
                committed = False
            progress(STEPS, STEPS)
        finally:
            con.close()
    values = {**vars(summary), "actions": len(asked), "committed": committed, "seconds": time.monotonic() - started}
    return BalanceSummary(**values)


def find_pool(con: duckdb.DuckDBPyConnection, recipe: Recipe, taxonomy: Taxonomy) -> None:
    """Make the temporary table `pool`: a row per kept image with its category, cell, quality, scale and bucket.

    `cell` is the track that counts for quotas: text where the image is of the class of stage 6 that the text track
    stands for, else portrait, else general; NULL where the image cannot be taken. Raises LakeError where nothing was
    decided with the recipe.
    """
    (decided,) = con.execute("SELECT count(*) FROM lake.decisions WHERE recipe = ?", [recipe.hash]).fetchall()[0]
    if not decided:
        raise LakeError(f"recipe {recipe.name} was not decided yet in this lake: run glyphmill decide with it first")
    known = known_signals(stored_tables(con))
    expression, used = quality([name for part in PARTS for name in part.signals if name in known])
    signals = [known[n] for n in dict.fromkeys((*used, *(n for n in ("width", "height") if n in known)))]
    size = "sqrt(width::DOUBLE * height)" if {"width", "height"} <= known.keys() else "NULL::DOUBLE"
    scales = " ".join(
        f"WHEN {size} >= {ENOUGH_PIXELS * side!r} THEN {side}"
        for side in sorted((scale.side for scale in recipe.scales), reverse=True)
    )
    bucket = nearest_sql("width", "height") if {"width", "height"} <= known.keys() else "NULL::VARCHAR"
    text_class = "NULL" if taxonomy.text_class is None else quoted(taxonomy.text_class)
    paths = ", ".join(quoted(path) for path in taxonomy.paths)
    synthetic = ", ".join(quoted(leaf.path) for leaf in taxonomy.leaves if leaf.synthetic) or "NULL"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pool AS
        SELECT image_id, category, category_class, tracks, coalesce(ai_generated, false) AS ai_generated,
            md5({quoted(SALT)} || image_id) AS draw,
            CASE WHEN category IS NULL OR ai_generated THEN NULL
                WHEN category IN ({synthetic}) THEN {quoted(GENERAL)}
                WHEN category_class = {text_class} THEN 'text'
                WHEN list_contains(tracks, 'portrait') THEN 'portrait'
                ELSE {quoted(GENERAL)} END AS cell,
            {expression} AS quality, CASE {scales} END::INTEGER AS scale, {bucket} AS bucket
        FROM (SELECT image_id FROM lake.decisions WHERE recipe = {quoted(recipe.hash)} AND outcome = 'kept')
        LEFT JOIN (
            SELECT image_id, category_class, ai_generated,
                CASE WHEN category IN ({paths}) THEN category END AS category,
                list_filter(
                    [CASE WHEN text_track THEN 'text' END, CASE WHEN portrait_track THEN 'portrait' END],
                    lambda t: t IS NOT NULL
                ) AS tracks
            FROM lake.{CATEGORY.name} WHERE status = 'ok'
        ) USING (image_id)
        LEFT JOIN ({relation(signals, "lake.")}) USING (image_id)"""
    )


def quotas(
    con: duckdb.DuckDBPyConnection, taxonomy: Taxonomy, entry: BalanceEntry
) -> tuple[Plan, dict[tuple[str, str], int]]:
    """The plan of stage 6 and the images to take of each leaf and track, from the counts of `pool`."""
    supply = {
        (leaf, cell): n
        for leaf, cell, n in con.execute(
            "SELECT category, cell, count(*) FROM temp.pool WHERE cell IS NOT NULL GROUP BY category, cell"
        ).fetchall()
    }
    by_leaf = {leaf.path: 0 for leaf in taxonomy.leaves}
    for (leaf, _), images in supply.items():
        by_leaf[leaf] += images
    made = plan(
        {leaf.path: leaf.share for leaf in taxonomy.leaves},
        by_leaf,
        {leaf.path: leaf.class_name for leaf in taxonomy.leaves},
        size=entry.size,
        tolerance=entry.tolerance,
        keep=entry.keep,
    )
    return made, track_cells(made.taken, supply, _floors(made, entry))


def take(con: duckdb.DuckDBPyConnection, cells: Mapping[tuple[str, str], int], entry: BalanceEntry) -> None:
    """Make the temporary table `chosen` (image_id, quality_rank, stage7): stage 6 by hash, stage 7 the best of those.

    Images of unknown quality rank last. Stage 7 takes the same share of every leaf and track, rounded up.
    """
    listed = [{"category": leaf, "cell": cell, "quota": quota} for (leaf, cell), quota in sorted(cells.items())]
    schema = pa.schema([("category", pa.string()), ("cell", pa.string()), ("quota", pa.int64())])
    _register(con, "cells", pa.Table.from_pylist(listed, schema=schema))
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE chosen AS
        WITH drawn AS (
            SELECT image_id, category, cell, quality, draw, quota FROM temp.pool JOIN cells USING (category, cell)
            QUALIFY row_number() OVER (PARTITION BY category, cell ORDER BY draw, image_id) <= quota
        )
        SELECT image_id,
            row_number() OVER (PARTITION BY category, cell ORDER BY quality DESC NULLS LAST, draw, image_id)
                AS quality_rank,
            quality_rank <= ceil({entry.best_of_leaf!r} * quota) AS stage7
        FROM drawn"""
    )


def weigh_images(con: duckdb.DuckDBPyConnection, made: Plan, entry: BalanceEntry) -> None:
    """Make the temporary table `result`: the rows of `balance` but for the recipe."""
    repeat = {
        leaf: min(entry.max_repeat, made.quotas[leaf] / taken) if taken else 1.0 for leaf, taken in made.taken.items()
    }
    schema = pa.schema([("category", pa.string()), ("copies", pa.float64())])
    listed = [{"category": leaf, "copies": copies} for leaf, copies in sorted(repeat.items())]
    _register(con, "repeats", pa.Table.from_pylist(listed, schema=schema))
    con.execute(
        """CREATE OR REPLACE TEMP TABLE result AS
        SELECT p.image_id, p.category, p.category_class, coalesce(p.tracks, []) AS tracks,
            CASE WHEN p.cell IS NOT NULL THEN least(1, coalesce(quota, 0) / count(*) OVER cell) END::DOUBLE
                AS probability,
            c.image_id IS NOT NULL AS stage6, coalesce(c.stage7, false) AS stage7,
            p.quality, c.quality_rank, p.scale, p.bucket,
            CASE WHEN c.image_id IS NULL THEN 0 ELSE round(r.copies * coalesce(f.factor, 1), 4) END::FLOAT AS weight
        FROM temp.pool p
        LEFT JOIN temp.chosen c USING (image_id)
        LEFT JOIN temp.token_factors f USING (image_id)
        LEFT JOIN cells q ON q.category = p.category AND q.cell = p.cell
        LEFT JOIN repeats r ON r.category = p.category
        WINDOW cell AS (PARTITION BY p.category, p.cell)"""
    )


def _floors(made: Plan, entry: BalanceEntry) -> dict[str, int]:
    total = sum(made.taken.values())
    return {track: math.ceil(getattr(entry.tracks, track) * total) for track in TRACKS}


def _supply(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = con.execute("SELECT category, count(*) FROM temp.pool WHERE cell IS NOT NULL GROUP BY category").fetchall()
    return dict(found)


def _summary(
    con: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    taxonomy: Taxonomy,
    entry: BalanceEntry,
    made: Plan,
    text_images: int,
) -> BalanceSummary:
    kept, uncategorised, generated = con.execute(
        "SELECT count(*), count(*) FILTER (category IS NULL), count(*) FILTER (ai_generated) FROM temp.pool"
    ).fetchall()[0]
    told = "count(*), count(*) FILTER (stage6), count(*) FILTER (stage7), sum(round(weight::DOUBLE * 10000)::BIGINT)"
    by_leaf = {
        leaf: tuple(row)
        for leaf, *row in con.execute(
            f"SELECT category, {told} FROM temp.result SEMI JOIN (FROM temp.pool WHERE cell IS NOT NULL) "
            "USING (image_id) GROUP BY category"
        ).fetchall()
    }
    by_track = {
        track: tuple(row)
        for track, *row in con.execute(
            f"SELECT cell, {told} FROM temp.result JOIN (SELECT image_id, cell FROM temp.pool) USING (image_id) "
            "GROUP BY cell"
        ).fetchall()
    }
    classes = dict(
        con.execute(
            "SELECT category_class, count(*) FROM temp.result WHERE stage6 GROUP BY category_class ORDER BY 1"
        ).fetchall()
    )
    floors = _floors(made, entry)
    names = {track.name: track.class_name for track in taxonomy.tracks}
    none = (0, 0, 0, 0)

    def balanced(name: str, owner: str | None, target: float, quota: int, row: tuple[int, ...]) -> Balanced:
        return Balanced(name, owner, target, row[0], quota, row[1], row[2], row[3] / 10_000)

    return BalanceSummary(
        recipe=recipe.hash,
        name=recipe.name,
        size=made.size,
        kept=kept,
        uncategorised=uncategorised,
        ai_generated=generated,
        leaves=tuple(
            balanced(x.path, x.class_name, x.share, made.quotas[x.path], by_leaf.get(x.path, none))
            for x in taxonomy.leaves
        ),
        tracks=tuple(
            balanced(t, names[t], getattr(entry.tracks, t), floors[t], by_track.get(t, none))
            for t in TRACKS
            if t in names
        ),
        classes=classes,
        scarce=made.scarce,
        gini=inequality(con),
        actions=0,
        text_images=text_images,
    )


def _track_deficits(summary: BalanceSummary) -> dict[str, tuple[int, int]]:
    return {t.name: (t.quota, t.supply) for t in summary.tracks if t.deficit}


def _rare(con: duckdb.DuckDBPyConnection, entry: BalanceEntry) -> dict[int, tuple[tuple[str, int], ...]]:
    """Characters of the asked levels that fewer than `minimum` images show."""
    found: dict[int, tuple[tuple[str, int], ...]] = {}
    for level in entry.tokens.levels if entry.tokens.minimum else ():
        found[level] = tuple(
            con.execute(
                "SELECT token, images FROM temp.token_rows WHERE level = ? AND images < ? ORDER BY images, token",
                [level, entry.tokens.minimum],
            ).fetchall()
        )
    return found


def _targets(recipe: Recipe, taxonomy: Taxonomy, entry: BalanceEntry, made: Plan) -> list[dict[str, object]]:
    shared = {"recipe": recipe.hash, "taxonomy": f"{taxonomy.name}:{taxonomy.hash}"}
    leaves = [
        {
            **shared,
            "kind": "leaf",
            "place": place,
            "category": leaf.path,
            "category_class": leaf.class_name,
            "target": leaf.share,
            "quota": made.quotas[leaf.path],
        }
        for place, leaf in enumerate(taxonomy.leaves)
    ]
    floors = _floors(made, entry)
    tracks = [
        {
            **shared,
            "kind": "track",
            "place": place,
            "category": track.name,
            "category_class": track.class_name,
            "target": getattr(entry.tracks, track.name),
            "quota": floors[track.name],
        }
        for place, track in enumerate(taxonomy.tracks)
    ]
    return [*leaves, *tracks]


def _counts(summary: BalanceSummary, asked: int) -> dict[str, object]:
    return {
        "kept": summary.kept,
        "size": summary.size,
        "stage6": summary.stage6,
        "stage7": summary.stage7,
        "deficit": summary.deficit,
        "uncategorised": summary.uncategorised,
        "ai_generated": summary.ai_generated,
        "actions": asked,
        **{f"gini_{g.kind}s": [g.before, g.after] for g in summary.gini},
    }


def _rows(recipe: Recipe) -> str:
    return f"SELECT *, {quoted(recipe.hash)} AS recipe FROM temp.result"


def _token_rows(recipe: Recipe) -> str:
    return f"SELECT *, {quoted(recipe.hash)} AS recipe FROM temp.token_rows"


def _register(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    con.register("registered", table)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM registered")
    con.unregister("registered")


# What was asked before and is done or refused is not asked again.
_NEW_ACTIONS = "FROM asked ANTI JOIN (SELECT action_id FROM lake.actions WHERE status <> 'open') USING (action_id)"
