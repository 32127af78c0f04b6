"""The commands of keeping: forget, watch, diff and card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import LakeOption

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
