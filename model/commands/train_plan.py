"""glyphmill train plan, train curricula: which batches a curriculum makes of a lake."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warehouse.cli import LakeOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

    from model.plan import Plan

app = typer.Typer()

CurriculumOption = Annotated[
    str,
    typer.Option("--curriculum", "-c", help="A curriculum's TOML file, or the name of one that ships: small."),
]


@app.command("plan")
def plan_command(
    lake: LakeOption,
    curriculum: CurriculumOption = "small",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; the plan goes to its `plan`.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another order.")] = 0,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", min=0, help="For phases whose curriculum names none.")
    ] = None,
    shrink_steps: Annotated[int, typer.Option("--shrink-steps", min=1, help="Divide the steps by this.")] = 1,
    shrink_batch: Annotated[int, typer.Option("--shrink-batch", min=1, help="Divide the batches by this.")] = 1,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a picture of all shares over the steps.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what the plan would be; keep nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Run a curriculum's queries and plan every batch of the training; nothing is decoded.

    Example: [bold]glyphmill train plan --curriculum small --lake lake --out run[/bold]
    """
    from tempfile import TemporaryDirectory

    from model.curriculum.load import load
    from model.plan import Plan
    from warehouse.errors import MissingDependency, UsageError
    from warehouse.lake import Lake

    if plot is not None and find_spec("matplotlib") is None:
        raise MissingDependency("--plot needs matplotlib: pip install 'glyphmill[plot]'")
    if out is None and not dry_run:
        raise UsageError("say where the plan shall be with --out, or look at it with --dry-run")
    chosen = load(curriculum).shrunk(steps=shrink_steps, batch=shrink_batch)
    if learning_rate is not None:
        chosen = chosen.with_rate(learning_rate)
    elif dry_run and chosen.without_rate():
        chosen = chosen.with_rate(0.0)
    opened = Lake.open(lake, read_only=True)
    with TemporaryDirectory(prefix="glyphmill-plan-") as scratch:
        folder = Path(scratch) / "plan" if dry_run or out is None else out / "plan"
        with _noting(not quiet) as note:
            plan = Plan.make(chosen, opened, folder, seed, note)
        if not quiet:
            _show(plan)
        if plot is not None:
            from model.plan.plot import plot as draw

            draw(plan, plot)
        if not dry_run:
            typer.echo(f"plan {plan.digest[:12]} of {plan.steps:,} steps at {folder}, snapshot {plan.snapshot}")


@app.command("curricula")
def curricula() -> None:
    """The curricula that come with Glyphmill.

    Example: [bold]glyphmill train curricula[/bold]
    """
    from rich.console import Console

    from model.curriculum.load import load, shipped

    table = _table("name", "steps", "resolutions", "learning rate", "what it is")
    for name in shipped():
        found = load(name)
        sides = " -> ".join("/".join(str(r.side) for r in phase.resolutions) for phase in found.phases)
        rate = "to be given" if found.without_rate() else str(found.phases[0].learning_rate)
        table.add_row(name, f"{found.steps:,}", sides, rate, found.doc)
    Console().print(table)


def _table(*columns: str) -> Table:
    """A table without frames, whose long cells go on in the next line."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


@contextmanager
def _noting(enabled: bool) -> Iterator[Callable[[str], None]]:
    """Tells on stderr what is being done, on a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not enabled or not console.is_terminal:
        yield lambda text: None
        return
    with console.status("planning") as status:
        yield status.update


def _show(plan: Plan) -> None:
    from rich.console import Console

    from model.plan.table import batch_rows, source_rows, totals

    console = Console()
    for tables in plan.phases:
        phase = tables.phase
        samples, tokens, most = totals(plan, tables)
        console.print(
            f"\n[bold]{phase.name}[/bold]: {phase.steps:,} steps, {samples:,} samples, {tokens:,} target "
            f"tokens (at most {most:,} a step); ti2i {phase.edits}; dropout {phase.dropout:g}; "
            f"learning rate {phase.learning_rate}"
            + (f" after {phase.warmup:,} steps of warm-up" if phase.warmup else ""),
            highlight=False,
        )
        for name, ramp in phase.values.items():
            if not ramp.constant:
                steps = ", ".join(f"{phase.segment_values(n)[name]:g}" for n in range(phase.segments))
                console.print(f"  ${name}: {steps}", highlight=False)
        sources = _table("source", "share", "samples", "images", "epochs", "buckets", "caption bytes", "left out")
        for row in source_rows(plan, tables):
            left = [
                f"{number:,} {word}"
                for number, word in ((row.unstored, "not stored"), (row.uncaptioned, "no caption"))
                if number
            ]
            left += [f"bucket {bucket} too small" for bucket in row.unused]
            sources.add_row(
                row.source if row.task == "t2i" else f"{row.source} ({row.task})",
                row.share, f"{row.samples:,}", f"{row.images:,}", f"{row.epochs:.2f}",
                " ".join(f"{bucket}={number:,}" for bucket, number in row.buckets.items()),
                "/".join(map(str, row.words)), "; ".join(left),
            )  # fmt: skip
        console.print(sources)
        batches = _table("task", "side", "bucket", "width x height", "batch", "target tokens", "steps")
        for kind in batch_rows(plan, tables):
            batches.add_row(
                kind.task, str(kind.side), kind.bucket, f"{kind.width} x {kind.height}", f"{kind.batch:,}",
                f"{kind.tokens:,}", f"{kind.steps:,}",
            )  # fmt: skip
        console.print(batches)
