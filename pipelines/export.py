"""Export: original bytes into the pool, each image once, and a dataset version as rows of `placements`.

Bytes enter the pool when an image has passed the recipe's early stages (`store_from`); the dataset version names the
images that are kept and stored. Both are committed together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import duckdb

from pipelines.balancing.pool import ENOUGH_PIXELS
from pipelines.categories.table import CATEGORY
from pipelines.dead_letters import MOST_ATTEMPTS, Key, Letter, open_keys, settle
from pipelines.decide import pairs_in_force
from pipelines.engines import Engine, Result
from pipelines.export_unit import Exported, ExportUnit, Unstored, cut, plan, plan_file, planned_rows, write_unit
from pipelines.narrow import narrowed
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe
from warehouse import storage
from warehouse.buckets import nearest_sql
from warehouse.changes import changed_since
from warehouse.commit import CommitResult, RunInfo, commit, forget_staged
from warehouse.lake import Lake
from warehouse.pack import pack, pack_query
from warehouse.parts import Part
from warehouse.parts import key as content_key
from warehouse.schema import (
    ACTIONS,
    BALANCE,
    ERRORS,
    NEAR_COMPARED,
    PLACEMENTS,
    RECIPES,
    SHARD_INDEX,
    TAXONOMY,
    TEXT_TOKENS,
)

SHARD_BYTES = 512 << 20

#: Raise it when this file or `export_unit` would store or place other images of the same lake.
VERSION = "1"

# What no placement is made of, and what an export itself writes.
_NOT_READ = frozenset(
    table.name for table in (ACTIONS, NEAR_COMPARED, PLACEMENTS, RECIPES, SHARD_INDEX, TAXONOMY, TEXT_TOKENS)
)


@dataclass
class ExportSummary:
    """`stored` images now in the pool for the first time; `placed` rows of the dataset version, `by_scale` apart; no
    version where bytes alone were stored. `failed`: units that could not be finished. `set_aside`: images of units that
    failed too often."""

    dataset: str = ""
    version: str = ""
    stored: int = 0
    placed: int = 0
    by_scale: dict[int, int] = field(default_factory=dict)
    unstored: list[Unstored] = field(default_factory=list)
    failed: list[Letter] = field(default_factory=list)
    set_aside: int = 0
    committed: CommitResult | None = None

    def __str__(self) -> str:
        told = f"{self.stored} images newly stored"
        if self.version:
            placed = ", ".join(f"{count} at {scale}" for scale, count in self.by_scale.items())
            told += f"; dataset {self.dataset} version {self.version}: {placed + ' pixels' if placed else 'no images'}"
        return told

    @property
    def troubles(self) -> list[str]:
        """Lines on what is not stored, the first few by name."""
        lines = [f"not stored: {image.image_id} from {image.uri}: {image.reason}" for image in self.unstored[:5]]
        if self.unstored:
            lines.append(f"{len(self.unstored)} images could not be stored; the next export tries them again")
        if self.failed:
            first = self.failed[0]
            images = sum(len(letter.images) for letter in self.failed)
            lines.append(
                f"{len(self.failed)} units, {images} images, could not be finished; the next export tries them again "
                f"(table errors; glyphmill replay --unit {first.unit[:8]}): {first.error}"
            )
        if self.set_aside:
            lines.append(
                f"{self.set_aside} images left alone after {MOST_ATTEMPTS} failed runs: table errors, glyphmill replay"
            )
        return lines


@dataclass
class _Run:
    """What came of the units. `finished`: those of units that failed before that nothing is left of."""

    planned: list[ExportUnit] = field(default_factory=list)  # and the pieces of those that failed
    parts: list[Part] = field(default_factory=list)
    unstored: list[Unstored] = field(default_factory=list)
    failed: list[Letter] = field(default_factory=list)
    finished: set[Key] = field(default_factory=set)
    set_aside: int = 0

    @property
    def left(self) -> dict[str, int]:
        """What is not stored, by why."""
        return {"unstored": len(self.unstored), "units_failed": len(self.failed), "set_aside": self.set_aside}

    @property
    def stored(self) -> int:
        return sum(part.rows for part in self.parts)


def export(
    lake: Lake,
    recipe: Recipe,
    *,
    engine: Engine,
    dataset: str = "main",
    shard_bytes: int = SHARD_BYTES,
    progress: Progress = silent,
) -> ExportSummary:
    """Write new images to the pool and the dataset version to `placements`, in one commit.

    An image whose bytes changed or vanished since the scan is not stored and is listed in the summary; the next export
    tries it again. A unit that fails is narrowed down to the images it fails for, which become dead letters; all else
    is stored. Raises LakeError where the lake cannot be written.
    """
    began = time.monotonic()
    with lake.lock("export"), lake.connect() as con:
        lake.ensure_tables(con, (BALANCE, CATEGORY, ERRORS))
        snapshot = lake.snapshot(con)
        before = _as_before(con, recipe, dataset)
        if before is not None:
            return before
        done = _store(lake, con, recipe, engine, shard_bytes, progress)
        files = {SHARD_INDEX.name: pack(con, lake, SHARD_INDEX, done.parts)}
        version, placed = _place(con, recipe, files[SHARD_INDEX.name])
        by_scale = dict(con.execute("SELECT scale, count(*) FROM placed GROUP BY scale ORDER BY scale").fetchall())
        if not _known(con, dataset, version):
            files[PLACEMENTS.name] = pack_query(con, lake, PLACEMENTS, _placement_rows(dataset, version))
        summary = ExportSummary(
            dataset, version, done.stored, placed, by_scale, done.unstored, done.failed, done.set_aside
        )
        counts = {"placed": placed, "dataset": dataset, "version": version, "pool": _pool(con) + done.stored}
        run = _run_info(engine, recipe, done, counts, began, snapshot)
        summary.committed = _finish(lake, con, run, done, files)
    return summary


def _as_before(con: duckdb.DuckDBPyConnection, recipe: Recipe, dataset: str) -> ExportSummary | None:
    """What the last export of the dataset came to, if all was stored then and nothing that it reads changed since."""
    last = con.execute(
        "SELECT recipe, snapshot, versions->>'export', counts FROM lake.runs WHERE command = 'export' "
        "AND (counts->>'dataset') = ? ORDER BY snapshot DESC, finished_at DESC LIMIT 1",
        [dataset],
    ).fetchone()
    if last is None or (last[0], last[2]) != (recipe.hash, VERSION):
        return None
    counts = json.loads(last[3])
    if any(counts[why] for why in _Run().left) or counts["pool"] != _pool(con):
        return None
    changed = changed_since(con, last[1])
    if changed is None or changed - _NOT_READ:
        return None
    by_scale = dict(
        con.execute(
            "SELECT scale, count(*) FROM placements WHERE dataset = ? AND version = ? GROUP BY scale ORDER BY scale",
            [dataset, counts["version"]],
        ).fetchall()
    )
    if sum(by_scale.values()) != counts["placed"]:
        return None
    return ExportSummary(dataset, counts["version"], placed=counts["placed"], by_scale=by_scale)


def _pool(con: duckdb.DuckDBPyConnection) -> int:
    return int(con.execute("SELECT count(*) FROM shard_index").fetchall()[0][0])


def export_unit(lake: Lake, recipe: Recipe, letter: str, *, engine: Engine) -> ExportSummary:
    """Store the images of one unit that failed before; the next export places them. Raises LakeBusy, LakeError."""
    began = time.monotonic()
    with lake.lock("export"), lake.connect() as con:
        lake.ensure_tables(con, (ERRORS,))
        snapshot = lake.snapshot(con)
        done = _store(lake, con, recipe, engine, SHARD_BYTES, silent, letter)
        files = {SHARD_INDEX.name: pack(con, lake, SHARD_INDEX, done.parts)}
        summary = ExportSummary(stored=done.stored, unstored=done.unstored, failed=done.failed)
        summary.committed = _finish(lake, con, _run_info(engine, recipe, done, {}, began, snapshot), done, files)
    return summary


def _store(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    engine: Engine,
    shard_bytes: int,
    progress: Progress,
    letter: str | None = None,
) -> _Run:
    """Write the shards that are planned, or those of one unit that failed before."""
    units = list(plan(lake, con, recipe, shard_bytes, letter))
    done = _Run([*units])

    def pieces(unit: ExportUnit) -> list[ExportUnit]:
        made = cut(unit)
        done.planned.extend(made)
        return made

    due = {(unit, "") for (unit,) in con.execute("SELECT DISTINCT letter FROM export_due").fetchall()}
    done.finished = {(unit.letter, "") for unit in units if unit.letter} | (open_keys(con, "export") - due)
    if letter is None:
        ((done.set_aside,),) = con.execute(
            f"SELECT count(*) FROM export_due WHERE attempts >= {MOST_ATTEMPTS}"
        ).fetchall()
    progress(0, len(units))
    for number, result in enumerate(narrowed(engine, write_unit, units, pieces), 1):
        if result.value is None:
            done.failed.append(_letter(recipe, result))
        else:
            done.unstored.extend(result.value.unstored)
            if result.value.part is not None:
                done.parts.append(result.value.part)
        progress(min(number, len(units)), len(units))
    return done


def _letter(recipe: Recipe, result: Result[ExportUnit, Exported]) -> Letter:
    """The row of `errors` of a unit that failed for good; it is known by its images."""
    images = tuple(sorted(planned_rows(result.unit)["image_id"].to_pylist()))
    unit = result.unit.letter or content_key("export", images)
    return Letter(command="export", unit=unit, recipe=recipe.hash, images=images).told(result)


def _run_info(
    engine: Engine, recipe: Recipe, done: _Run, counts: dict[str, object], began: float, snapshot: int
) -> RunInfo:
    return RunInfo(
        command="export",
        engine=engine.name,
        recipe=recipe.hash,
        versions={"export": VERSION},
        counts={"stored": done.stored, **done.left, **counts},
        seconds=time.monotonic() - began,
        snapshot=snapshot,
    )


def _finish(
    lake: Lake, con: duckdb.DuckDBPyConnection, run: RunInfo, done: _Run, files: dict[str, list[PurePath]]
) -> CommitResult | None:
    """Commit what there is, and then what failed; plans go."""
    committed = None
    if any(files.values()):
        committed = commit(con, lake, run, files, done.parts)
        forget_staged(lake, done.parts)
    settle(lake, con, "export", done.failed, done.finished, committed.run_id if committed else None)
    for unit in done.planned:
        storage.delete(plan_file(lake, unit.key))
    return committed


def _place(con: duckdb.DuckDBPyConnection, recipe: Recipe, new_index: Sequence[PurePath]) -> tuple[str, int]:
    """Make the temporary table `placed`: stored images at each of the recipe's scales. Version, row count."""
    new = f"UNION ALL SELECT image_id FROM read_parquet({[str(p) for p in new_index]})" if new_index else ""
    _find_placeable(con, recipe)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE placed AS
        SELECT image_id, s.scale, s.category, {nearest_sql("h.width", "h.height")} AS bucket,
               s.weight
        FROM placeable AS s
        JOIN (SELECT image_id FROM shard_index {new}) AS stored USING (image_id)
        JOIN signals_header AS h USING (image_id)"""
    )
    # Rows are distinct, so their digests can be combined by exclusive or, which no row order changes.
    row = con.execute(
        """SELECT count(*), coalesce(bit_xor(md5_number(concat_ws('|', image_id, scale, category, bucket, weight))), 0)
        FROM placed"""
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always gives a row
    rows, digest = int(row[0]), int(row[1])
    return content_key(recipe.hash, rows, digest)[:16], rows


def _find_placeable(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the temporary table `placeable` (image_id, scale, category, weight).

    At each scale: kept images, as far as stages 6 and 7 take them where the scale comes after these, and those that
    passed the scale's stage and are dropped, or wait, only later. None repeats a kept image or another one of these,
    and where scales have stages of their own none is enlarged.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE placeable (image_id VARCHAR, scale INTEGER, category VARCHAR, weight FLOAT)"
    )
    pairs_in_force(con, recipe)
    for scale in recipe.scales:
        con.execute(
            """CREATE OR REPLACE TEMP TABLE candidates AS
            SELECT image_id, rank + if(outcome = 'kept', 0, (SELECT count(*) FROM decisions)) AS rank
            FROM decisions
            WHERE recipe = $1 AND (outcome = 'kept' OR (outcome <> 'duplicate' AND stage_reached >= $2))""",
            [recipe.hash, scale.from_stage],
        )
        taken, weight = "true", "1"
        if recipe.balance is not None and (scale.from_stage or 7) >= 6:
            taken, weight = "b.stage6" if scale.from_stage == 6 else "b.stage7", "b.weight"
        enough = 0 if scale.from_stage is None else (ENOUGH_PIXELS * scale.side) ** 2
        con.execute(
            f"""INSERT INTO placeable
            SELECT image_id, $1, coalesce(b.category, g.category), {weight}
            FROM (
                FROM candidates ANTI JOIN (
                    WITH ranked AS (FROM candidates WHERE rank IS NOT NULL)
                    FROM lake.resolve_duplicates('ranked', 'temp.pairs')
                ) USING (image_id)
            )
            JOIN signals_header AS h USING (image_id)
            LEFT JOIN (FROM balance WHERE recipe = $2) AS b USING (image_id)
            LEFT JOIN signals_category AS g USING (image_id)
            WHERE h.width::BIGINT * h.height >= $3 AND {taken}""",
            [scale.side, recipe.hash, enough],
        )


def _placement_rows(dataset: str, version: str) -> str:
    return f"SELECT {_quoted(dataset)} AS dataset, {_quoted(version)} AS version, * FROM placed"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _known(con: duckdb.DuckDBPyConnection, dataset: str, version: str) -> bool:
    found = con.execute("SELECT 1 FROM placements WHERE dataset = ? AND version = ? LIMIT 1", [dataset, version])
    return found.fetchone() is not None
