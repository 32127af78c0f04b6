"""The bar of a VAE's training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model.vae_training.loop import Progress


@contextmanager
def bar(title: str, *, enabled: bool = True) -> Iterator[Progress]:
    """A rich bar on stderr with loss, PSNR and seconds a step; silence where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not enabled or not console.is_terminal:
        yield lambda done, total, row: None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(title, total=None, note="")
        yield lambda done, total, row: bars.update(task, completed=done, total=total, note=note(row))


def note(row: dict[str, Any]) -> str:
    """The last line of metrics in few words; nothing of an empty one."""
    return f"loss {row['loss']:.4f}  {row['psnr']:.2f} dB  {row['seconds']:.3g} s/step" if row else ""
