"""Diff: what came into a dataset between two versions, what left it, what changed, and why.

A version is rows of `placements`. Why an image is out is what the later version's recipe said of it when that version
was exported; why it is in, what the earlier one's had said. Both are read from the snapshots that the exports read; one
that `clean` has expired is told as such, and the present stands in for the later version's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.errors import UsageError
from warehouse.files import replacing, told
from warehouse.lake import Lake, quoted
from warehouse.metadata import stored_columns
from warehouse.schema import FORGOTTEN

EXAMPLES = 3
_AT = re.compile(r"@(\d+)")


@dataclass(frozen=True)
class Version:
    """A version of a dataset: by which recipe, and the snapshot its export read; None where its run is not known."""

    dataset: str
    version: str
    recipe: str | None
    snapshot: int | None

    def __str__(self) -> str:
        return f"{self.dataset} {self.version}"


@dataclass(frozen=True)
class Reason:
    """Images of one kind of change for one reason. `examples`: ids of the first few."""

    change: str
    why: str
    images: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Diff:
    """`before` and `after`: images of each version; `same` of them in both, at the same scales and weights.

    `told`: what else is to be known: reasons that are not known as they were, images taken down.
    """

    old: Version
    new: Version
    before: int
    after: int
    same: int
    reasons: tuple[Reason, ...]
    told: tuple[str, ...] = ()

    def count(self, change: str) -> int:
        """Images of one kind of change: in, out, scale, weight or category."""
        return sum(reason.images for reason in self.reasons if reason.change == change)

    def __str__(self) -> str:
        counts = ", ".join(f"{self.count(c):,} {what}" for c, what in CHANGES.items() if self.count(c))
        return f"{self.old} to {self.new}: {self.before:,} to {self.after:,} images; {counts or 'no change'}"


CHANGES = {
    "in": "in",
    "out": "out",
    "scale": "at other scales",
    "weight": "of another weight",
    "category": "of another category",
}


def diff(lake: Lake, old: str, new: str, *, dataset: str = "main", file: Path | None = None) -> Diff:
    """Compare two versions of a dataset, each given by its hash, the start of one, or `@N`: the last one exported by
    snapshot N. All rows go to `file`, .csv or .json, if one is named. Raises UsageError, LakeError."""
    if file is not None and file.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"{file} must end in .csv or .json")
    with lake.connect(read_only=True) as con:
        con.execute("BEGIN")
        a, b = find_version(con, old, dataset), find_version(con, new, dataset)
        notes = [
            *_verdicts(con, "old_verdicts", a, present=False),
            *_verdicts(con, "new_verdicts", b, present=True),
            *_taken_down(con, a),
        ]
        _compare(con, a, b)
        if file is not None:
            form = "FORMAT csv, HEADER" if file.suffix.lower() == ".csv" else "FORMAT json, ARRAY true"
            with told(f"writing {file}", file.absolute().parent), replacing(file.absolute()) as temporary:
                con.execute(f"COPY (FROM changes WHERE change <> 'same' ORDER BY ALL) TO {quoted(temporary)} ({form})")
        same, before, after = con.execute(
            "SELECT count(*) FILTER (change = 'same'), count(*) FILTER (change <> 'in'), "
            "count(*) FILTER (change <> 'out') FROM changes"
        ).fetchall()[0]
        reasons = con.execute(
            f"""SELECT change, why, count(*) AS images, list(image_id ORDER BY image_id)[:{EXAMPLES}]
            FROM changes WHERE change <> 'same' GROUP BY change, why
            ORDER BY list_position({list(CHANGES)}, change), images DESC, why"""
        ).fetchall()
    found = tuple(Reason(change, why, images, tuple(examples)) for change, why, images, examples in reasons)
    return Diff(a, b, before, after, same, found, tuple(notes))


def versions(con: duckdb.DuckDBPyConnection, dataset: str) -> list[Version]:
    """The versions of a dataset that there are, the oldest first; those whose run is not known come before."""
    rows = con.execute(
        """SELECT version, any_value(r.recipe), any_value(r.snapshot)
        FROM (SELECT DISTINCT version FROM lake.placements WHERE dataset = $dataset)
        LEFT JOIN (
            SELECT counts->>'version' AS version, recipe, snapshot, finished_at FROM lake.runs
            WHERE command = 'export' AND (counts->>'dataset') = $dataset
            QUALIFY 1 = row_number() OVER (PARTITION BY (counts->>'version') ORDER BY finished_at)
        ) r USING (version)
        GROUP BY version ORDER BY min(r.finished_at) NULLS FIRST, version""",
        {"dataset": dataset},
    ).fetchall()
    return [Version(dataset, *row) for row in rows]


def find_version(con: duckdb.DuckDBPyConnection, name: str, dataset: str) -> Version:
    """The version meant by a hash, the start of one, or @N. Raises UsageError unless there is just one."""
    known = versions(con, dataset)
    if not known:
        sets = con.execute("SELECT DISTINCT dataset FROM lake.placements ORDER BY 1").fetchall()
        raise UsageError(
            f"no dataset {dataset}; there are: {', '.join(n for (n,) in sets) or 'none, run export first'}"
        )
    at = _AT.fullmatch(name)
    if at is not None:
        by_then = [v for v in known if v.snapshot is not None and v.snapshot < int(at[1])]
        if not by_then:
            raise UsageError(f"no version of {dataset} was exported by snapshot {at[1]}")
        return by_then[-1]
    meant = [v for v in known if v.version.startswith(name)] if name else []
    if len(meant) != 1:
        what = "more than one version" if meant else "no version"
        raise UsageError(f"{name} is {what} of {dataset}; there are: {', '.join(v.version for v in known[-10:])}")
    return meant[0]


def _verdicts(con: duckdb.DuckDBPyConnection, table: str, version: Version, *, present: bool) -> Iterator[str]:
    """Make the temporary table: what the version's recipe said of each image then; yields what is to be known of it."""
    kept = {n for (n,) in con.execute("SELECT snapshot_id FROM ducklake_snapshots('lake')").fetchall()}
    at = f"AT (VERSION => {version.snapshot})" if version.snapshot in kept else ""
    recipe = quoted(version.recipe) if version.recipe and (at or present) else "NULL"
    balance = "balance" in stored_columns(con)
    placed = (
        f"(SELECT image_id, category, stage6, stage7 FROM lake.balance {at} WHERE recipe = {recipe})"
        if balance
        else "(SELECT NULL::VARCHAR AS image_id, NULL::VARCHAR AS category, NULL::BOOLEAN AS stage6, "
        "NULL::BOOLEAN AS stage7 WHERE false)"
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {table} AS
        SELECT image_id, outcome, failed_rules, missing_signals, duplicate_of, category, stage6, stage7
        FROM (FROM lake.decisions {at} WHERE recipe = {recipe}) LEFT JOIN {placed} USING (image_id)"""
    )
    if not at:
        instead = "the present decisions stand in" if present else "why its images were out is not known"
        yield f"{version}: the snapshot it was exported from is gone; {instead}"


def _taken_down(con: duckdb.DuckDBPyConnection, since: Version) -> Iterator[str]:
    if FORGOTTEN.name not in stored_columns(con):
        return
    (images,) = con.execute(
        """SELECT count(*) FROM lake.forgotten WHERE forgotten_at > (
            SELECT min(finished_at) FROM lake.runs WHERE command = 'export' AND (counts->>'version') = ?
        )""",
        [since.version],
    ).fetchall()[0]
    if images:
        yield f"{images:,} images were taken down since {since} was exported: they are in no version now"


def _compare(con: duckdb.DuckDBPyConnection, old: Version, new: Version) -> None:
    """Make the temporary table `changes`, a row per image of either version."""
    for table, version in (("old_images", old), ("new_images", new)):
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE {table} AS
            SELECT image_id, list(scale ORDER BY scale) AS scales, list(weight ORDER BY scale) AS weights,
                min(category) AS category
            FROM lake.placements WHERE dataset = ? AND version = ? GROUP BY image_id""",
            [version.dataset, version.version],
        )
    known_before = "(SELECT count(*) FROM old_verdicts) > 0"
    other = "the recipe changed" if old.recipe != new.recipe else "balanced anew over what is in the lake"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE changes AS
        WITH joined AS (
            SELECT image_id, o.scales AS old_scales, n.scales AS new_scales, o.weights AS old_weights,
                n.weights AS new_weights, o.category AS old_category, n.category AS new_category,
                CASE WHEN o.scales IS NULL THEN 'in' WHEN n.scales IS NULL THEN 'out'
                    WHEN o.scales <> n.scales THEN 'scale' WHEN o.weights <> n.weights THEN 'weight'
                    WHEN o.category IS DISTINCT FROM n.category THEN 'category' ELSE 'same' END AS change
            FROM old_images o FULL JOIN new_images n USING (image_id)
        )
        SELECT j.image_id, j.change,
            CASE j.change
                WHEN 'out' THEN {_OUT}
                WHEN 'in' THEN CASE WHEN {known_before} THEN {_IN} ELSE 'not known' END
                WHEN 'category' THEN 'category ' || coalesce(old_category, 'none') || ' to '
                    || coalesce(new_category, 'none')
                WHEN 'same' THEN NULL
                ELSE {quoted(other)} END AS why,
            coalesce(if(j.change = 'in', a.failed_rules, b.failed_rules), []) AS rules,
            old_scales, new_scales, old_weights, new_weights, old_category, new_category
        FROM joined j
        LEFT JOIN old_verdicts a ON a.image_id = j.image_id
        LEFT JOIN new_verdicts b ON b.image_id = j.image_id
        LEFT JOIN (SELECT image_id, min(batch) AS batch FROM lake.inputs WHERE status = 'ok' GROUP BY image_id) i
            ON i.image_id = j.image_id"""
    )


#: What the later version's recipe says of an image that left.
_OUT = """CASE
    WHEN b.outcome IS NULL THEN 'no longer in the lake'
    WHEN b.outcome = 'dropped' THEN 'rule ' || b.failed_rules[1]
    WHEN b.outcome = 'pending' THEN 'waits for ' || b.missing_signals[1]
    WHEN b.outcome = 'duplicate' THEN 'near duplicate of a better one'
    WHEN NOT b.stage6 THEN 'quota of ' || coalesce(b.category, 'what has no category')
    WHEN NOT b.stage7 THEN 'not the best of ' || b.category
    ELSE 'kept, at no scale' END"""
#: What the earlier version's recipe had said of an image that came in.
_IN = """CASE
    WHEN a.outcome IS NULL THEN 'new in batch ' || coalesce(i.batch, '?')
    WHEN a.outcome = 'dropped' THEN 'no longer fails ' || a.failed_rules[1]
    WHEN a.outcome = 'pending' THEN 'no longer waits for ' || a.missing_signals[1]
    WHEN a.outcome = 'duplicate' THEN 'no longer a near duplicate'
    WHEN NOT a.stage6 THEN 'within the quota of ' || coalesce(a.category, 'what has no category')
    WHEN NOT a.stage7 THEN 'now among the best of ' || a.category
    ELSE 'newly stored, or of a scale that is new' END"""
