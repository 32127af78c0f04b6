"""A source's queries with the phase's values filled in, and the captions that go with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from model.batches import Task
from model.curriculum.load import KINDS, PARAMETER
from model.curriculum.schema import Curriculum, Phase, Source

ANY = ("any",)  # the kinds of captions that no mix asks for


@dataclass(frozen=True)
class Query:
    """What is selected, with all values filled in; equal queries are run once. `kinds`: which kinds of captions are
    wanted, the best there is where None."""

    task: Task
    sql: str
    captions_sql: str | None
    kinds: tuple[str, ...] | None


def query_of(curriculum: Curriculum, phase: Phase, source: Source, segment: int, side: int) -> Query:
    """The query of a source in a segment at a resolution."""
    values = {**phase.segment_values(segment), "side": float(side)}
    mix = curriculum.captions(phase, source)
    captions = None if source.captions_sql is None else filled(source.captions_sql, values)
    wanted = None if mix is None else tuple(k for k in KINDS[source.task] if k in mix and mix[k].most > 0)
    return Query(source.task, filled(source.sql, values), captions, wanted)


def filled(sql: str, values: Mapping[str, float]) -> str:
    """`sql` with a number in the place of each `$name`."""

    def number(match: re.Match[str]) -> str:
        value = values[match[1]]
        return str(int(value)) if value == int(value) else repr(value)

    return PARAMETER.sub(number, sql.strip().rstrip(";").rstrip())


def kinds_of(query: Query, has_kind: bool) -> tuple[str, ...]:
    """Names of the kinds that the captions of a query are stored under."""
    if query.task == "ti2i" or (query.captions_sql is None and query.kinds is not None):
        return KINDS[query.task]
    return KINDS[query.task] if has_kind and query.kinds is not None else ANY


def captions_of(relations: frozenset[str], query: Query, has_kind: bool) -> str:
    """SQL that gives image_id and text, where text begins with one digit, the place of its kind in `kinds_of`.

    `relations`: what the lake has, see `relations_of`.
    """
    if query.captions_sql is not None:
        given = query.captions_sql
        if not has_kind or query.kinds is None:
            return f"SELECT image_id, '0' || text AS text FROM ({given}\n) WHERE trim(text) <> ''"
        return f"SELECT image_id, {_digit(query.kinds)} || text AS text FROM ({given}\n) WHERE {_among(query.kinds)}"
    table, of = ("caption_pool", "caption_of") if "caption_pool" in relations else ("captions", "image_id")
    unusable = "false"
    if "signals_captions" in relations:
        bad = "SELECT image_id, caption_id FROM lake.signals_captions WHERE invalid IS NOT NULL"
        unusable = f"({of}, caption_id) IN ({bad})"
    kinds = KINDS["t2i"]
    rank = f"coalesce(list_position({list(kinds)}, kind), 99)"
    order = unusable if query.kinds is not None else f"{unusable}, {rank}"
    digit = "'0'" if query.kinds is None else _digit(query.kinds)
    wanted = "trim(text) <> ''" if query.kinds is None else _among(query.kinds)
    return (
        f"SELECT image_id, {digit} || text AS text FROM lake.{table} WHERE {wanted} "
        f"QUALIFY rank() OVER (PARTITION BY image_id ORDER BY {order}) = 1"
    )


def _digit(wanted: Iterable[str]) -> str:
    cases = " ".join(f"WHEN '{kind}' THEN '{KINDS['t2i'].index(kind)}'" for kind in wanted)
    return f"CASE kind {cases} END"


def _among(wanted: Iterable[str]) -> str:
    return f"trim(text) <> '' AND kind IN ({', '.join(f'{kind!r}' for kind in wanted)})"


def relations_of(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of the lake's tables and views. Asking is slow: it reads what the catalog knows of each."""
    rows = con.execute("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake'").fetchall()
    return frozenset(str(row[0]) for row in rows)
