"""A sample's story on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.why import Row, Story, outcome

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 80  # characters of a caption that are shown
FRAME = 13  # columns that the lines of a table of four take
VALUE = 20  # characters of a signal's value
COLOURS = {"passes": "green", "fails": "red", "not measured": "yellow", "does not apply": "dim"}


def render(story: Story) -> None:
    """Print the story, empty parts left out."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(Text(f"{story.image_id or 'no image'}: {_headline(story)}", "bold"))
    console.print(_table("delivered", story.deliveries, ("source", "batch", "uri", "offset", "row", "status", "error")))
    if story.captions:
        console.print(_table("captions", story.captions, ("kind", "lang", "text", "origin")))
    if story.inherited_captions:
        console.print(
            _table("captions of its duplicates", story.inherited_captions, ("kind", "lang", "text", "caption_of"))
        )
    if story.signals:
        console.print(_signals(story.signals, console.width))
    if story.rules:
        console.print(_rules(story))
    if story.neighbours:
        columns = ("image_id", "link", "distance", "tile_distance", "text_differs", "is_duplicate_pair", "outcome")
        console.print(_table("looks like", story.neighbours, columns))
    if story.stored:
        console.print(
            _table("stored", [story.stored], ("shard", "suffix", "offset", "size", "json_offset", "txt_offset"))
        )
    if story.placements:
        console.print(_table("placed", story.placements, ("dataset", "version", "scale", "bucket", "weight")))


def _headline(story: Story) -> str:
    end = outcome(story)
    if end == "error":
        return f"error, {story.deliveries[0]['error']}"
    decision = story.decision
    if decision is None:
        return end
    told = f"{end} by recipe {story.recipe}, passed up to stage {decision['stage_reached']}"
    if decision["failed_rules"]:
        told += f"; fails {', '.join(decision['failed_rules'])}"
    if decision["missing_signals"]:
        told += f"; lacks {', '.join(decision['missing_signals'])}"
    if decision["duplicate_of"]:
        told += f"; a duplicate of {decision['duplicate_of']}, which inherits its captions"
    if story.duplicates:
        told += f"; stands for {', '.join(story.duplicates)}"
    return told


def _rules(story: Story) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"rules of {story.recipe}", title_justify="left")
    for heading in ("stage", "rule", "keeps where", "here", "verdict"):
        table.add_column(heading, overflow="fold")
    for answer in story.rules:
        here = ", ".join(f"{name} = {_value(value)}" for name, value in answer.values.items())
        verdict = Text(answer.verdict, COLOURS[answer.verdict])
        table.add_row(str(answer.stage), Text(answer.rule), Text(answer.predicate), Text(here), verdict)
    return table


def _signals(rows: Sequence[Row], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="signals", title_justify="left")
    cells = [(r["table"].removeprefix("signals_"), r["name"], _value(r["value"])[:VALUE]) for r in rows]
    headings = ("from", "signal", "value")
    widths = [max(len(h), *(len(c[place]) for c in cells)) for place, h in enumerate(headings)]
    for heading, wide in zip(headings, widths, strict=True):
        table.add_column(heading, no_wrap=True, min_width=wide)
    left = width - sum(widths) - FRAME
    table.add_column("what it is", no_wrap=True, overflow="ellipsis", max_width=max(left, 12))
    for cell, row in zip(cells, rows, strict=True):
        table.add_row(*(Text(text) for text in cell), Text(row["doc"]))
    return table


def _table(title: str, rows: Sequence[Row], columns: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    shown = [c for c in columns if any(row.get(c) is not None for row in rows)]
    for column in shown:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_value(row.get(column))) for column in shown))
    return table


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"
