"""Commands of the OCR: what it reads in a picture, and what it cannot read at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import DECISIONS, QuietOption

app = typer.Typer()
ocr = typer.Typer(no_args_is_help=True, help="Read a picture; list the characters that the OCR is blind to.")
app.add_typer(ocr, name="ocr", rich_help_panel=DECISIONS)


@ocr.command()
def read(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture.", exists=True, dir_okay=False)],
) -> None:
    """Print the lines of a picture in reading order: confidence, height of the characters in pixels, script, text.

    Example: [bold]glyphmill ocr read poster.jpg[/bold]
    """
    from annotate.ocr import reader as engine
    from pipelines.decode import decode_full
    from pipelines.reasons import UnreadableError
    from warehouse.errors import UsageError

    try:
        picture = decode_full(image.read_bytes())
    except UnreadableError as error:
        raise UsageError(f"{image} cannot be read: {error}") from error
    for line in engine.reader().read(picture):
        typer.echo(f"{line.confidence:.2f} {line.char_px:5.0f} px  {line.script:8} {line.text}")


@ocr.command()
def blind(
    fonts: Annotated[
        list[Path] | None, typer.Option("--font", help="A font with the characters; may be given again.")
    ] = None,
    chars: Annotated[
        Path | None, typer.Option("--chars", help="Text file of characters to test; those of GBK if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="List to write, for `blind` in [ocr].")] = None,
    lake: Annotated[
        Path | None, typer.Option("--lake", "-L", help="Lake to keep the list in, as table ocr_blind.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Find the characters that the OCR misreads on a clean glyph; with --lake alone, store the list in use.

    Example: [bold]glyphmill ocr blind --font NotoSansCJK-Regular.ttc --out blind.tsv[/bold]
    """
    from annotate.ocr import blind as ocr_blind
    from annotate.ocr import reader as engine
    from pipelines.ocr_blind import record
    from pipelines.progress import bar
    from warehouse.errors import UsageError
    from warehouse.lake import Lake

    if bool(fonts) != (out is not None) or not (fonts or lake):
        raise UsageError("give --font FILE and --out FILE to make a list, or --lake LAKE alone to store the one in use")
    kept = Lake.open(lake) if lake is not None else None
    chosen = engine.settings()
    misread = ocr_blind.entries() if not fonts else ()
    if fonts and out is not None:
        tested = ocr_blind.characters_in(chars) if chars is not None else ocr_blind.default_characters()
        with bar("glyphs", enabled=not quiet) as show:
            done = ocr_blind.measure(engine.reader(), tested, fonts, lambda n: show(n, len(tested)))
        misread = done.misread
        ocr_blind.write(out, misread, chosen)
        typer.echo(f"{done.tested} characters, {len(misread)} misread, {len(done.absent)} in none of the fonts: {out}")
    if kept is not None:
        new = record(kept, ocr_blind.recogniser(chosen), misread)
        typer.echo(f"{len(misread)} characters {'stored' if new else 'stored before'} in {lake}, table ocr_blind")
