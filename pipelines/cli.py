"""Commands of the pipelines. Each imports what it needs when it runs, so that `--help` stays instant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.options import (
    CORES,
    DECISIONS,
    PASSES,
    BatchOption,
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
    SourceArgument,
    WorkersOption,
    chosen_engine,
)

if TYPE_CHECKING:
    from pipelines.export import ExportSummary
    from pipelines.extractors.base import Extractor
    from pipelines.recipe import Recipe
    from warehouse.sources import Source

WAIT_S = 600.0  # for the lake's lock, where another scan is committing

app = typer.Typer(no_args_is_help=True)
recipes = typer.Typer(no_args_is_help=True, help="Check and show recipes.")
app.add_typer(recipes, name="recipe", rich_help_panel="Decisions")


@app.command(rich_help_panel=PASSES)
def curate(
    src: SourceArgument,
    lake: LakeOption,
    recipe: RecipeOption = "starter",
    kind: KindOption = None,
    source_name: NameOption = None,
    batch: BatchOption = "default",
    dataset: DatasetOption = "main",
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    catalog: CatalogOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Scan, compare, decide and export in one go; the lake is made if it is not there.

    Example: [bold]glyphmill curate photos/ --lake lake --recipe starter[/bold]
    """
    from pipelines import curate as job
    from pipelines import recipe as recipes_module
    from pipelines.inspect import chosen_extractors
    from pipelines.progress import bar
    from pipelines.report import print_funnel
    from warehouse.sources import open_source

    chosen = recipes_module.load(recipe)
    inspecting = chosen_extractors(chosen)
    source = open_source(src, kind)
    if dry_run:
        _print_plan(lake, source, batch, source_name, chosen, inspecting)
        return
    done = job.curate(
        lake,
        source,
        chosen,
        engine=chosen_engine(engine, workers, engine_opt),
        bar=lambda title: bar(title, enabled=not quiet),
        source_name=source_name,
        batch=batch,
        dataset=dataset,
        catalog=catalog,
    )
    if done.inspected.unread or done.inspected.failed or done.inspected.errors:
        typer.echo(str(done.inspected), err=True)
    print_funnel(lake)
    _print_export(done.exported)


@app.command(rich_help_panel=PASSES)
def scan(
    src: SourceArgument,
    lake: LakeOption,
    kind: KindOption = None,
    source_name: NameOption = None,
    batch: BatchOption = "default",
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    catalog: CatalogOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    quiet: QuietOption = False,
) -> None:
    """First pass over bytes: header, one decode, all CPU signals, hashes; captions and fields as delivered.

    Example: [bold]glyphmill scan photos/ --lake lake --batch 2026-11-21[/bold]
    """
    from pipelines import scan as job
    from pipelines.progress import bar
    from warehouse.lake import Lake
    from warehouse.sources import open_source

    source = open_source(src, kind)
    if dry_run:
        _print_plan(lake, source, batch, source_name)
        return
    with bar("scan", enabled=not quiet) as show:
        done = job.scan(
            Lake.open_or_create(lake, catalog=catalog),
            source,
            batch=batch,
            source_name=source_name,
            engine=chosen_engine(engine, workers, engine_opt),
            wait_s=WAIT_S,
            progress=show,
        )
    typer.echo(str(done))


@app.command(rich_help_panel=PASSES)
def near(
    lake: LakeOption,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare new images with everything in the lake and record the pairs that look alike.

    Example: [bold]glyphmill near --lake lake[/bold]
    """
    from pipelines.near import pairs as near_pairs
    from pipelines.progress import bar
    from warehouse.lake import Lake

    with bar("near pairs", enabled=not quiet) as show:
        done = near_pairs.near(Lake.open(lake), engine=chosen_engine(engine, workers, engine_opt), progress=show)
    typer.echo(str(done))


@app.command(rich_help_panel=PASSES)
def decide(lake: LakeOption, recipe: RecipeOption = "starter", quiet: QuietOption = False) -> None:
    """Apply a recipe to the stored signals: kept, dropped, pending, duplicate. Decodes nothing.

    Example: [bold]glyphmill decide --lake lake --recipe my-recipe.toml[/bold]
    """
    from pipelines import decide as job
    from pipelines import recipe as recipes_module
    from pipelines.progress import bar
    from pipelines.report import print_funnel
    from warehouse.lake import Lake

    chosen = recipes_module.load(recipe)
    with bar("decide", enabled=not quiet) as show:
        job.decide(Lake.open(lake), chosen, progress=show)
    print_funnel(lake)


@app.command(rich_help_panel=PASSES)
def export(
    lake: LakeOption,
    recipe: RecipeOption = "starter",
    dataset: DatasetOption = "main",
    materialize: Annotated[
        Path | None, typer.Option("--materialize", help="Also write the version's images as plain tars to this folder.")
    ] = None,
    shard_mb: Annotated[int, typer.Option("--shard-mb", min=1, help="Size to aim at for one shard, MB.")] = 512,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    quiet: QuietOption = False,
) -> None:
    """Put new images' original bytes into the pool, once, and write the dataset version.

    Example: [bold]glyphmill export --lake lake --dataset main --materialize /data/main[/bold]
    """
    from pipelines import export as job
    from pipelines import recipe as recipes_module
    from pipelines.materialize import materialize as write_tars
    from pipelines.progress import bar
    from warehouse.lake import Lake

    chosen = recipes_module.load(recipe)
    opened = Lake.open(lake)
    where = chosen_engine(engine, workers, engine_opt)
    with bar("export", enabled=not quiet) as show:
        done = job.export(opened, chosen, engine=where, dataset=dataset, shard_bytes=shard_mb << 20, progress=show)
    _print_export(done)
    if materialize is not None:
        with bar("tars", enabled=not quiet) as show:
            tars = write_tars(
                opened, materialize, dataset=dataset, version=done.version, shard_bytes=shard_mb << 20, progress=show
            )
        typer.echo(f"{tars.images} images in {tars.shards} tars at {materialize}")


@app.command(rich_help_panel=DECISIONS)
def why(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE_ID", help="Image id, the start of one, or a uri.", show_default=False)
    ],
    lake: LakeOption,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """One sample's whole story: where from, every signal, every failing rule, duplicate of whom, which shard.

    Example: [bold]glyphmill why 3f2a --lake lake[/bold]
    """
    from pipelines import why as job
    from pipelines.why_report import render
    from warehouse.lake import Lake

    story = job.why(Lake.open(lake, read_only=True), image)
    if as_json:
        typer.echo(job.as_json(story))
    else:
        render(story)


@app.command(name="what-if", rich_help_panel=DECISIONS)
def what_if(
    predicate: Annotated[str, typer.Argument(help="A DuckDB predicate over signals.", show_default=False)],
    lake: LakeOption,
    stage: Annotated[int, typer.Option("--stage", "-s", min=1, max=7, help="Stage whose rules it stands in for.")],
    add: Annotated[bool, typer.Option("--add", help="Add it to the stage's rules instead of replacing any.")] = False,
) -> None:
    """What another threshold would keep, drop and leave pending; no image is decoded, nothing is written.

    Example: [bold]glyphmill what-if "sharpness >= 120" --stage 2 --lake lake[/bold]
    """
    from pipelines import what_if as job
    from warehouse.lake import Lake

    job.show(job.what_if(Lake.open(lake, read_only=True), predicate, stage, add=add))


@recipes.command("check")
def recipe_check(
    file: Annotated[str, typer.Argument(help="A recipe's TOML file or name.", show_default=False)],
) -> None:
    """Check a recipe: TOML, rule names, predicates, and whether this machine can measure every signal it needs.

    Example: [bold]glyphmill recipe check my-recipe.toml[/bold]
    """
    from pipelines import recipe as recipes_module
    from pipelines.inspect import chosen_extractors

    found = recipes_module.load(file)
    chosen_extractors(found)
    typer.echo(f"{found.name} is fine: {len(found.stages)} stages, {len(found.rules)} rules, hash {found.hash}")


@recipes.command("show")
def recipe_show(name: Annotated[str, typer.Argument(help="A recipe's TOML file or name.", show_default=False)]) -> None:
    """Print a recipe as it is written; redirect it to a file to start your own.

    Example: [bold]glyphmill recipe show starter > my-recipe.toml[/bold]
    """
    from pipelines import recipe as recipes_module

    typer.echo(recipes_module.load(name).toml, nl=False)


@app.command(rich_help_panel=PASSES)
def demo(
    folder: Annotated[Path | None, typer.Argument(help="New folder for the corpus.", show_default=False)] = None,
    tour: Annotated[bool, typer.Option("--tour", help="Print three queries to try on the demo's lake.")] = False,
    lake: Annotated[Path, typer.Option("--lake", "-L", help="Folder of the lake.")] = Path("demo/lake"),
) -> None:
    """Make a small messy corpus of real photographs to try the mill on.

    Example: [bold]glyphmill demo corpus && glyphmill curate corpus --lake lake[/bold]
    """
    from warehouse.errors import UsageError

    if folder is not None:
        from pipelines.demo import make_corpus

        counts = make_corpus(folder)
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items())
        typer.echo(f"{sum(counts.values())} images at {folder}: {kinds}")
    elif tour:
        from pipelines.demo import tour as where_to_look

        typer.echo(where_to_look(lake))
    else:
        raise UsageError("name a folder for the corpus, as in: glyphmill demo corpus")


def _print_plan(
    lake: PurePath,
    source: Source,
    batch: str,
    source_name: str | None,
    recipe: Recipe | None = None,
    inspecting: Sequence[Extractor] = (),
) -> None:
    from pipelines.scan import dry_run

    typer.echo(str(dry_run(lake, source, batch=batch, source_name=source_name)))
    if recipe is not None:
        from pipelines.passes import passes

        measured = f" ({', '.join(e.name for e in inspecting)})"
        names = [p.name + (measured if p.name == "inspect" else "") for p in passes(recipe, inspecting)]
        typer.echo(f"then, by recipe {recipe.name}: {', '.join(names[1:])}")


def _print_export(done: ExportSummary) -> None:
    typer.echo(str(done))
    for line in done.troubles:
        typer.echo(line, err=True)
    if done.unstored or done.failed:
        raise typer.Exit(1)
