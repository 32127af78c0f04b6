"""What a dataset's card tells, asked of the lake: every figure is counted, none is written by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.keeping.diff import Version
from pipelines.signals import SIGNAL_PREFIX
from warehouse.metadata import stored_columns

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rule:
    """A threshold of the recipe, as written; `doc` and `applies_to` too."""

    stage: int
    name: str
    predicate: str
    doc: str
    applies_to: str


@dataclass(frozen=True)
class CardFacts:
    """One dataset version. Lists of (name, images, ...) come with the most frequent first; a name may be None."""

    version: Version
    recipe: str
    images: int
    bytes: int
    scales: tuple[Row, ...]
    categories: tuple[Row, ...]
    buckets: tuple[Row, ...]
    formats: tuple[Row, ...]
    languages: tuple[Row, ...]
    kinds: tuple[Row, ...]
    licenses: tuple[Row, ...]
    sources: tuple[Row, ...]
    rules: tuple[Rule, ...]
    stages: tuple[Row, ...]
    funnel: tuple[Row, ...]
    outcomes: tuple[Row, ...]
    versions: tuple[Row, ...]
    precision: tuple[Row, ...]
    without_caption: int
    opted_out: int
    opted_out_in_lake: int
    forgotten: int
    breached: tuple[str, ...]


def gather(con: duckdb.DuckDBPyConnection, version: Version) -> CardFacts:
    """Everything about a version. `con` has the lake in use and reads one snapshot."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE placed_rows AS FROM lake.placements WHERE dataset = ? AND version = ?",
        [version.dataset, version.version],
    )
    con.execute("CREATE OR REPLACE TEMP TABLE placed_ids AS SELECT DISTINCT image_id FROM temp.placed_rows")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE placed_images AS FROM lake.images SEMI JOIN temp.placed_ids USING (image_id)"
    )
    tables = stored_columns(con)
    name, toml = _one(con, "SELECT name, toml FROM lake.recipes WHERE recipe = ?", version.recipe) or ("", "")
    current = _one(con, "SELECT recipe FROM lake.current_recipe")
    told = "SELECT stage, name, entered, failed, pending, passed FROM lake.funnel"
    return CardFacts(
        version=version,
        recipe=name,
        images=_count(con, "FROM temp.placed_ids"),
        bytes=_count(con, "FROM lake.shard_index SEMI JOIN temp.placed_ids USING (image_id)", "coalesce(sum(size), 0)"),
        scales=_all(con, f"SELECT scale, {_COUNTED} FROM temp.placed_rows GROUP BY scale ORDER BY scale"),
        categories=_all(con, _per_image("category")),
        buckets=_all(con, _per_image("bucket")),
        formats=_all(con, "SELECT media_type, count(*) AS n FROM temp.placed_images GROUP BY 1 ORDER BY n DESC, 1"),
        languages=_all(con, _of_captions(_language(tables))),
        kinds=_all(con, _of_captions("kind")),
        licenses=_all(con, "SELECT license, count(*) AS n FROM temp.placed_images GROUP BY 1 ORDER BY n DESC, 1"),
        sources=_all(
            con,
            "SELECT source, count(*) AS n, min(batch), max(batch), count(source_url) FROM temp.placed_images "
            "GROUP BY 1 ORDER BY n DESC, 1",
        ),
        rules=tuple(_rules(toml)),
        stages=tuple((s["number"], s["name"]) for s in tomllib.loads(toml).get("stage", [])),
        funnel=_all(con, told) if current is not None and current[0] == version.recipe else (),
        outcomes=_all(
            con,
            "SELECT outcome, count(*) AS n FROM lake.decisions WHERE recipe = ? GROUP BY 1 ORDER BY n DESC, 1",
            version.recipe,
        ),
        versions=tuple(
            row for table in sorted(tables) if table.startswith(SIGNAL_PREFIX) for row in _versions(con, table)
        ),
        precision=_all(con, 'SELECT rule, judged, "right", precision, low, high FROM lake.audit_precision')
        if "audits" in tables
        else (),
        without_caption=_count(con, "FROM temp.placed_ids ANTI JOIN lake.caption_pool USING (image_id)"),
        opted_out=_count(con, "FROM temp.placed_images WHERE opt_out"),
        opted_out_in_lake=_count(con, "FROM lake.images WHERE opt_out"),
        forgotten=_count(con, "FROM lake.forgotten") if "forgotten" in tables else 0,
        breached=_breached(con, version.recipe) if "drift" in tables else (),
    )


_COUNTED = "count(*), round(sum(weight::DOUBLE), 1)"


def _per_image(column: str) -> str:
    """Images and expected copies at the smallest scale that each image has, by a column of `placements`."""
    return (
        f"SELECT {column}, count(*) AS n, round(sum(weight::DOUBLE), 1) FROM (FROM temp.placed_rows QUALIFY 1 = "
        f"row_number() OVER (PARTITION BY image_id ORDER BY scale)) GROUP BY 1 ORDER BY n DESC, 1"
    )


def _of_captions(column: str) -> str:
    return (
        f"SELECT {column} AS told, count(DISTINCT image_id) AS n, count(*) FROM lake.caption_pool AS c "
        f"SEMI JOIN temp.placed_ids USING (image_id) GROUP BY told ORDER BY n DESC, told"
    )


def _language(tables: Collection[str]) -> str:
    """A caption's language: as the source tells it or its script shows, else as it was measured."""
    if "signals_captions" not in tables:
        return "lang"
    measured = (
        "(SELECT any_value(s.caption_lang) FROM lake.signals_captions s "
        "WHERE s.image_id = c.caption_of AND s.caption_id = c.caption_id)"
    )
    return f"if(lang <> 'und', lang, coalesce({measured}, lang))"


def _versions(con: duckdb.DuckDBPyConnection, table: str) -> tuple[Row, ...]:
    extractor = table.removeprefix(SIGNAL_PREFIX)
    rows = _all(
        con,
        f'SELECT version, count(DISTINCT image_id) AS n FROM lake."{table}" SEMI JOIN temp.placed_ids '
        "USING (image_id) GROUP BY 1 ORDER BY n DESC, 1",
    )
    return tuple((extractor, *row) for row in rows)


def _rules(toml: str) -> list[Rule]:
    return [
        Rule(stage["number"], r["name"], " ".join(r["when"].split()), r.get("doc", ""), r.get("applies_to", "all"))
        for stage in tomllib.loads(toml).get("stage", [])
        for r in stage.get("rules", [])
    ]


def _breached(con: duckdb.DuckDBPyConnection, recipe: str | None) -> tuple[str, ...]:
    rows = _all(
        con,
        """SELECT DISTINCT name, statistic FROM lake.drift WHERE breached AND recipe = $1 AND batch = (
            SELECT batch FROM lake.runs WHERE command = 'watch' AND recipe = $1 ORDER BY finished_at DESC LIMIT 1
        ) ORDER BY ALL""",
        recipe,
    )
    return tuple(f"{name} ({statistic})" for name, statistic in rows)


def _all(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> tuple[Row, ...]:
    return tuple(con.execute(sql, list(parameters)).fetchall())


def _one(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> Row | None:
    return con.execute(sql, list(parameters)).fetchone()


def _count(con: duckdb.DuckDBPyConnection, rows: str, what: str = "count(*)") -> int:
    return int(con.execute(f"SELECT {what} {rows}").fetchall()[0][0])
