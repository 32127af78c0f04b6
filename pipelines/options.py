"""Options and helpers that several commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from warehouse.cli import LakeOption as LakeOption

if TYPE_CHECKING:
    from pipelines.engines import Engine

PASSES, DECISIONS = "Passes", "Decisions"


class EngineName(StrEnum):
    local = "local"
    beam = "beam"
    spark = "spark"


CatalogOption = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        envvar="GLYPHMILL_CATALOG",
        metavar="WHERE",
        help="Of a new lake: postgres: and a libpq string without a password, or a SQLite file.",
        show_default=False,
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe", "-r", envvar="GLYPHMILL_RECIPE", help="A recipe's TOML file, or the name of one that ships."
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", "-w", min=1, help="Worker processes; as many as cores if not given.")
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", envvar="GLYPHMILL_ENGINE", help="Where the work is done.")
]
EngineOptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-opt",
        envvar="GLYPHMILL_ENGINE_OPT",
        metavar="KEY=VALUE",
        help="An option of the engine, master=spark://host:7077 say; may be given again.",
        show_default=False,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
SourceArgument = Annotated[
    str, typer.Argument(metavar="SRC", help="Folder, tar or Parquet file with images.", show_default=False)
]
KindOption = Annotated[
    str | None, typer.Option("--kind", "-k", help="folder | webdataset | img2dataset | parquet; detected if not given.")
]
NameOption = Annotated[
    str | None, typer.Option("--source-name", help="Name of the source in the lake; SRC's own name if not given.")
]
BatchOption = Annotated[str, typer.Option("--batch", "-b", help="Label of this delivery, a date say.")]
DatasetOption = Annotated[str, typer.Option("--dataset", "-d", help="Name of the dataset to place images in.")]

CORES = os.cpu_count() or 1


def chosen_engine(name: EngineName, workers: int, options: Sequence[str] | None = None) -> Engine:
    """The engine called `name` with `options`, KEY=VALUE each. Starts nothing yet.

    Raises UsageError (an option that it does not know or cannot read), MissingDependency (it is not installed).
    """
    from pipelines.engines.choice import choose

    return choose(name.value, workers, options or ())
