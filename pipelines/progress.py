"""One progress bar per pass, on a terminal; silence elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told how far a pass has come: `done` of `total` (None where it is not known yet) and a short note."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None: ...


def silent(done: int, total: int | None, note: str = "") -> None:
    """A Progress that shows nothing."""


@contextmanager
def bar(title: str, *, enabled: bool = True) -> Iterator[Progress]:
    """A rich progress bar on stderr named `title`, or `silent` where stderr is no terminal or `enabled` is False."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not enabled or not console.is_terminal:
        yield silent
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(title, total=None, note="")

        def show(done: int, total: int | None, note: str = "") -> None:
            bars.update(task, completed=done, total=total, note=note)

        yield show
