"""The commands that draw text images, and those to look at what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from pipelines.commands.glyphs import glyph
from pipelines.options import (
    CORES,
    DECISIONS,
    PASSES,
    BatchOption,
    CatalogOption,
    EngineName,
    EngineOption,
    EngineOptOption,
    LakeOption,
    QuietOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from pipelines.synthesising.wish import Wish

app = typer.Typer()
synth = typer.Typer(no_args_is_help=True, help="Draw images of text with exact ground truth; look at them.")
app.add_typer(synth, name="synth", rich_help_panel=PASSES)


class StrategyName(StrEnum):
    pure = "pure"
    compositional = "compositional"
    template = "template"
    edit = "edit"
    glyph = "glyph"


class RendererName(StrEnum):
    own = "own"
    libreoffice = "libreoffice"


SIZE, LANGUAGE = "512..1328", "zh=0.6,en=0.4"
PlanOption = Annotated[
    Path | None,
    typer.Option("--plan", help="pure: what to draw first, made by synth plan.", exists=True, rich_help_panel=WHAT),
]
CorpusOption = Annotated[
    list[Path] | None,
    typer.Option("--corpus", "-c", help="Text, JSON or CSV, a file or a folder; ours if none.", rich_help_panel=WHAT),
]
PhotosOption = Annotated[
    list[Path] | None,
    typer.Option("--photos", help="compositional, edit: a folder of photographs.", rich_help_panel=WHAT),
]
DecksOption = Annotated[
    list[Path] | None, typer.Option("--decks", help="template: .pptx, a file or a folder.", rich_help_panel=WHAT)
]
PagesOption = Annotated[
    list[Path] | None, typer.Option("--pages", help="template: HTML, a file or a folder.", rich_help_panel=WHAT)
]
LanguageOption = Annotated[
    list[str], typer.Option("--language", "-l", help="Languages and their shares.", rich_help_panel=WHAT)
]
SizeOption = Annotated[
    str, typer.Option("--size", help="Least and most of the longer side, pixels.", rich_help_panel=WHAT)
]
RendererOption = Annotated[
    RendererName, typer.Option("--renderer", help="template: who draws decks.", rich_help_panel=WHAT)
]


def _command(name: str, doc: str) -> Callable[..., None]:
    """The command that draws by the strategy `name`."""

    def command(
        lake: LakeOption,
        count: CountOption,
        seed: SeedOption = SEED,
        start: StartOption = 0,
        plan: PlanOption = None,
        corpus: CorpusOption = None,
        fonts: FontsOption = None,
        photos: PhotosOption = None,
        decks: DecksOption = None,
        pages: PagesOption = None,
        language: LanguageOption = [LANGUAGE],  # noqa: B006 - Typer wants a list
        size: SizeOption = SIZE,
        renderer: RendererOption = RendererName.own,
        batch: BatchOption = "default",
        out: TarsOption = None,
        workers: WorkersOption = CORES,
        engine: EngineOption = EngineName.local,
        engine_opt: EngineOptOption = None,
        catalog: CatalogOption = None,
        dry_run: DryRunOption = False,
        quiet: QuietOption = False,
    ) -> None:
        from pipelines.synthesising import wish

        asked = _wish(corpus, fonts, photos, decks, pages, plan, language, size, renderer)
        draw_into(
            lake,
            wish.strategy(name, asked),
            lambda: wish.left_out(name, asked),
            run=Run(seed, count, start, batch, out, workers, engine, engine_opt, catalog, dry_run, quiet),
        )

    command.__doc__ = doc
    return command


DOCS = {
    "pure": """Paragraphs on a clean ground.

    Example: [bold]glyphmill synth pure --count 1000 --lake lake --corpus poems/ --language zh=0.8,en=0.2[/bold]
    """,
    "compositional": """Text on paper, wood, metal, cloth, glass, neon ... placed in a photograph.

    Example: [bold]glyphmill synth compositional --count 1000 --lake lake --photos photos/[/bold]
    """,
    "template": """Slides, posters, menus, screens, comics ... filled with text.

    Example: [bold]glyphmill synth template --count 1000 --lake lake --decks decks/[/bold]
    """,
    "edit": """Pairs of pictures with one change, and the instruction that asks for it.

    Example: [bold]glyphmill synth edit --count 1000 --lake lake[/bold]
    """,
}
for _name, _doc in DOCS.items():
    synth.command(_name)(_command(_name, _doc))
synth.command()(glyph)


@synth.command()
def plan(
    out: Annotated[Path, typer.Option("--out", "-o", help="The plan, for synth pure --plan.")] = Path("plan.json"),
    times: Annotated[int, typer.Option("--times", min=1, help="How often each character is to be drawn.")] = 10,
    each_in: Annotated[int, typer.Option("--each-in", min=1, help="In how many fonts at least.")] = 3,
    per_image: Annotated[int, typer.Option("--per-image", min=1, help="Characters of an image at most.")] = 100,
    flattened: Annotated[int, typer.Option("--flattened", min=0, help="Images of rare words to add.")] = 0,
    chars: Annotated[
        Path | None, typer.Option("--chars", help="Text file of the characters; the standard's 8,105 if none.")
    ] = None,
    lake: Annotated[
        str | None, typer.Option("--lake", "-L", help="Count what its synthetic images have already.")
    ] = None,
    corpus: CorpusOption = None,
    fonts: FontsOption = None,
    language: Annotated[str, typer.Option("--language", "-l", help="Whose forms of the characters.")] = "zh-Hans",
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Equal arguments give an equal plan.")] = 0,
) -> None:
    """Choose what to draw so that coverage grows where it is thinnest; say what it reaches before anything is drawn.

    Example: [bold]glyphmill synth plan --times 10 --each-in 3 --corpus poems/ --out plan.json[/bold]
    """
    from pipelines.synthesising import planning
    from pipelines.synthesising.wish import places

    for line in planning.plan(
        out,
        planning.Goal(times, each_in, per_image, flattened, language, seed),
        characters=chars,
        lake=lake,
        corpora=places(corpus),
        fonts=places(fonts),
    ):
        typer.echo(line)


@synth.command()
def sheet(
    strategy: Annotated[StrategyName | None, typer.Argument(help="Of the lake all if none.")] = None,
    lake: Annotated[
        str | None, typer.Option("--lake", "-L", help="Show what it has; without one, draw here and now.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture: .png, .jpg or .webp.")] = Path("sheet.png"),
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=400, help="Samples.")] = 64,
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw the boxes of characters, lines and texts.")] = False,
    seed: SeedOption = SEED,
    start: StartOption = 0,
    plan: PlanOption = None,
    corpus: CorpusOption = None,
    fonts: FontsOption = None,
    photos: PhotosOption = None,
    decks: DecksOption = None,
    pages: PagesOption = None,
    language: LanguageOption = [LANGUAGE],  # noqa: B006 - Typer wants a list
    size: SizeOption = SIZE,
    renderer: RendererOption = RendererName.own,
) -> None:
    """A contact sheet: of a lake's synthetic images, or of what a strategy draws.

    Example: [bold]glyphmill synth sheet pure --out sheet.png[/bold]
    """
    from pipelines.synthesising import look, wish
    from warehouse.errors import UsageError
    from warehouse.lake import Lake

    if lake is not None:
        name = strategy.value if strategy is not None else None
        page = look.lake_sheet(Lake.open(lake, read_only=True), name, count, boxes=boxes)
    elif strategy is not None:
        asked = _wish(corpus, fonts, photos, decks, pages, plan, language, size, renderer)
        drawer = wish.strategy(strategy.value, asked)
        page = look.drawn_sheet(drawer, seed, count, start, boxes=boxes)
    else:
        raise UsageError("name a lake to look at, --lake LAKE, or a strategy to draw: pure, compositional ...")
    _save(page, out)


@synth.command()
def show(
    image_id: Annotated[str, typer.Argument(metavar="ID", help="image_id of a synthetic image, or its start.")],
    lake: LakeOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture: .png, .jpg or .webp.")] = Path("truth.png"),
) -> None:
    """One sample with its truth drawn on it: texts red, lines blue, characters green; and in words.

    Example: [bold]glyphmill synth show 3f2a --lake lake --out truth.png[/bold]
    """
    from pipelines.synthesising import look
    from warehouse.lake import Lake

    page, words = look.truth(Lake.open(lake, read_only=True), image_id)
    typer.echo(words)
    _save(page, out)


@app.command(rich_help_panel=DECISIONS)
def fonts(
    folder: Annotated[list[Path] | None, typer.Option("--fonts", "-f", help="A folder beside the system's.")] = None,
    language: Annotated[str | None, typer.Option("--language", "-l", help="Only of this: zh-Hans, ja, und ...")] = None,
    lies: Annotated[bool, typer.Option("--lies", help="Only those that claim characters they do not draw.")] = False,
) -> None:
    """The faces that can be drawn with: kind, language, licence, and what each truly draws.

    level 1, 2, 3: of the General Standard's 3,500, 3,000 and 1,605 characters.

    Example: [bold]glyphmill fonts --language zh-Hans[/bold]
    """
    from pipelines.synthesising.fonts import fonts_table
    from pipelines.synthesising.wish import places

    for line in fonts_table(places(folder), language, lies=lies):
        typer.echo(line)


def _wish(
    corpus: list[Path] | None,
    fonts: list[Path] | None,
    photos: list[Path] | None,
    decks: list[Path] | None,
    pages: list[Path] | None,
    plan: Path | None,
    language: list[str],
    size: str,
    renderer: RendererName,
) -> Wish:
    from pipelines.synthesising import wish

    return wish.Wish(
        corpora=wish.places(corpus),
        fonts=wish.places(fonts),
        photos=wish.places(photos),
        decks=wish.places(decks),
        pages=wish.places(pages),
        plan=None if plan is None else str(plan.absolute()),
        languages=wish.languages(language),
        longest=wish.sizes(size),
        renderer=renderer.value,
    )


def _save(page: object, out: Path) -> None:
    from PIL import Image

    from warehouse.errors import UsageError

    assert isinstance(page, Image.Image)
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UsageError(f"--out {out}: name a .png, .jpg or .webp file")
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out)
    typer.echo(f"{out}")
