"""Decide: a recipe's rules over stored signals. Every image ends kept, dropped, pending or duplicate; no byte is read.

One SQL join asks every rule of every image and keeps the answers as bits. The few distinct answers are made into
verdicts in Python, near duplicates among the passing images are resolved, and the rows replace those the recipe had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from pipelines import all_signals
from pipelines.categories.table import CATEGORY
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe, installed_tables, stored_tables
from pipelines.signals import HEADER, PIXELS, SIGNAL_PREFIX, Signal, known_signals, relation
from pipelines.verdict import judgement, verdict
from warehouse import views
from warehouse.changes import changed_since
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import LakeError
from warehouse.lake import Lake, quoted
from warehouse.parts import key
from warehouse.schema import (
    ACTIONS,
    ANNOTATIONS,
    BALANCE,
    BLOCK_IMAGES,
    BLOCK_PROMPTS,
    DECISIONS,
    EDIT_SCORES,
    EDITS,
    NEAR_COMPARED,
    PLACEMENTS,
    RECIPES,
    SHARD_INDEX,
    STRINGS,
    TAXONOMY,
    TEXT_TOKENS,
)

#: Raise it when this file or `verdict` would decide otherwise by the same signals.
VERSION = "1"

STEPS = 5
OUTCOMES = ("error", "repeat", "pending", "dropped", "duplicate", "kept")
VERDICTS = pa.schema(
    [
        ("fails", pa.uint64()),
        ("waits", pa.uint64()),
        ("missing", pa.uint64()),
        ("stage_reached", pa.int8()),
        ("outcome", pa.string()),
        ("failed_rules", STRINGS),
        ("pending_rules", STRINGS),
        ("missing_signals", STRINGS),
    ]
)


@dataclass(frozen=True)
class DecideSummary:
    """`counts`: deliveries by outcome, all six of them. `committed` is False where the lake said the same before."""

    recipe: str
    name: str
    counts: Mapping[str, int] = field(default_factory=dict)
    committed: bool = False
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        told = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())
        return f"{self.inputs} inputs by recipe {self.name}: {told}" + ("" if self.committed else "; nothing new")


def decide(lake: Lake, recipe: Recipe, *, progress: Progress = silent) -> DecideSummary:
    """Decide every image of the lake and commit the decisions in place of those the recipe had before.

    The recipe becomes the one that the views speak of. Deciding again with nothing changed commits nothing.
    Raises LakeBusy, and LakeError where the outcomes do not add up to the inputs (nothing is committed then).
    """
    started = time.monotonic()
    with lake.lock("decide"):
        lake.tmp.mkdir(parents=True, exist_ok=True)  # where what does not fit in memory goes
        con = lake.connect()
        try:
            ensure_tables(lake, con, recipe)
            seen = lake.snapshot(con)
            before = _counts_before(con, recipe)
            if before is not None:
                progress(STEPS, STEPS)
                return DecideSummary(recipe.hash, recipe.name, before, False, time.monotonic() - started)
            progress(0, STEPS, "asking the rules")
            judge(con, recipe)
            progress(1, STEPS, "resolving near duplicates")
            resolve(con, recipe)
            progress(2, STEPS, "counting")
            counts = account(con)
            state = _digest(con)  # of the answers: the recipe's hash says what the bits mean
            if _is_decided(con, recipe, state):
                progress(STEPS, STEPS)
                return DecideSummary(recipe.hash, recipe.name, counts, False, time.monotonic() - started)
            progress(3, STEPS, "packing")
            files = {
                DECISIONS.name: pack_query(con, lake, DECISIONS, _decision_rows(recipe)),
                RECIPES.name: pack_query(con, lake, RECIPES, _recipe_row(con, recipe)),
            }
            progress(4, STEPS, "committing")
            run = RunInfo(
                command="decide",
                batch=_turn(con, recipe),
                engine="sql",
                recipe=recipe.hash,
                versions={"duckdb": duckdb.__version__, "asked": _asked(recipe), "decisions": state},
                counts=counts,
                seconds=time.monotonic() - started,
                snapshot=seen,
            )
            mine = f"recipe = {quoted(recipe.hash)}"
            done = commit(con, lake, run, files, replace={DECISIONS.name: mine, RECIPES.name: mine})
            progress(STEPS, STEPS)
        finally:
            con.close()
    return DecideSummary(recipe.hash, recipe.name, counts, done.committed, time.monotonic() - started)


def judge(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the temporary tables `judged` (image_id and its answers as bits) and `verdicts` (what these come to)."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE judged AS {_question(recipe)}")
    distinct = con.execute("SELECT DISTINCT fails, waits, missing FROM judged").fetchall()
    verdicts = pa.Table.from_pylist(
        [
            {"fails": fails, "waits": waits, "missing": missing, **vars(verdict(recipe, fails, waits, missing))}
            for fails, waits, missing in distinct
        ],
        schema=VERDICTS,
    )
    con.register("verdict_rows", verdicts)
    con.execute("CREATE OR REPLACE TEMP TABLE verdicts AS FROM verdict_rows")
    con.unregister("verdict_rows")


def _question(recipe: Recipe) -> str:
    return judgement(recipe, relation(needed_signals(recipe), "lake."))


def resolve(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the temporary tables `members` (image_id, rank), the images that stand in some pair, larger and then sharper
    first, and `repeats` (image_id, duplicate_of), those that pass and repeat a kept one."""
    pairs_in_force(con, recipe)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE members AS
        WITH paired AS MATERIALIZED (SELECT a AS image_id FROM pairs UNION SELECT b FROM pairs)
        SELECT image_id, row_number() OVER (
            ORDER BY h.area DESC NULLS LAST, p.sharpness DESC NULLS LAST, image_id
        ) AS rank
        FROM paired
        LEFT JOIN (
            SELECT image_id, width::BIGINT * height AS area FROM lake.{HEADER} SEMI JOIN paired USING (image_id)
        ) h USING (image_id)
        LEFT JOIN (
            SELECT image_id, nullif(sharpness_256, 'nan'::FLOAT) AS sharpness
            FROM lake.{PIXELS} SEMI JOIN paired USING (image_id)
        ) p USING (image_id)"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE candidates AS
        SELECT image_id, rank FROM members JOIN judged USING (image_id) WHERE fails = 0 AND waits = 0"""
    )
    con.execute("CREATE OR REPLACE TEMP TABLE repeats AS FROM lake.resolve_duplicates('temp.candidates', 'temp.pairs')")


def pairs_in_force(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the temporary table `pairs` (a, b, same): measured pairs that count as duplicates under the recipe.

    Images of one edit pair never do, whenever they were linked.
    """
    limits = recipe.duplicates
    counted = (
        f"distance <= {limits.max_distance} AND tile_distance <= {limits.max_tile_distance}::FLOAT "
        "AND text_differs IS NOT TRUE"
        if limits
        else "false"
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pairs AS
        SELECT a, b, link = 'same' AS same FROM lake.near_pairs ANTI JOIN lake.edit_links USING (a, b)
        WHERE {counted}"""
    )


def account(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Deliveries by outcome. Raises LakeError unless every delivery has exactly one."""
    status = dict(con.execute("SELECT status, count(*) FROM lake.inputs GROUP BY status").fetchall())
    judged = dict(
        con.execute(
            "SELECT outcome, count(*) FROM judged JOIN verdicts USING (fails, waits, missing) GROUP BY outcome"
        ).fetchall()
    )
    (repeats,) = con.execute("SELECT count(*) FROM repeats").fetchall()[0]
    counts = {
        "error": status.get("error", 0),
        "repeat": status.get("repeat", 0),
        "pending": judged.get("pending", 0),
        "dropped": judged.get("dropped", 0),
        "duplicate": repeats,
        "kept": judged.get("kept", 0) - repeats,
    }
    inputs = sum(status.values())
    if sum(counts.values()) != inputs or counts["kept"] < 0 or judged.keys() - {"kept", "dropped", "pending"}:
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        raise LakeError(
            f"the outcomes ({told}) do not add up to the {inputs} inputs; nothing was committed, "
            "run `glyphmill verify` to find the table that has an image twice"
        )
    return counts


def needed_signals(recipe: Recipe) -> tuple[Signal, ...]:
    """The recipe's signals, and whether an image is synthetic where a rule asks."""
    if all(rule.applies_to == "all" for rule in recipe.rules) or any(s.name == "synthetic" for s in recipe.signals):
        return recipe.signals
    return (*recipe.signals, known_signals(())["synthetic"])


def ensure_tables(lake: Lake, con: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the signal tables that the recipe and the views read, where no scan has made them: empty, all is missing."""
    needed = {HEADER, PIXELS, *(s.measured_in for s in recipe.signals if s.measured_in.startswith(SIGNAL_PREFIX))}
    lake.ensure_tables(con, (*(t for t in installed_tables() if t.name in needed), *_READ_BY_VIEWS))
    views.refresh(con)
    all_signals.refresh(con, stored_tables(con))


# What no decision is made of, and what a decision itself writes.
_NOT_READ = frozenset(
    table.name
    for table in (ACTIONS, BALANCE, DECISIONS, NEAR_COMPARED, PLACEMENTS, RECIPES, SHARD_INDEX, TAXONOMY, TEXT_TOKENS)
)
_READ_BY_VIEWS = (ANNOTATIONS, BALANCE, BLOCK_IMAGES, BLOCK_PROMPTS, CATEGORY, DECISIONS, EDITS, EDIT_SCORES, RECIPES)


def _digest(con: duckdb.DuckDBPyConnection) -> str:
    """What was decided, whatever the order of rows: the same string for the same decisions of one recipe."""
    row = con.execute(
        """SELECT count(*), bit_xor(hash(image_id, fails, waits, missing, duplicate_of, rank))
        FROM judged LEFT JOIN repeats USING (image_id) LEFT JOIN members USING (image_id)"""
    ).fetchall()[0]
    return f"{row[0]}-{row[1] or 0:016x}"


def _is_decided(con: duckdb.DuckDBPyConnection, recipe: Recipe, state: str) -> bool:
    """Whether this recipe was decided with last, and came to the same."""
    last = con.execute(f"SELECT recipe, versions->>'decisions', versions->>'duckdb' FROM ({_LAST_DECIDE})").fetchone()
    stored = con.execute("SELECT count(*) FROM lake.decisions WHERE recipe = ?", [recipe.hash]).fetchall()[0][0]
    return last == (recipe.hash, state, duckdb.__version__) and str(stored) == state.partition("-")[0]


def _asked(recipe: Recipe) -> str:
    """What is asked of the lake, and by which code."""
    return key("decide", VERSION, _question(recipe))[:16]


def _counts_before(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> dict[str, int] | None:
    """Deliveries by outcome as this recipe decided them last, if no table that a decision reads changed since."""
    last = con.execute(f"SELECT recipe, snapshot, versions, counts FROM ({_LAST_DECIDE})").fetchone()
    if last is None or last[0] != recipe.hash or last[1] is None:
        return None
    versions, counts = json.loads(last[2]), json.loads(last[3])
    if (versions.get("duckdb"), versions.get("asked")) != (duckdb.__version__, _asked(recipe)):
        return None
    changed = changed_since(con, last[1])
    if changed is None or changed - _NOT_READ or not _is_decided(con, recipe, versions["decisions"]):
        return None
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def _turn(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> str | None:
    """A label that tells this run from an earlier one of the same rows: going back to a recipe is a run too."""
    last = con.execute(f"SELECT run_id, recipe FROM ({_LAST_DECIDE})").fetchone()
    return None if last is None or last[1] == recipe.hash else f"after {last[0]}"


def _decision_rows(recipe: Recipe) -> str:
    return f"""
        SELECT image_id, {quoted(recipe.hash)} AS recipe, stage_reached,
            CASE WHEN duplicate_of IS NULL THEN outcome ELSE 'duplicate' END AS outcome,
            failed_rules, pending_rules, missing_signals, duplicate_of,
            rank, fails::UBIGINT AS failed_bits, waits::UBIGINT AS pending_bits
        FROM judged JOIN verdicts USING (fails, waits, missing)
        LEFT JOIN repeats USING (image_id) LEFT JOIN members USING (image_id)"""


def _recipe_row(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> str:
    row = {
        "recipe": recipe.hash,
        "name": recipe.name,
        "store_from": recipe.store_from,
        "stages": [{"number": s.number, "name": s.name} for s in recipe.stages],
        "rules": [
            {"stage": r.stage, "name": r.name, "predicate": r.predicate, "signals": sorted(r.stored_names)}
            for r in recipe.rules
        ],
        "max_distance": recipe.duplicates.max_distance if recipe.duplicates else None,
        "max_tile_distance": recipe.duplicates.max_tile_distance if recipe.duplicates else None,
        "toml": recipe.toml,
    }
    con.register("recipe_row", RECIPES.from_rows([row]))
    return "SELECT * FROM recipe_row"


_LAST_DECIDE = "FROM lake.runs WHERE command = 'decide' ORDER BY snapshot DESC, finished_at DESC LIMIT 1"
