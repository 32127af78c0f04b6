"""Balance, stages 6 and 7: of the images that every rule keeps, as many of each leaf and track as the targets want.

Counts are made in SQL, quotas of them in plain arithmetic (`quota`), and images are taken in SQL by a hash of their id:
the same images on every run, engine and thread count, and a larger quota only adds to a smaller one's. What is lacking
becomes rows of `actions`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import duckdb
import pyarrow as pa

from pipelines.balancing.actions import ASKER, requests
from pipelines.balancing.entry import BalanceEntry
from pipelines.balancing.pool import count_cells, find_pool
from pipelines.balancing.quota import Plan, plan, track_cells
from pipelines.balancing.summary import BalanceSummary, floors, summarise
from pipelines.balancing.take import LATE, ROWS, take, weigh_images
from pipelines.balancing.tokens import count_tokens, find_tokens, weigh
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import Taxonomy, load_taxonomy
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.schema import ACTIONS, BALANCE, TAXONOMY, TEXT_TOKENS

STEPS = 6


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
            supply = count_cells(con)
            made = plan_leaves(supply, taxonomy, entry)
            progress(1, STEPS, "taking")
            take(con, supply, track_cells(made.taken, supply, floors(made, entry)), entry)
            progress(2, STEPS, "weighing text")
            text_images = find_tokens(con)
            weigh(con, entry.tokens)
            weigh_images(con, made, entry)
            count_tokens(con)
            progress(3, STEPS, "packing")
            summary = summarise(con, recipe, taxonomy, entry, made, supply, text_images)
            asked = requests(
                recipe.hash,
                made,
                {leaf.name: leaf.supply for leaf in summary.leaves},
                summary.lacking_tracks,
                _rare(con, entry),
                entry.tokens.minimum,
            )
            summary = replace(summary, actions=len(asked))
            if not dry_run:
                _register(con, "targets", TAXONOMY.from_rows(_targets(recipe, taxonomy, entry, made)))
                _register(con, "asked", ACTIONS.from_rows(asked))
                own = {"recipe": quoted(recipe.hash)}
                files = {
                    BALANCE.name: pack_query(con, lake, BALANCE, ROWS, {**own, **LATE}),
                    TEXT_TOKENS.name: pack_query(con, lake, TEXT_TOKENS, "FROM temp.token_rows", own),
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
                    counts=summary.counts(),
                    seconds=time.monotonic() - started,
                    snapshot=seen,
                )
                replaced = dict.fromkeys((BALANCE.name, TEXT_TOKENS.name, TAXONOMY.name), mine)
                replaced[ACTIONS.name] = f"{mine} AND created_by = {quoted(ASKER)} AND status = 'open'"
                committed = commit(con, lake, run, files, replace=replaced).committed
                summary = replace(summary, committed=committed)
            progress(STEPS, STEPS)
        finally:
            con.close()
    return replace(summary, seconds=time.monotonic() - started)


def plan_leaves(supply: Mapping[tuple[str, str], int], taxonomy: Taxonomy, entry: BalanceEntry) -> Plan:
    """The plan of stage 6 from the images there are of each leaf and cell."""
    by_leaf: Counter[str] = Counter()
    for (leaf, _), images in supply.items():
        by_leaf[leaf] += images
    return plan(
        {leaf.path: leaf.share for leaf in taxonomy.leaves},
        by_leaf,
        {leaf.path: leaf.class_name for leaf in taxonomy.leaves},
        size=entry.size,
        tolerance=entry.tolerance,
        keep=entry.keep,
    )


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
    least = floors(made, entry)
    tracks = [
        {
            **shared,
            "kind": "track",
            "place": place,
            "category": track.name,
            "category_class": track.class_name,
            "target": getattr(entry.tracks, track.name),
            "quota": least[track.name],
        }
        for place, track in enumerate(taxonomy.tracks)
    ]
    return [*leaves, *tracks]


def _register(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    con.register("registered", table)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM registered")
    con.unregister("registered")


# What was asked before and is done or refused is not asked again.
_NEW_ACTIONS = "FROM asked ANTI JOIN (SELECT action_id FROM lake.actions WHERE status <> 'open') USING (action_id)"
