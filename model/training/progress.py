"""The bar of a training: loss, time of a step, share of waiting, what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, dict[str, Any]], None]


def note(row: dict[str, Any]) -> str:
    """The last line of metrics in few words."""
    return f"loss {row['loss']:.4f}  {row['seconds']:.3g} s/step  waits {row['wait_share']:.0%}  {row['phase']}"


@contextmanager
def bar(title: str, done: int, total: int, *, enabled: bool = True) -> Iterator[Progress]:
    """A rich bar on stderr from `done` to `total` steps; silence where stderr is no terminal or `enabled` is False."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not enabled or not console.is_terminal:
        yield lambda step, row: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(title, total=total, completed=done, note="")
        yield lambda step, row: bars.update(task, completed=step, note=note(row))
