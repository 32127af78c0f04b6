"""From which rules an image fails and which cannot be judged, to what becomes of it. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipelines.recipe import Recipe, Rule

T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """What a recipe says about an image, near duplicates aside. `outcome` is kept, dropped or pending."""

    stage_reached: int
    outcome: str
    failed_rules: tuple[str, ...]
    pending_rules: tuple[str, ...]
    missing_signals: tuple[str, ...]


def verdict(recipe: Recipe, fails: int, waits: int, missing: int) -> Verdict:
    """The verdict for bit sets: rules that are FALSE and rules that are NULL (by place in `recipe.rules`), and signals
    that are NULL (by place in `recipe.signals`).

    A rule that is FALSE drops the image whatever else is unknown. A signal counts as missing where a rule that cannot
    be judged reads it; where such a rule has all its signals, they are all named.
    """
    failed = _chosen(recipe.rules, fails)
    pending = _chosen(recipe.rules, waits)
    absent = {s.stored_name for s in _chosen(recipe.signals, missing)}
    needed: set[str] = set()
    for rule in pending:
        needed |= rule.stored_names & absent or rule.stored_names
    open_stages = {rule.stage for rule in (*failed, *pending)}
    reached = 0
    for stage in recipe.stages:
        if stage.number in open_stages:
            break
        reached = stage.number
    outcome = "dropped" if failed else "pending" if pending else "kept"
    return Verdict(reached, outcome, _names(failed), _names(pending), tuple(sorted(needed)))


def judgement(recipe: Recipe, rows: str) -> str:
    """SQL over `rows` (image_id and the recipe's signals): image_id and the bit sets `fails`, `waits`, `missing`."""
    answers = [
        f"CASE WHEN {_applies(rule)} THEN ({rule.predicate}) ELSE true END AS answer_{place}"
        for place, rule in enumerate(recipe.rules)
    ]
    nulls = [f'"{signal.name}" IS NULL AS null_{place}' for place, signal in enumerate(recipe.signals)]
    fails = _bits([f"NOT answer_{place}" for place in range(len(answers))])
    waits = _bits([f"answer_{place} IS NULL" for place in range(len(answers))])
    missing = _bits([f"null_{place}" for place in range(len(nulls))])
    return (
        f"SELECT image_id, {fails} AS fails, {waits} AS waits, {missing} AS missing\n"
        f"FROM (SELECT {', '.join(['image_id', *answers, *nulls])}\nFROM ({rows}))"
    )


def _applies(rule: Rule) -> str:
    return {"all": "true", "real": "NOT synthetic", "synthetic": "synthetic"}[rule.applies_to]


def _bits(conditions: Sequence[str]) -> str:
    """A number with the bit of every condition that holds, in the smallest type that has room."""
    room = next(
        name for bits, name in ((16, "USMALLINT"), (32, "UINTEGER"), (64, "UBIGINT")) if len(conditions) <= bits
    )
    terms = [
        f"CASE WHEN {condition} THEN {1 << place}::{room} ELSE 0::{room} END"
        for place, condition in enumerate(conditions)
    ]
    return f"({' | '.join(terms) or f'0::{room}'})"


def _chosen(items: Sequence[T], bits: int) -> tuple[T, ...]:
    return tuple(item for place, item in enumerate(items) if bits >> place & 1)


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(rule.name for rule in rules)
