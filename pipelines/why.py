"""Why: one sample's whole story, from the delivery to the shard. All is read from the lake; nothing is decoded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import duckdb

from pipelines.decide import needed_signals
from pipelines.recipe import Recipe, Rule, installed_tables, stored_tables
from pipelines.signals import relation
from pipelines.what_if import current_recipe
from warehouse.errors import UsageError
from warehouse.forgotten import anything_forgotten
from warehouse.lake import Lake
from warehouse.schema import SIGNAL_STATUS, Table

Row = dict[str, Any]
SHOWN = 5  # candidates that an ambiguous name lists


@dataclass(frozen=True)
class Answer:
    """What one rule says: `verdict` is passes, fails, not measured or does not apply; `values` are what it read."""

    stage: int
    rule: str
    predicate: str
    values: Row
    verdict: str
    doc: str


@dataclass(frozen=True)
class Story:
    """All that the lake knows of one sample, rows as the tables have them. `image_id` is None where no bytes came."""

    image_id: str | None
    deliveries: list[Row]
    captions: list[Row]
    inherited_captions: list[Row]
    signals: list[Row]
    recipe: str | None
    decision: Row | None
    rules: list[Answer]
    neighbours: list[Row]
    duplicates: list[str]
    stored: Row | None
    placements: list[Row]


def why(lake: Lake, name: str) -> Story:
    """The story of an image, by its id, the start of one, its uri, the end of one, or `uri#row` in a tar or Parquet.

    Raises UsageError where nothing or more than one sample goes by that name.
    """
    con = lake.connect(read_only=True)
    try:
        image_id, deliveries = _find(con, name)
        if image_id is None:
            return Story(None, deliveries, [], [], [], None, None, [], [], [], None, [])
        tables = stored_tables(con)
        recipe = current_recipe(con, tables) if _rows(con, "FROM current_recipe LIMIT 1") else None
        decision = _row(
            con,
            "FROM decisions WHERE image_id = ? AND recipe = (SELECT recipe FROM current_recipe)",
            image_id,
        )
        pool = _rows(con, "SELECT * FROM caption_pool WHERE image_id = ? ORDER BY kind, caption_id", image_id)
        return Story(
            image_id=image_id,
            deliveries=deliveries,
            captions=_rows(con, "FROM captions WHERE image_id = ? ORDER BY kind, caption_id", image_id),
            inherited_captions=[row for row in pool if row["caption_of"] != image_id],
            signals=_signals(con, tables, image_id),
            recipe=recipe.name if recipe else None,
            decision=decision,
            rules=_answers(con, recipe, image_id, decision) if recipe and _is_ok(deliveries) else [],
            neighbours=_rows(con, _NEIGHBOURS, image_id, image_id, image_id),
            duplicates=[row["image_id"] for row in _rows(con, _DUPLICATES, image_id)],
            stored=_row(con, "FROM shard_index WHERE image_id = ?", image_id),
            placements=_rows(con, "FROM placements WHERE image_id = ? ORDER BY dataset, version, scale", image_id),
        )
    finally:
        con.close()


def as_json(story: Story) -> str:
    """The story as one JSON object."""
    return json.dumps(asdict(story), ensure_ascii=False, indent=2, default=_plain)


def outcome(story: Story) -> str:
    """The sample's one outcome in words."""
    statuses = {row["status"] for row in story.deliveries}
    if "ok" not in statuses:
        return "repeat" if "repeat" in statuses else "error"
    return story.decision["outcome"] if story.decision else "not decided yet"


def _find(con: duckdb.DuckDBPyConnection, name: str) -> tuple[str | None, list[Row]]:
    """Image id and deliveries of what goes by that name."""
    uri, _, row = name.rpartition("#")
    uris = [name, str(Path(name).absolute())] + ([uri, str(Path(uri).absolute())] if uri and row.isdigit() else [])
    found: list[Row] = []
    if re.fullmatch(r"[0-9a-f]{1,32}", name):
        found = _rows(con, f"{_INPUTS} WHERE starts_with(image_id, ?) ORDER BY ALL", name)
    if not found:
        found = _rows(con, f"{_INPUTS} WHERE list_contains(?, uri) ORDER BY ALL", uris)
        if not found:
            ends = ["/" + u for u in (name, uri) if u]
            found = _rows(con, f"{_INPUTS} WHERE list_bool_or([ends_with(uri, e) FOR e IN ?]) ORDER BY ALL", ends)
        if row.isdigit() and uri and not any(r["uri"].endswith(name) for r in found):
            found = [r for r in found if r["row"] == int(row)]
    if not found:
        _refuse_forgotten(con, name)
        raise UsageError(f"nothing in this lake goes by {name}: give an image id, the start of one, or a uri")
    samples = {r["image_id"] or f"{r['uri']}#{r['row']}" for r in found}
    if len(samples) > 1:
        some = ", ".join(sorted(samples)[:SHOWN])
        raise UsageError(f"{len(samples)} samples go by {name}: name one of them, such as {some}")
    image_id = found[0]["image_id"]
    if image_id is not None:
        found = _rows(
            con, f"{_INPUTS} WHERE image_id = ? ORDER BY status = 'repeat', batch, source, uri, row", image_id
        )
    return image_id, found


def _refuse_forgotten(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Raises UsageError where the name is that of an image that was taken down: there is no more to tell."""
    if not re.fullmatch(r"[0-9a-f]{8,32}", name) or not anything_forgotten(con):
        return
    gone = con.execute(
        "SELECT image_id, reason, strftime(forgotten_at, '%Y-%m-%d') FROM forgotten WHERE starts_with(image_id, ?)",
        [name],
    ).fetchone()
    if gone is not None:
        raise UsageError(f"image {gone[0]} was forgotten on {gone[2]} ({gone[1]}): nothing else is known of it")


def _signals(con: duckdb.DuckDBPyConnection, tables: Sequence[Table], image_id: str) -> list[Row]:
    """Every stored column of every signal table: table, name, value, doc; a table without a row is one line."""
    docs = {(table.name, column.name): column.doc for table in installed_tables() for column in table.columns}
    bookkeeping = {"image_id", *(c.name for c in SIGNAL_STATUS)}
    told: list[Row] = []
    for table in tables:
        rows = _rows(con, f'FROM "{table.name}" WHERE image_id = ? ORDER BY ALL', image_id)
        if not rows:
            told.append({"table": table.name, "name": "*", "value": None, "doc": "not measured"})
        for row, column in product(rows, ["status", *table.names]):
            if column == "status" and row["status"] != "ok":
                told.append({"table": table.name, "name": "*", "value": None, "doc": f"error: {row['error']}"})
            elif column not in bookkeeping:
                told.append(
                    {
                        "table": table.name,
                        "name": column,
                        "value": row[column],
                        "doc": docs.get((table.name, column), ""),
                    }
                )
    return told


def _answers(
    con: duckdb.DuckDBPyConnection, recipe: Recipe, image_id: str, decision: Mapping[str, Any] | None
) -> list[Answer]:
    """Every rule with what it read; the verdict as it was decided, or as it would be where nothing was decided yet."""
    signals = needed_signals(recipe)
    now = ", ".join(f"({rule.predicate}) AS answer_{place}" for place, rule in enumerate(recipe.rules))
    columns = f"*, {now}" if now else "*"
    row = _row(con, f"SELECT {columns} FROM ({relation(signals, 'lake.')}) WHERE image_id = ?", image_id)
    assert row is not None
    told = []
    for place, rule in enumerate(recipe.rules):
        values = {signal.name: row[signal.name] for signal in rule.signals}
        verdict = _verdict(rule, row, place, decision)
        told.append(Answer(rule.stage, rule.name, rule.predicate, values, verdict, rule.doc))
    return told


def _verdict(rule: Rule, row: Row, place: int, decision: Mapping[str, Any] | None) -> str:
    if rule.applies_to != "all" and row["synthetic"] != (rule.applies_to == "synthetic"):
        return "does not apply"
    answer = row[f"answer_{place}"]
    if decision is not None:
        failed, pending = rule.name in decision["failed_rules"], rule.name in decision["pending_rules"]
        answer = False if failed else None if pending else True
    return "not measured" if answer is None else "passes" if answer else "fails"


def _is_ok(deliveries: Sequence[Row]) -> bool:
    return any(row["status"] == "ok" for row in deliveries)


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> list[Row]:
    rows = con.execute(sql, list(parameters)).to_arrow_table().to_pylist()
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]  # NaN: missing


def _row(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> Row | None:
    found = _rows(con, sql, *parameters)
    return found[0] if found else None


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


_INPUTS = "FROM inputs"

_NEIGHBOURS = """
SELECT n.other AS image_id, n.link, n.distance, n.tile_distance, n.text_differs,
    coalesce(n.distance <= c.max_distance AND n.tile_distance <= c.max_tile_distance
        AND n.text_differs IS NOT TRUE, false) AS is_duplicate_pair,
    d.outcome
FROM (SELECT CASE WHEN a = ? THEN b ELSE a END AS other, * FROM near_pairs WHERE a = ? OR b = ?) AS n
LEFT JOIN current_recipe AS c ON true
LEFT JOIN decisions AS d ON d.image_id = n.other AND d.recipe = c.recipe
ORDER BY n.distance, n.tile_distance, n.other
"""

_DUPLICATES = """
SELECT image_id FROM decisions
WHERE duplicate_of = ? AND recipe = (SELECT recipe FROM current_recipe)
ORDER BY image_id
"""
