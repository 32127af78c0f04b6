"""The commands of the night shift: a whole night, and one unit that failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.annotate import Annotator
from pipelines.options import (
    CORES,
    PASSES,
    CatalogOption,
    DatasetOption,
    EngineName,
    EngineOption,
    EngineOptOption,
    KindOption,
    LakeOption,
    NameOption,
    QuietOption,
    RecipeOption,
    WorkersOption,
    chosen_engine,
)

if TYPE_CHECKING:
    from pipelines.engines import Engine
    from pipelines.nights.nightly import Annotate, Order
    from pipelines.nights.summary import NightSummary
    from pipelines.progress import Progress
    from warehouse.lake import Lake

app = typer.Typer()


@app.command(rich_help_panel=PASSES)
def nightly(
    lake: LakeOption,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "-s",
            help="Folder, tar or Parquet file; {date} is the night's date.",
            show_default=False,
        ),
    ],
    date: Annotated[str | None, typer.Option("--date", "-D", help="The night, as 2026-11-21; today (UTC).")] = None,
    backfill: Annotated[
        str | None,
        typer.Option("--backfill", metavar="FROM..TO", help="Every date from one to another.", show_default=False),
    ] = None,
    recipe: RecipeOption = "starter",
    source_name: NameOption = None,
    kind: KindOption = None,
    late: Annotated[int, typer.Option("--late", min=0, help="Days back that {date} folders are looked at again.")] = 7,
    dataset: DatasetOption = "main",
    annotate: Annotated[Annotator | None, typer.Option("--annotate", help="Describe what is left by this.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Of --annotate: name, or its folder.")] = None,
    base_url: Annotated[str, typer.Option("--base-url", help="Of --annotate openai.")] = "http://localhost:8000/v1",
    max_requests: Annotated[int | None, typer.Option(min=0, help="Of --annotate: requests a night.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Of --annotate: tokens a night, in and out.")] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="PASS", help="One pass alone: freeze, scan, near ... views.")
    ] = None,
    wait: Annotated[str, typer.Option("--wait", help="How long to wait for another run: 0s, 30m, 2h.")] = "30m",
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    catalog: CatalogOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the summary as JSON; - for stdout.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """One night: what is new is frozen as a list, scanned, compared, decided, inspected, balanced and exported.

    Exit code 0: done, or nothing new. 7: done, but some of it failed. 4: another run holds the lake. 2: wrong use.

    Example: [bold]glyphmill nightly --lake lake --source photos --date 2026-11-21 --json night.json[/bold]
    """
    from pipelines import recipe as recipes_module
    from pipelines.nights import nightly as job
    from pipelines.nights.listing import Where
    from pipelines.nights.listing import source_name as name_of
    from warehouse.cli import duration

    where = Where(source, source_name or name_of(source), kind, late)
    asking = _annotation(annotate, model, base_url, max_requests, max_tokens)
    order = job.Order(
        lake,
        where,
        recipes_module.load(recipe),
        dataset=dataset,
        wait_s=duration(wait).total_seconds(),
        only=only,
        annotate=asking,
        catalog=catalog,
    )
    days = _days(date, backfill)
    if dry_run:
        _plan(order, days, None if annotate is None else f"{annotate.value} {model or ''}".strip(), json_file)
        return
    told: list[NightSummary] = []
    try:
        for summary in _nights(order, days, chosen_engine(engine, workers, engine_opt), quiet, told):
            typer.echo(str(summary), err=json_file == "-" or bool(summary.exit_code))
    finally:
        if json_file is not None:
            _write(json_file, [summary.as_dict() for summary in told], many=backfill is not None)
    raise typer.Exit(max((summary.exit_code for summary in told), default=0))


@app.command(rich_help_panel=PASSES)
def replay(
    lake: LakeOption,
    unit: Annotated[
        str, typer.Option("--unit", "-u", help="Key of the unit in the table errors, or its start.", show_default=False)
    ],
) -> None:
    """Run one unit that failed again, in this very process: what it raises is seen where it is raised.

    Under a debugger: python -m pdb -m glyphmill replay ...

    Example: [bold]glyphmill replay --unit 3f2a --lake lake[/bold]
    """
    from pipelines.nights import replay as job
    from warehouse.lake import Lake

    letter, done = job.replay(Lake.open(lake), unit)
    typer.echo(f"{letter.command} unit {letter.unit}, given up {letter.attempts} times, is finished: {done}")


def _days(date: str | None, backfill: str | None) -> list[str]:
    from datetime import UTC, datetime

    from pipelines.nights.nightly import dates
    from warehouse.errors import UsageError

    if backfill is None:
        day = date or datetime.now(UTC).date().isoformat()
        return dates(day, day)
    first, dots, last = backfill.partition("..")
    if date is not None or not dots:
        raise UsageError("write --backfill as 2026-11-01..2026-11-14, and no --date with it")
    return dates(first, last)


def _nights(
    order: Order, days: list[str], engine: Engine, quiet: bool, told: list[NightSummary]
) -> Iterator[NightSummary]:
    """Do one night after the other; `told` gets each summary before its night begins."""
    from pipelines.nights import nightly as job
    from pipelines.progress import bar

    for day in days:
        summary = order.summary(day, engine)
        told.append(summary)
        try:
            job.nightly(order, summary, engine=engine, bar=lambda title: bar(title, enabled=not quiet))
        except BaseException as error:
            summary.fail(error)
            raise
        yield summary


def _plan(order: Order, days: list[str], annotator: str | None, json_file: str | None) -> None:
    from pipelines.nights.plan import plan

    plans = [plan(order, day, annotator) for day in days]
    if json_file is not None:
        _write(json_file, [one.as_dict() for one in plans], many=len(days) > 1)
    if json_file != "-":
        for one in plans:
            typer.echo(str(one))


def _write(file: str, told: list[dict[str, object]], *, many: bool) -> None:
    text = json.dumps({"nights": told} if many or not told else told[0], ensure_ascii=False, indent=1) + "\n"
    if file == "-":
        sys.stdout.write(text)
        return
    from warehouse.files import replacing

    with replacing(Path(file).absolute()) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _annotation(
    backend: Annotator | None, model: str | None, base_url: str, max_requests: int | None, max_tokens: int | None
) -> Annotate | None:
    """Who is asked about what is left; refused at once where it cannot be."""
    if backend is None:
        return None
    from pipelines.annotating import annotate as job
    from pipelines.commands.annotate import model_name, opened_backend

    model_name(backend, model)

    def annotating(lake: Lake, budget: str, show: Progress) -> job.AnnotateSummary:
        asked, wish = opened_backend(backend, model, base_url, job.Wish())
        return job.annotate(lake, asked, wish=wish, cap=job.Cap(max_requests, max_tokens, budget), progress=show)

    return annotating
