"""Which text, in which fonts, how set, in the room that a surface has."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from synth.compositional.surface import Ink
from synth.corpora.corpus import Corpus
from synth.fonts.book import FontBook
from synth.fonts.facts import FontInfo
from synth.layout.block import Align, Block, Direction, Setting, UndrawableError
from synth.layout.fit import balanced, fit
from warehouse.errors import GlyphmillError, UsageError

ROLES = ("title", "sign", "slogan", "name", "place", "heading", "sentence", "sign", "slogan")
READABLE = {"zh": 17.0, "ja": 17.0, "ko": 17.0}  # the least em in pixels of the picture; others are smaller in their em
LATIN = 22.0


class NoTextError(GlyphmillError):
    """The corpus has no text of a length that suits the room; the sample is given up and counted."""


@dataclass(frozen=True)
class Written:
    """A text as it will stand: laid out, in a font."""

    block: Block
    font: FontInfo
    language: str


def is_wide(language: str) -> bool:
    return language.split("-")[0] in READABLE


def least(language: str, ink: Ink) -> float:
    """The least em in pixels of the picture."""
    smallest = READABLE.get(language.split("-")[0], LATIN)
    return max(smallest, ink.smallest if is_wide(language) else ink.smallest * 1.1)


def choose_text(corpus: Corpus, rng: Generator, language: str, capacity: int, longest: int) -> str:
    """A phrase, or a passage of at most `longest` characters and no more than the room takes."""
    phrases = language.split("-")[0] in ("en", "zh") and language != "zh-Hant"
    most = max(4, min(longest, capacity))
    if phrases and (rng.random() < 0.4 or most < 12):
        return corpus.phrase(rng, language.split("-")[0], ROLES[int(rng.integers(len(ROLES)))])
    unit = 1 if is_wide(language) else 3
    top = min(most, unit * int(rng.choice((8, 14, 24, 40, 80), p=(0.15, 0.25, 0.25, 0.2, 0.15))))
    least_wanted, breaks = max(2, min(4 * unit, top // 2)), bool(rng.random() < 0.5)
    try:
        return corpus.pick(rng, language, least_wanted, max(top, 4), breaks=breaks).text
    except UsageError as error:  # the language is there, which was checked before, but no text as short as this
        raise NoTextError(str(error)) from error


def heading(corpus: Corpus, rng: Generator, language: str) -> str:
    """A short phrase to stand above a text."""
    role = ("title", "heading", "sign", "slogan", "name")[int(rng.integers(5))]
    return corpus.phrase(rng, language.split("-")[0], role)


def choose_font(book: FontBook, rng: Generator, text: str, language: str, ink: Ink) -> FontInfo:
    """Kind first, then family, then face, so that a large family does not crowd out the rest. Raises
    UndrawableError."""
    kinds = ink.kinds
    fonts = (kinds and book.drawing(text, language, kinds)) or book.drawing(text, language)
    if not fonts:
        some = next((f.key for f in book.fonts), None)
        raise UndrawableError(book.missing(some, text)[:8] if some else text[:8])
    if not is_wide(language) and any(c in "‘’“”…—·" for c in text):  # Chinese faces set these a whole em wide
        fonts = (
            tuple(f for f in fonts if f.language == "und")
            or tuple(f for f in book.drawing(text, language) if f.language == "und")
            or fonts
        )
    fonts = tuple(f for f in fonts if f.kind != "mono") or fonts
    if ink.heavy is not None:
        fonts = tuple(f for f in fonts if (f.weight >= 600) == ink.heavy) or fonts
    fonts = tuple(f for f in fonts if f.weight >= 350) or fonts  # hairlines are gone once the picture is made smaller
    kind = _one(rng, sorted({f.kind for f in fonts}))
    family = _one(rng, sorted({f.family for f in fonts if f.kind == kind}))
    faces = [f for f in fonts if f.kind == kind and f.family == family]
    return faces[int(rng.integers(len(faces)))]


def set_text(
    text: str, font: FontInfo, book: FontBook, language: str, rng: Generator, room: tuple[float, float],
    smallest: float, largest: float, upright: bool = True,
) -> Written:  # fmt: skip
    """Laid out in a room of (width, height) pixels of the surface; `upright`: in columns too. Raises OverflowingError,
    UndrawableError."""
    width, height = room
    wide = is_wide(language)
    upright = upright and not any(c.isascii() and c.isalnum() for c in text)  # in columns these lie on their side
    direction: Direction = (
        "vertical" if upright and wide and height > 1.2 * width and rng.random() < 0.6 else "horizontal"
    )
    short = len(text) <= (16 if wide else 40)
    align: Align = "center" if short or rng.random() < 0.4 else "start"
    setting = Setting(
        faces=(font.key, *book.fall_backs(font.key, text, language)),
        size=0.0,
        direction=direction,
        align=align,
        leading=float(rng.uniform(1.28, 1.5)) + (0.12 if direction == "vertical" else 0.0),
        tracking=float(rng.choice((0.0, 0.0, 0.03, 0.08))) if wide else 0.0,
        language=language,
    )
    block = fit(text, setting, width, height, smallest, max(smallest, largest))
    if align == "center" and 1 < block.line_count <= 6:
        measure = block.height if block.setting.direction == "vertical" else block.width
        block = balanced(text, block.setting, measure)
    return Written(block, font, language)


def _one(rng: Generator, names: list[str]) -> str:
    return names[int(rng.integers(len(names)))]
