"""What-if: what another threshold would keep, drop and leave pending. Nothing is decoded and nothing is written.

The numbers come from the lake's own macro `what_if`, the one that analysts call in SQL; this module finds out which
rules the predicate stands in for, hands over just the columns that it reads, and prints the call that gives the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import duckdb

from pipelines.recipe import Checker, Recipe, Rule, RuleEntry, loads, stored_tables
from pipelines.signals import SIGNAL_PREFIX, Signal, known_signals, relation, source_of
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake, quoted
from warehouse.schema import Table

NAME = "what if"


@dataclass(frozen=True)
class Shift:
    """Images with one outcome: as decided, with the other rule, and the difference."""

    outcome: str
    now: int
    then: int
    change: int


@dataclass(frozen=True)
class WhatIf:
    """`replaced`: names of the rules the predicate stood in for. `sql` gives the same rows in any DuckDB.

    `undecided`: images delivered after the last decide, which are not counted.
    """

    recipe: str
    stage: int
    predicate: str
    replaced: tuple[str, ...]
    shifts: tuple[Shift, ...]
    sql: str
    undecided: int
    seconds: float


def what_if(lake: Lake, predicate: str, stage: int, *, add: bool = False) -> WhatIf:
    """What the current recipe would decide with `predicate` in place of those rules of `stage` that read nothing else.

    With `add` no rule is replaced: the predicate comes on top. Exactly what `decide` would give with that recipe.
    Raises UsageError for a predicate or stage that does not fit, LakeError where nothing was decided yet.
    """
    started = time.monotonic()
    con = lake.connect(read_only=True)
    try:
        tables = stored_tables(con)
        recipe = current_recipe(con, tables)
        rule = asked_rule(tables, predicate, stage, recipe, add=add)
        replaced = () if add else replaced_by(recipe, rule)
        given, printed = _calls(con, rule, replaced)
        shifts = tuple(Shift(*row) for row in con.execute(given).fetchall())
        (images,) = con.execute("SELECT count(*) FROM inputs WHERE status = 'ok'").fetchall()[0]
    finally:
        con.close()
    undecided = max(0, images - sum(s.now for s in shifts))
    names = tuple(r.name for r in replaced)
    return WhatIf(recipe.name, stage, predicate, names, shifts, printed, undecided, time.monotonic() - started)


def replaced_by(recipe: Recipe, rule: Rule) -> tuple[Rule, ...]:
    """The rules of the same stage that `rule` can stand in for: it reads all the signals that they read."""
    return tuple(r for r in recipe.rules_of(rule.stage) if r.stored_names <= rule.stored_names)


def changed(recipe: Recipe, rule: Rule, replaced: Sequence[Rule]) -> Recipe:
    """The recipe with `rule` in place of `replaced`: what the numbers of a what-if are the decisions of."""
    return recipe.with_rules((*(r for r in recipe.rules if r not in replaced), rule))


def asked_rule(tables: Sequence[Table], predicate: str, stage: int, recipe: Recipe, *, add: bool) -> Rule:
    """The predicate as a checked rule. It applies to what the rules apply to that it stands in for."""
    if stage not in {s.number for s in recipe.stages}:
        known = ", ".join(str(s.number) for s in recipe.stages)
        raise UsageError(f"recipe {recipe.name} has no stage {stage}: it has {known}")
    with duckdb.connect() as scratch:
        checker = Checker(scratch, tuple(tables))
        rule = checker.rule(RuleEntry(name=NAME, when=predicate), stage, "what-if")
    applies: set[Literal["all", "real", "synthetic"]] = set()
    if not add:
        applies = {r.applies_to for r in replaced_by(recipe, rule)}
    return replace(rule, applies_to=applies.pop()) if len(applies) == 1 else rule


def current_recipe(con: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> Recipe:
    """The recipe decided with last, read back from the lake. Raises LakeError where there is none."""
    row = con.execute("SELECT toml, name FROM current_recipe").fetchone()
    if row is None:
        raise LakeError("nothing is decided in this lake yet: run `glyphmill decide` first")
    return loads(row[0], f"{row[1]} (as stored in the lake)", tables)


def show(found: WhatIf) -> None:
    """Print the numbers, and the SQL that gives them."""
    from rich.console import Console
    from rich.table import Table as Rows

    console = Console()
    instead = f"in place of {_listed(found.replaced)}" if found.replaced else "on top of its rules"
    console.print(f"{found.predicate}, in stage {found.stage} of recipe {found.recipe}, {instead}:", highlight=False)
    table = Rows()
    table.add_column("images")
    for heading in ("now", "then", "change"):
        table.add_column(heading, justify="right")
    for shift in found.shifts:
        change = f"{shift.change:+,}" if shift.change else "="
        table.add_row(shift.outcome, f"{shift.now:,}", f"{shift.then:,}", change)
    console.print(table)
    console.print(f"the same in SQL: {found.sql}", highlight=False, soft_wrap=True, markup=False)
    if found.undecided:
        console.print(
            f"{found.undecided:,} images came after the last decide and are not counted: run glyphmill decide"
        )


def _calls(con: duckdb.DuckDBPyConnection, rule: Rule, replaced: Sequence[Rule]) -> tuple[str, str]:
    """The call to run, over just the columns that the predicate reads, and the one to print, over the lake's views."""
    signals, predicate = rule.signals, rule.predicate
    if rule.applies_to != "all":
        condition = "NOT synthetic" if rule.applies_to == "real" else "synthetic"
        predicate = f"CASE WHEN {condition} THEN {predicate} ELSE true END"
        signals = tuple(dict.fromkeys((*signals, known_signals(())["synthetic"])))
    arguments = [predicate]
    if replaced:
        arguments.append(f"replaces := [{', '.join(quoted(r.name) for r in replaced)}]")
    given = f"WITH asked AS ({_narrow(signals)}) FROM lake.what_if({', '.join([*arguments, _over('asked')])})"
    for view in ("signals", "samples"):
        columns = {row[0] for row in con.execute(f"DESCRIBE {view}").fetchall()}
        if columns.issuperset(s.name for s in signals):
            over = [] if view == "signals" else [_over(f"lake.{view}")]
            return given, f"FROM lake.what_if({', '.join([*arguments, *over])})"
    return given, given


def _narrow(signals: Sequence[Signal]) -> str:
    """The columns of one signal table as they are where that is all: what has no row there is missing all the same."""
    only = {s.table for s in signals}
    if len(only) == 1 and (table := only.pop()).startswith(SIGNAL_PREFIX) and not signals[0].per_caption:
        return source_of(table, signals, "lake.")
    return relation(signals, "lake.")


def _over(name: str) -> str:
    return f"signals := {quoted(name)}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(repr(n) for n in names)
