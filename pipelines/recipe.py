"""Recipes: a curation's rules as data. A TOML file is read, every predicate is checked against the known signals.

A recipe is checked whole before anything else happens: a column that no extractor provides, a predicate that is not a
yes/no question about one image, or one that would pass an image never measured, is refused with one line.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.balancing.entry import BalanceEntry
from pipelines.categories.table import CATEGORY
from pipelines.keeping.watch_entry import WatchEntry
from pipelines.predicate import Predicate, PredicateError, Traits, functions, parse, refuse_fickle
from pipelines.signals import SIGNAL_PREFIX, Signal, empty_tables, known_signals, relation
from warehouse.errors import UsageError
from warehouse.metadata import stored_columns
from warehouse.schema import Column, Table

AppliesTo = Literal["all", "real", "synthetic"]
MAX_BITS = 64  # rules, and signals, of one recipe: decide keeps each set as bits of one 64-bit number


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RuleEntry(_Strict):
    """One rule as written. `when` must be TRUE to keep the image; NULL means that a signal is missing."""

    name: str = Field(min_length=1, pattern=r"^[^\s].*$")
    when: str = Field(min_length=1)
    applies_to: AppliesTo = "all"
    doc: str = ""


class StageEntry(_Strict):
    """One stage as written: its number orders the reasoning, not the measuring."""

    number: int = Field(ge=1, le=7)
    name: str = Field(min_length=1)
    rules: tuple[RuleEntry, ...] = ()

    @field_validator("rules", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class Duplicates(_Strict):
    """Which measured pairs count as duplicates: both distances at most these, and no difference in known text."""

    max_distance: int = Field(ge=0, le=256)
    max_tile_distance: float = Field(ge=0, le=255)

    @field_validator("max_tile_distance", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Scale(_Strict):
    """A training scale: `side` in pixels of the square of equal area. `from_stage`: the stage that an image must have
    passed, with all before it, to be trained at that scale, also where a later one drops it; None: it must be kept."""

    side: int = Field(ge=1)
    from_stage: int | None = Field(default=None, ge=1, le=7)


class RecipeEntry(_Strict):
    """A recipe file as written: `scales` where each kept image is trained at each of them, else a `[[scale]]` each."""

    name: str = Field(min_length=1)
    store_from: int = Field(ge=0, le=7)
    scales: tuple[int, ...] = ()
    scale: tuple[Scale, ...] = ()
    duplicates: Duplicates | None = None
    balance: BalanceEntry | None = None
    watch: WatchEntry | None = None
    stage: tuple[StageEntry, ...] = Field(min_length=1)

    @field_validator("scales", "scale", "stage", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _names_are_unique_and_stages_in_order(self) -> RecipeEntry:
        seen: dict[str, int] = {}
        for stage in self.stage:
            for rule in stage.rules:
                if rule.name in seen:
                    raise ValueError(
                        f"rule name {rule.name!r} is used twice (stages {seen[rule.name]} and {stage.number})"
                    )
                seen[rule.name] = stage.number
        numbers = [s.number for s in self.stage]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"stage numbers must rise, got {numbers}")
        if not self.scales and not self.scale:
            raise ValueError("scales are missing: write scales = [256], or a [[scale]] for each")
        if self.scales and self.scale:
            raise ValueError("scales and [[scale]] are two ways to say one thing; keep one of them")
        sides = [*self.scales, *(s.side for s in self.scale)]
        missing = {6, 7} - {stage.number for stage in self.stage}
        if self.balance and missing:
            raise ValueError(f"[balance] is what stages 6 and 7 do: add a [[stage]] {min(missing)}, with rules or none")
        if min(sides) < 1:
            raise ValueError("scales are sides in pixels, from 1")
        if len(set(sides)) < len(sides):
            raise ValueError(f"scales must differ, got {sides}")
        return self


@dataclass(frozen=True)
class Rule:
    """A checked rule: `predicate` is DuckDB's own rendering of `when`, `signals` are the known signals it reads."""

    stage: int
    name: str
    predicate: str
    signals: tuple[Signal, ...]
    applies_to: AppliesTo = "all"
    doc: str = ""

    @property
    def stored_names(self) -> frozenset[str]:
        """Names of the stored signals it reads, aliases resolved."""
        return frozenset(s.stored_name for s in self.signals)


@dataclass(frozen=True)
class Stage:
    number: int
    name: str


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `hash` names its content: comments and spacing do not matter, the order of rules does. What is
    watched decides nothing, and is not part of it."""

    name: str
    store_from: int
    scales: tuple[Scale, ...]
    duplicates: Duplicates | None
    balance: BalanceEntry | None
    stages: tuple[Stage, ...]
    rules: tuple[Rule, ...]
    toml: str = ""
    watch: WatchEntry | None = None

    @property
    def hash(self) -> str:
        """16 hex digits."""
        content = {
            "name": self.name,
            "store_from": self.store_from,
            "scales": [s.side if s.from_stage is None else [s.side, s.from_stage] for s in self.scales],
            "duplicates": self.duplicates.model_dump() if self.duplicates else None,
            "stages": [(s.number, s.name) for s in self.stages],
            "balance": self.balance.content() if self.balance else None,
            "rules": [(r.stage, r.name, r.predicate, r.applies_to) for r in self.rules],
        }
        canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Every signal that some rule reads, in order of first use."""
        return tuple(dict.fromkeys(s for rule in self.rules for s in rule.signals))

    def rules_of(self, stage: int) -> tuple[Rule, ...]:
        return tuple(r for r in self.rules if r.stage == stage)

    def with_rules(self, rules: Iterable[Rule]) -> Recipe:
        return replace(self, rules=tuple(rules))


def load(path_or_name: str | Path, tables: Iterable[Table] | None = None) -> Recipe:
    """Read and check a recipe: a TOML file, or the name of one that comes with Glyphmill (`starter`).

    `tables` are the signal tables a rule may read; the tables of the installed extractors where it is None.
    Raises UsageError, one line, for whatever is wrong with it.
    """
    file = find(path_or_name)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {file} cannot be read: {error}") from error
    return loads(text, str(file), installed_tables() if tables is None else tables)


def loads(text: str, label: str, tables: Iterable[Table]) -> Recipe:
    """Like `load`, from text; `label` names the recipe in errors."""
    try:
        entry = RecipeEntry.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {label} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"recipe {label}: {_first_fault(error)}") from error
    tables = tuple(tables)
    with duckdb.connect() as con:
        checker = Checker(con, tables)
        rules = tuple(
            checker.rule(rule, stage.number, f"recipe {label}, stage {stage.number}, rule {rule.name!r}")
            for stage in entry.stage
            for rule in stage.rules
        )
    if entry.watch is not None:
        checker.watched(entry.watch, f"recipe {label}, [watch]")
    recipe = Recipe(
        name=entry.name,
        store_from=entry.store_from,
        scales=entry.scale or tuple(Scale(side=side) for side in entry.scales),
        duplicates=entry.duplicates,
        balance=entry.balance,
        stages=tuple(Stage(s.number, s.name) for s in entry.stage),
        rules=rules,
        toml=text,
        watch=entry.watch,
    )
    if len(rules) > MAX_BITS or len(recipe.signals) > MAX_BITS:
        raise UsageError(f"recipe {label} has more than {MAX_BITS} rules or signals; split it into two recipes")
    return recipe


def find(path_or_name: str | Path) -> Path:
    """The file of a recipe given by path or by the name of one that comes with Glyphmill."""
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = {
        Path(str(f)).stem: Path(str(f))
        for f in resources.files("recipes").iterdir()
        if f.name.endswith(".toml") and not f.name.startswith("curriculum-")  # those are model.curriculum's
    }
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    raise UsageError(f"no recipe {path_or_name}: give the path of a TOML file or one of {', '.join(sorted(shipped))}")


def installed_tables() -> tuple[Table, ...]:
    """Signal tables of the extractors there are, absent weights or not, and of what is worked out from them."""
    from pipelines.extractors import discover

    return (*(extractor.table for extractor in discover()), CATEGORY)


def stored_tables(con: duckdb.DuckDBPyConnection) -> tuple[Table, ...]:
    """The signal tables that the lake has, whether or not this machine has their extractors."""
    installed = {table.name: table for table in installed_tables()}
    found = []
    for name in (n for n in stored_columns(con) if n.startswith(SIGNAL_PREFIX)):
        schema = con.execute(f'SELECT * FROM "{name}" LIMIT 0').to_arrow_table().schema
        key = ("image_id", "caption_id") if "caption_id" in schema.names else ("image_id",)
        aggregates = installed[name].aggregates if name in installed else ()
        columns = tuple(Column(f.name, f.type, "") for f in schema)
        found.append(Table(name, "", columns, key=key, aggregates=aggregates))
    return tuple(found)


class Checker:
    """Checks predicates against empty tables of the known signals; nothing is read."""

    def __init__(self, con: duckdb.DuckDBPyConnection, tables: tuple[Table, ...]) -> None:
        self.con = con
        self.known = known_signals(tables)
        empty_tables(con, tables)

    @cached_property
    def functions(self) -> dict[str, Traits]:
        return functions(self.con)

    def rule(self, entry: RuleEntry, stage: int, where: str) -> Rule:
        """The checked rule. Raises UsageError that begins with `where`."""
        try:
            predicate = parse(self.con, entry.when)
            if predicate.functions:
                refuse_fickle(predicate, self.functions)
            signals = tuple(dict.fromkeys(self._signal(name) for name in predicate.columns))
            self._bind(predicate, signals)
        except PredicateError as error:
            raise UsageError(f"{where}: {error}") from error
        return Rule(stage, entry.name, predicate.sql, signals, entry.applies_to, entry.doc)

    def watched(self, entry: WatchEntry, where: str) -> None:
        """Raises UsageError, that begins with `where`, unless every signal that has limits is known."""
        try:
            for name in entry.unknown(self.known):
                self._signal(name)
                raise PredicateError(f"signals are written in small letters: {name.casefold()}")
        except PredicateError as error:
            raise UsageError(f"{where}: {error}") from error

    def _signal(self, name: str) -> Signal:
        by_folded = {known.casefold(): signal for known, signal in self.known.items()}
        signal = by_folded.get(name.casefold())
        if signal is None:
            near = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(self.known))}"
            raise PredicateError(f"no extractor here provides a signal {name!r}; {hint}")
        return signal

    def _bind(self, predicate: Predicate, signals: tuple[Signal, ...]) -> None:
        """The predicate must be a BOOLEAN of one row, and must not be TRUE where nothing was measured."""
        rows = relation(signals)
        try:
            self.con.execute(f"EXPLAIN SELECT 1 FROM ({rows}) WHERE ({predicate.sql})")
            described = self.con.execute(f"DESCRIBE SELECT ({predicate.sql}) FROM ({rows})").fetchall()
            columns = self.con.execute(f"DESCRIBE {rows}").fetchall()
            if described[0][1] != "BOOLEAN":
                raise PredicateError(
                    f"{predicate.sql} is a {described[0][1]}, not a yes/no question; compare it with something"
                )
            unmeasured = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind, *_ in columns)
            verdict = self.con.execute(f"SELECT ({predicate.sql}) FROM (SELECT {unmeasured})").fetchall()
        except duckdb.Error as error:
            raise PredicateError(f"{predicate.sql}: {str(error).splitlines()[0]}") from error
        if verdict == [(True,)]:
            raise PredicateError(
                f"{predicate.sql} would pass an image whose signals are all missing; "
                "say which images it is about instead, as in: format <> 'jpeg' OR jpeg_quality >= 30"
            )


def _first_fault(error: ValidationError) -> str:
    """The first complaint of pydantic as one line that names the place."""
    fault = error.errors(include_url=False)[0]
    place = ""
    for piece in fault["loc"]:
        place += f"[{piece + 1}]" if isinstance(piece, int) else f"{'.' if place else ''}{piece}"
    message = fault["msg"].removeprefix("Value error, ")
    more = error.error_count() - 1
    return f"{place + ': ' if place else ''}{message}" + (f" (and {more} more)" if more else "")
