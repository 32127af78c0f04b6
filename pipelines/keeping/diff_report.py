"""A diff as a table to read: a row per change and reason, with examples to ask `why` about."""

from __future__ import annotations

from pipelines.keeping.diff import CHANGES, Diff

COLOURS = {"in": "green", "out": "red"}
MOST = 30  # rows shown


def print_diff(done: Diff) -> None:
    """Print what changed, reason by reason, the most frequent first."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=str(done), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("change", no_wrap=True)
    table.add_column("images", justify="right")
    table.add_column("why", overflow="fold")
    table.add_column("for example", overflow="fold")
    for reason in done.reasons[:MOST]:
        examples = " ".join(image_id[:8] for image_id in reason.examples)
        style = COLOURS.get(reason.change, "")
        table.add_row(CHANGES[reason.change], f"{reason.images:,}", reason.why, examples, style=style)
    if done.reasons:
        console.print(table)
    else:
        console.print(str(done), highlight=False)
    if len(done.reasons) > MOST:
        console.print(f"and {len(done.reasons) - MOST} more reasons: --csv or --json has every image", highlight=False)
    for line in done.told:
        console.print(line, highlight=False)
