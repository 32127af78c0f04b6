"""The commands of keeping: forget, watch, diff and card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import DatasetOption, LakeOption, QuietOption, RecipeOption

app = typer.Typer()
PANEL = "Keeping"


@app.command(rich_help_panel=PANEL)
def forget(
    lake: LakeOption,
    images: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE_ID]...", help="Image ids.")] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", help="File of image ids, one a line, or .csv, .jsonl with image_id.")
    ] = None,
    uri: Annotated[list[str] | None, typer.Option("--uri", help="Every image of this file, as in `inputs`.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Every image of this source.")] = None,
    sql: Annotated[str | None, typer.Option("--sql", help="Every image that a query gives as image_id.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why: all that is kept beside the image's id.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go and stop.")] = False,
) -> None:
    """Take images down: gone from every table, view and loader at once, never admitted again. `clean` purges bytes.

    Example: [bold]glyphmill forget --uri /data/photos/7.jpg --reason "letter of 2 March" --lake lake[/bold]
    """
    from pipelines.keeping import forget as job
    from warehouse.lake import Lake

    done = job.forget(
        Lake.open(lake),
        reason,
        ids=[*(images or []), *(job.read_ids(ids) if ids else [])],
        uris=uri or [],
        sources=source or [],
        sql=sql,
        dry_run=dry_run,
    )
    for table, rows in sorted(done.rows.items()):
        typer.echo(f"{rows:>9,} rows  {table}")
    if done.alike:
        typer.echo(f"{len(done.alike)} other images look alike and stay; forget them too if they show the same:")
        typer.echo("\n".join(f"  {image_id}" for image_id in done.alike[:20]))
    if dry_run:
        typer.echo(f"would be: {done}")
    else:
        typer.echo(f"{done}; run glyphmill clean to purge their bytes, and decide to judge their duplicates again")


@app.command(rich_help_panel=PANEL)
def watch(
    lake: LakeOption,
    recipe: RecipeOption = "starter",
    batch: Annotated[
        str | None, typer.Option("--batch", "-b", help="Batch to look at; the last one if not given.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every row, not only what drifted most.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Hold a batch's signals and shares against the nights before it; exit code 7 where a limit of the recipe's section
    \\[watch] is passed.

    Example: [bold]glyphmill watch --lake lake --recipe my-recipe.toml[/bold]
    """
    from pipelines import recipe as recipes_module
    from pipelines.keeping import watch as job
    from pipelines.keeping.watch_report import as_json as rendered
    from pipelines.keeping.watch_report import print_watched
    from pipelines.progress import bar
    from warehouse.lake import Lake

    chosen = recipes_module.load(recipe)
    with bar("watch", enabled=not quiet) as show:
        done = job.watch(Lake.open(lake), chosen, batch=batch, progress=show)
    if as_json:
        typer.echo(rendered(done))
    else:
        print_watched(done, every=every)
    job.check(done)


VERSION = "A version's hash, the start of one, or @N for the last one exported by snapshot N."


@app.command(rich_help_panel=PANEL)
def diff(
    old: Annotated[str, typer.Argument(metavar="V1", help=VERSION, show_default=False)],
    new: Annotated[str, typer.Argument(metavar="V2", help=VERSION, show_default=False)],
    lake: LakeOption,
    dataset: DatasetOption = "main",
    csv: Annotated[Path | None, typer.Option("--csv", help="Write every changed image to this CSV file.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write every changed image to this JSON file.")] = None,
) -> None:
    """What came into a dataset from one version to another, what left it, what changed, and by which rule or quota.

    Example: [bold]glyphmill diff 3f2a 9c01 --lake lake --csv changes.csv[/bold]
    """
    from pipelines.keeping.diff import diff as job
    from pipelines.keeping.diff_report import print_diff
    from warehouse.errors import UsageError
    from warehouse.lake import Lake

    if csv is not None and json is not None:
        raise UsageError("name one file: --csv or --json")
    file = csv or json
    if file is not None and file.suffix.lower() != (".csv" if csv else ".json"):
        raise UsageError(f"{file} must end in {'.csv' if csv else '.json'}")
    print_diff(job(Lake.open(lake, read_only=True), old, new, dataset=dataset, file=file))


@app.command(rich_help_panel=PANEL)
def card(
    lake: LakeOption,
    dataset: DatasetOption = "main",
    version: Annotated[str | None, typer.Option("--version", help=VERSION + " The last one if not given.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Markdown file to write; printed if not given.")
    ] = None,
) -> None:
    """Write a dataset card: counts, shares, languages, licences, thresholds, funnel, versions, known weak points.

    Example: [bold]glyphmill card --lake lake --dataset main --out README.md[/bold]
    """
    from pipelines.keeping.card import card as job
    from warehouse.files import replacing, told
    from warehouse.lake import Lake

    page = job(Lake.open(lake, read_only=True), dataset=dataset, version=version)
    if out is None:
        typer.echo(page, nl=False)
        return
    with told(f"writing {out}", out.absolute().parent), replacing(out.absolute()) as temporary:
        temporary.write_text(page, encoding="utf-8")
    typer.echo(f"{out}: the card of {dataset}")
