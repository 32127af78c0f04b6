"""The human audit: a fixed sample of what a rule drops, and what people thought of it.

The sample of a rule is the images that it drops under the current recipe, in the order of a hash of rule and image. So
it is random, it is the same on every machine and day, a larger one contains a smaller one, and with a changed threshold
the verdicts stay on images that the rule still drops. What is estimated is the precision of the rule's drops: the share
of them that a person would have dropped for that reason. The view `audit_precision` tells it with its uncertainty.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.merge import superseded
from warehouse.schema import AUDITS

VERDICTS = ("right", "wrong")
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Sampled:
    """One image of a rule's sample, where its bytes lie, and what was said of it before."""

    image_id: str
    uri: str
    offset: int | None
    length: int | None
    row: int
    verdict: str | None
    note: str | None


@dataclass(frozen=True)
class Verdict:
    """What a person thought of one drop."""

    image_id: str
    verdict: str
    note: str | None = None


@dataclass(frozen=True)
class Precision:
    """A rule's row of `audit_precision`: of `judged` drops `right` are right; Wilson's 95 % interval."""

    rule: str
    judged: int
    right: int
    precision: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.rule}: {self.right} of {self.judged} drops are right, precision {self.precision:.2f} "
            f"({self.low:.2f} to {self.high:.2f})"
        )


def sample(lake: Lake, rule: str, count: int = 50) -> list[Sampled]:
    """The first `count` images of the rule's sample; fewer where it drops fewer. Raises UsageError for a rule that the
    current recipe does not have."""
    with lake.connect(read_only=True) as con:
        _check(con, rule)
        rows = con.execute(
            """SELECT image_id, i.uri, i."offset", i.length, i."row", a.verdict, a.note
            FROM lake.decisions AS d
            JOIN (FROM lake.inputs WHERE status = 'ok') AS i USING (image_id)
            LEFT JOIN (FROM lake.audits WHERE rule = $rule) AS a USING (image_id)
            WHERE d.recipe = (SELECT recipe FROM lake.current_recipe) AND list_contains(d.failed_rules, $rule)
            ORDER BY md5($rule || '/' || image_id)
            LIMIT $count""",
            {"rule": rule, "count": count},
        ).fetchall()
    return [Sampled(*row) for row in rows]


def record(lake: Lake, rule: str, verdicts: Sequence[Verdict]) -> Precision | None:
    """Store verdicts in the place of earlier ones on the same drops; the rule's precision now.

    An image may be named by the start of its id. Raises UsageError where one is not dropped by the rule, is named twice
    or has no known verdict: nothing is stored then.
    """
    with lake.lock("audit", wait_s=60), lake.connect() as con:
        lake.ensure_tables(con, [AUDITS])
        views.refresh(con)
        recipe = _check(con, rule)
        rows = [
            {
                "rule": rule,
                "image_id": _dropped(con, rule, given.image_id),
                "verdict": _known(given),
                "note": given.note or None,
                "recipe": recipe,
                "judged_at": datetime.now(UTC),
            }
            for given in verdicts
        ]
        named = [row["image_id"] for row in rows]
        twice = sorted({str(name) for name in named if named.count(name) > 1})
        if twice:
            raise UsageError(f"{twice[0]} is judged twice: keep one of the verdicts")
        con.register("new_audits", AUDITS.from_rows(rows))
        files = pack_query(con, lake, AUDITS, "SELECT * FROM new_audits")
        if files:
            run = RunInfo(command="audit", recipe=recipe, counts={"rule": rule, "verdicts": len(rows)})
            commit(con, lake, run, {AUDITS.name: files}, replace={AUDITS.name: superseded(AUDITS, files)})
        found = con.execute("FROM lake.audit_precision WHERE rule = ?", [rule]).fetchone()
    return None if found is None else Precision(*found)


def read_verdicts(file: Path) -> list[Verdict]:
    """Verdicts from a CSV file with the columns image_id, verdict and, where wanted, note; rows without a verdict are
    passed over, so that a printed sample can be filled in bit by bit. Raises UsageError."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            return list(_rows(csv.DictReader(lines), file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read as CSV: {error}") from error


def _rows(lines: csv.DictReader[str], file: Path) -> Iterator[Verdict]:
    lacking = {"image_id", "verdict"} - set(lines.fieldnames or ())
    if lacking:
        raise UsageError(f"{file} has no column {min(lacking)}: its first line names image_id, verdict and note")
    for line in lines:
        if line["verdict"]:
            yield Verdict(line["image_id"].strip(), line["verdict"].strip().lower(), line.get("note"))


def _check(con: duckdb.DuckDBPyConnection, rule: str) -> str:
    """The current recipe's hash; raises UsageError where it lacks the rule, or nothing is decided."""
    row = con.execute(
        "SELECT recipe, name, list_transform(rules, lambda r: r.name) FROM lake.current_recipe"
    ).fetchone()
    if row is None:
        raise UsageError("nothing is decided in this lake yet: run `glyphmill decide` first")
    recipe, name, rules = row
    if rule not in rules:
        raise UsageError(f"the recipe {name} has no rule '{rule}'; it has {', '.join(rules)}")
    return str(recipe)


def _dropped(con: duckdb.DuckDBPyConnection, rule: str, start: str) -> str:
    """The one image that the rule drops and whose id begins so."""
    if not start or not _IMAGE_ID.fullmatch(start.lower().ljust(32, "0")):
        raise UsageError(f"'{start}' is no image id: give the 32 hex digits, or the first few of them")
    rows = con.execute(
        "SELECT image_id FROM lake.decisions WHERE recipe = (SELECT recipe FROM lake.current_recipe) "
        "AND list_contains(failed_rules, ?) AND starts_with(image_id, ?) ORDER BY image_id LIMIT 2",
        [rule, start.lower()],
    ).fetchall()
    if len(rows) != 1:
        what = "more than one image" if rows else "no image"
        raise UsageError(
            f"'{rule}' drops {what} whose id begins with {start}: see `glyphmill audit sample --rule {rule}`"
        )
    return str(rows[0][0])


def _known(given: Verdict) -> str:
    if given.verdict not in VERDICTS:
        raise UsageError(f"the verdict on {given.image_id} is '{given.verdict}': write right or wrong")
    return given.verdict
