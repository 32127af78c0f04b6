"""The commands of stages 6 and 7: categories, balance, and finding more images of a leaf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import (
    CORES,
    DECISIONS,
    PASSES,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    QuietOption,
    RecipeOption,
    WorkersOption,
    chosen_engine,
)

app = typer.Typer()
group = typer.Typer(help="Balance what a recipe keeps by category and text; find more of what is rare.")
app.add_typer(group, name="balance", rich_help_panel=DECISIONS)


@app.command(rich_help_panel=PASSES)
def categorize(
    lake: LakeOption,
    taxonomy: Annotated[
        str, typer.Option("--taxonomy", help="A taxonomy's TOML file, or the name of one that ships.")
    ] = "qwen-image",
    scorer: Annotated[
        str | None, typer.Option("--scorer", help="Image-text scorer of models.toml; one with embeddings if not given.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the zero-shot prompts: en | zh.")] = "en",
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    quiet: QuietOption = False,
) -> None:
    """Give every image its category: from annotation, zero-shot alignment, or rules over captions and signals.

    Example: [bold]glyphmill categorize --lake lake[/bold]
    """
    from pipelines.categories import categorize as job
    from pipelines.progress import bar
    from warehouse.lake import Lake

    with bar("categorize", enabled=not quiet) as show:
        done = job.categorize(
            Lake.open(lake),
            engine=chosen_engine(engine, workers, engine_opt),
            taxonomy=taxonomy,
            scorer=scorer,
            language=language,
            progress=show,
        )
    typer.echo(str(done))


@group.callback(invoke_without_command=True)
def balance(
    context: typer.Context,
    lake: Annotated[  # asked for below: `mine` has one of its own
        Path | None, typer.Option("--lake", "-L", envvar="GLYPHMILL_LAKE", help="Folder of the lake.")
    ] = None,
    recipe: RecipeOption = "starter",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the table and write nothing.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Take the images of stages 6 and 7 by the recipe's \\[balance] section, and record what is lacking.

    Example: [bold]glyphmill balance --lake lake --recipe qwen-image --dry-run[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from pipelines import recipe as recipes_module
    from pipelines.balancing import balance as job
    from pipelines.balancing.report import print_balance
    from pipelines.progress import bar
    from warehouse.errors import UsageError
    from warehouse.lake import Lake

    if lake is None:
        raise UsageError("name the lake, as in: glyphmill balance --lake lake")
    chosen = recipes_module.load(recipe)
    with bar("balance", enabled=not quiet) as show:
        done = job.balance(Lake.open(lake), chosen, dry_run=dry_run, progress=show)
    print_balance(done, dry_run=dry_run)


@group.command()
def mine(
    leaf: Annotated[str, typer.Argument(help="A leaf's path or name: People/sports, slides ...", show_default=False)],
    lake: LakeOption,
    recipe: RecipeOption = "starter",
    like: Annotated[
        str | None, typer.Option("--like", help="Find by likeness to this image alone (its id or the start of it).")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many images.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
) -> None:
    """Find images that a leaf could have but has not: by its keywords in captions, and by likeness to its images.

    Example: [bold]glyphmill balance mine Design/slides --lake lake --limit 20[/bold]
    """
    from pipelines import recipe as recipes_module
    from pipelines.balancing import mine as job
    from pipelines.balancing.report import print_found
    from warehouse.lake import Lake

    chosen = recipes_module.load(recipe)
    found = job.mine(Lake.open(lake, read_only=True), chosen, leaf, like=like, limit=limit)
    print_found(found, as_json=as_json)
