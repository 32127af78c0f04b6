"""`glyphmill synth glyph`: single characters on a clean ground."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.drawing import (
    SEED,
    WHAT,
    CountOption,
    DryRunOption,
    FontsOption,
    Run,
    SeedOption,
    StartOption,
    TarsOption,
    draw_into,
)
from pipelines.options import (
    CORES,
    BatchOption,
    CatalogOption,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    QuietOption,
    WorkersOption,
)


class LayoutName(StrEnum):
    centred = "centred"
    free = "free"


class ColoursName(StrEnum):
    dark = "dark"
    several = "several"


def glyph(
    lake: LakeOption,
    count: CountOption,
    seed: SeedOption = SEED,
    start: StartOption = 0,
    chars: Annotated[
        Path | None,
        typer.Option(
            "--chars", help="Text file of the characters; A-Z, 0-9 and 50 Chinese if none.", rich_help_panel=WHAT
        ),
    ] = None,
    longest: Annotated[
        int, typer.Option("--longest", min=1, max=8, help="Characters of a text at most.", rich_help_panel=WHAT)
    ] = 1,
    layout: Annotated[
        LayoutName,
        typer.Option(
            "--layout", help="centred: within 2 pixels of 64; free: any place and size.", rich_help_panel=WHAT
        ),
    ] = LayoutName.centred,
    colours: Annotated[
        ColoursName, typer.Option("--colours", help="dark: black on white; several.", rich_help_panel=WHAT)
    ] = ColoursName.dark,
    face: Annotated[
        list[str] | None,
        typer.Option(
            "--face", help="Name of a font, see glyphmill fonts; two Noto Sans if none.", rich_help_panel=WHAT
        ),
    ] = None,
    fonts: FontsOption = None,
    size: Annotated[
        str, typer.Option("--size", help="Least and most of the side, pixels.", rich_help_panel=WHAT)
    ] = "64..64",
    batch: BatchOption = "default",
    out: TarsOption = None,
    workers: WorkersOption = CORES,
    engine: EngineOption = EngineName.local,
    engine_opt: EngineOptOption = None,
    catalog: CatalogOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> None:
    """One character, or a few, on a clean ground, each equally often: what a small model learns to write first.

    Example: [bold]glyphmill synth glyph --count 4300 --layout centred --lake lake[/bold]
    """
    from pipelines.synthesising import wish
    from synth.glyphs.characters import read_characters

    asked = wish.Wish(
        fonts=wish.places(fonts),
        longest=wish.sizes(size),
        glyphs=wish.GlyphWish(
            characters=() if chars is None else read_characters(chars),
            longest_text=longest,
            faces=tuple(face or ()),
            layout=layout.value,
            colours=colours.value,
        ),
    )
    draw_into(
        lake,
        wish.strategy("glyph", asked),
        lambda: wish.left_out("glyph", asked),
        run=Run(seed, count, start, batch, out, workers, engine, engine_opt, catalog, dry_run, quiet),
    )
