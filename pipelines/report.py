"""The funnel as a table that a stranger can read: what came in, what left where and why, what goes on."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import duckdb

from warehouse.lake import Lake

if TYPE_CHECKING:
    from rich.table import Table

MAX_REASONS = 3


def funnel(con: duckdb.DuckDBPyConnection) -> Table:
    """The views `funnel`, `drop_reasons` and `pending` as one rich table. `con` has the lake in use."""
    from rich.table import Table
    from rich.text import Text

    steps = con.execute("SELECT stage, name, entered, failed, pending, passed FROM funnel").fetchall()
    reasons = _reasons(con)
    title = con.execute("SELECT name FROM current_recipe").fetchone()
    table = Table(
        title=f"funnel, recipe {title[0]}" if title else "funnel, nothing decided yet",
        title_justify="left",
        show_footer=True,
    )
    kept = steps[-1][5] if steps else 0
    total = steps[0][2] if steps else 0
    share = f"{kept / total:.1%} of {total:,}" if total else ""
    balanced = con.execute(f"SELECT 1 FROM ({_BALANCED}) LIMIT 1").fetchone() is not None
    table.add_column("stage", Text("chosen" if balanced else "kept"))
    for heading in ("in", "dropped", "pending"):
        table.add_column(heading, justify="right")
    table.add_column("out", Text(f"{kept:,}"), justify="right")
    table.add_column("why (images)", Text(share), overflow="fold")
    for stage, name, entered, failed, pending, passed in steps:
        label = f"{stage} {name}" if stage is not None else name
        why = reasons.get(stage if stage is not None else name, "") if failed or pending else ""
        table.add_row(label, f"{entered:,}", _count(failed), _count(pending), f"{passed:,}", Text(why))
    return table


def print_funnel(root: str | PurePath) -> None:
    """Print the funnel of the lake at `root`."""
    from rich.console import Console

    con = Lake.open(root, read_only=True).connect(read_only=True)
    try:
        Console().print(funnel(con))
    finally:
        con.close()


def _reasons(con: duckdb.DuckDBPyConnection) -> dict[int | str, str]:
    """The most frequent reasons by stage number, or by name of the steps that no stage stands for."""
    codes = con.execute(
        """SELECT split_part(error, ':', 1) AS code, count(*) AS images FROM inputs WHERE status = 'error'
        GROUP BY code ORDER BY images DESC, code"""
    ).fetchall()
    told: dict[int | str, str] = {
        "readable": _top(codes),
        "not a repeat": "the same bytes came before",
        "not a near duplicate": "a better copy is kept",
        "decided": "came after the last decide",
    }
    by_stage: dict[int, list[tuple[str, int]]] = {}
    for stage, reason, images in con.execute(_LEFT_BY).fetchall():
        by_stage.setdefault(stage, []).append((reason, images))
    for stage, reason, images in con.execute(
        f"SELECT stage, reason, count(*) FROM ({_BALANCED}) GROUP BY ALL"
    ).fetchall():
        if reason is not None:
            by_stage.setdefault(stage, []).append((reason, images))
    return told | {stage: _top(counts) for stage, counts in by_stage.items()}


def _top(counts: list[tuple[str, int]]) -> str:
    shown = [f"{reason} ({images:,})" for reason, images in counts[:MAX_REASONS]]
    return ", ".join(shown + (["..."] if len(counts) > MAX_REASONS else []))


def _count(images: int) -> str:
    return f"{images:,}" if images else "-"


# What becomes of each kept image in stages 6 and 7, where the recipe was balanced.
_BALANCED = """
SELECT CASE WHEN stage7 THEN NULL WHEN stage6 THEN 7 ELSE 6 END AS stage,
    CASE WHEN stage7 THEN NULL WHEN stage6 THEN 'not the best of its leaf' WHEN category IS NULL THEN 'no category'
        ELSE 'more than its leaf''s quota' END AS reason
FROM balance SEMI JOIN decisions USING (image_id, recipe)
WHERE recipe = (SELECT recipe FROM current_recipe)
"""

# Rules that images fail, or wait at, at the stage at which they leave the funnel.
_LEFT_BY = """
WITH rule AS (
    SELECT r.stage, r.name, 1::UBIGINT << (place - 1) AS bit
    FROM (SELECT unnest(rules) AS r, generate_subscripts(rules, 1) AS place FROM current_recipe)
),
verdict AS (
    SELECT outcome = 'pending' AS waits, CASE outcome WHEN 'dropped' THEN failed_bits ELSE pending_bits END AS bits,
        count(*) AS images
    FROM decisions
    WHERE outcome IN ('dropped', 'pending') AND recipe = (SELECT recipe FROM current_recipe)
    GROUP BY ALL
),
named AS (
    SELECT v.waits, v.images, r.stage, r.name, min(r.stage) OVER (PARTITION BY v.waits, v.bits) AS leaving_at
    FROM verdict v JOIN rule r ON v.bits & r.bit <> 0
)
SELECT stage, CASE WHEN waits THEN name || ' not measured' ELSE name END AS reason, sum(images)::BIGINT AS images
FROM named
WHERE stage = leaving_at
GROUP BY ALL
ORDER BY stage, images DESC, reason
"""
