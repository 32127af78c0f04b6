"""Edit pairs on a board in a photograph: the same board, light and grain twice, the writing on it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from synth.compositional.finding import Found, find
from synth.compositional.hanging import Board, hang, make_board
from synth.compositional.noise import Rgb
from synth.compositional.photos import open_album
from synth.compositional.settle import Written, choose_font, least, set_text
from synth.compositional.surface import Ink
from synth.compositional.telling import Made, tell
from synth.compositional.writing import Writing
from synth.draw.ink import ink as draw_ink
from synth.edits.instructions import Kind, Told, instruct
from synth.edits.phrases import Language, Phrase
from synth.edits.scene import Rect
from synth.fonts.book import FontBook
from synth.fonts.facts import FontInfo
from synth.palettes import named
from synth.pure.captions import KINDS
from synth.sample import Rejected, Sample
from synth.strategy import EditPair

#: Materials on which a sentence can be read whatever the light; their inks have several colours.
MATERIALS = ("paper", "cardboard", "wood", "metal", "cloth", "glass", "chalkboard", "whiteboard", "billboard", "screen")
#: Streams of chance that both pictures of a pair draw alike, each from its start.
Streams = Callable[[str], Generator]
LOW, HIGH = 0.14, 0.86  # where upper and lower writing stands, of the room that it leaves


@dataclass(frozen=True)
class Writes:
    """What is written on a board: `place` from 0 (top) to 1 (bottom) of its room."""

    text: str
    language: str
    font: FontInfo
    ink: Ink
    place: float = 0.5


def board_pair(
    phrase: Phrase,
    language: Language,
    kind: Kind,
    *,
    photos: tuple[str, ...],
    longest: tuple[int, int],
    book: FontBook,
    rng: Generator,
    streams: Streams,
) -> EditPair | Rejected:
    """One pair. Raises PhotoError, UndrawableError, OverflowingError."""
    album = open_album(photos)
    found = find(album, longest, 0.0, 0.4, rng)
    if isinstance(found, Rejected):
        return found
    fitting = [name for name in MATERIALS if name in found.site.materials] or ["paper"]
    board = make_board(fitting[int(rng.integers(len(fitting)))], found.site, found.photo.shape, rng)
    if isinstance(board, Rejected):
        return board
    before, after, told = _writings(rng, board, phrase, language, kind, book)
    if before == after:
        return Rejected("no other", f"nothing to change the {kind} to on {board.name}")
    first, second = _set(before, board, book, streams), _set(after, board, book, streams)
    em = min(first.block.setting.size, second.block.setting.size)
    scenes = album.captions.get(found.path, {})
    reference = _picture(found, board, before, first, em, scenes, streams)
    target = _picture(found, board, after, second, em, scenes, streams)
    for drawn in (reference, target):
        if isinstance(drawn, Rejected):
            return drawn
    assert isinstance(reference, Sample)
    assert isinstance(target, Sample)
    rect = differing(reference.image, target.image)
    if rect is None:
        return Rejected("no change", f"both pictures are the same after a change of {kind}")
    return EditPair(reference, target, corners_of(rect), instruct(rng, kind, told), kind)


def _writings(
    rng: Generator, board: Board, phrase: Phrase, language: Language, kind: Kind, book: FontBook
) -> tuple[Writes, Writes, Told]:
    """What is written before and after, and what the instruction tells; twice the same where there is no other."""
    inks = board.surface.inks
    ink = inks[int(rng.integers(len(inks)))]
    both = phrase.text("zh") + phrase.text("en")
    font = choose_font(book, rng, both, "zh-Hans", ink)
    text = phrase.text(language)
    place = float(rng.choice((LOW, HIGH))) if kind == "position" else 0.5
    before = Writes(text, "zh-Hans" if language == "zh" else "en", font, ink, place)
    told: Told = {"en": {"text": text}, "zh": {"text": text}}
    after = before
    if kind == "word":
        other, slot = phrase.with_other_word(rng)
        words = {"old": phrase.words(language)[slot], "new": other.words(language)[slot]}
        told = {code: told[code] | words for code in told}
        after = replace(before, text=other.text(language))
    elif kind == "language":
        into: Language = "en" if language == "zh" else "zh"
        names = {"en": {"en": "English", "zh": "英文"}, "zh": {"en": "Chinese", "zh": "中文"}}[into]
        told = {code: told[code] | {"new": phrase.text(into), "language": names[code]} for code in told}
        after = replace(before, text=phrase.text(into), language="zh-Hans" if into == "zh" else "en")
    elif kind == "colour":
        others = [i for i in inks if i.way == ink.way and named(i.colour)["en"] != named(ink.colour)["en"]]
        if others:
            new = others[int(rng.integers(len(others)))]
            told = {
                code: told[code] | {"old": named(ink.colour)[code], "new": named(new.colour)[code]} for code in told
            }
            after = replace(before, ink=new)
    elif kind == "font":
        fonts = [f for f in book.drawing(text, "zh-Hans", ink.kinds) if f.kind != font.kind and f.weight >= 400]
        if fonts:
            new_font = fonts[int(rng.integers(len(fonts)))]
            names_of = {"en": 0, "zh": 1}
            told = {
                code: told[code] | {"old": KINDS[font.kind][n], "new": KINDS[new_font.kind][n]}
                for code, n in names_of.items()
            }
            after = replace(before, font=new_font)
    else:
        upper, lower = {"en": "the top", "zh": "上部"}, {"en": "the bottom", "zh": "下部"}
        old, new_place = (upper, lower) if place == LOW else (lower, upper)
        on = {"en": " of the board", "zh": ""}
        of = {"en": "", "zh": "牌子"}
        told = {
            code: told[code]
            | {
                "old": of[code] + old[code] + on[code],
                "new": of[code] + new_place[code] + on[code],
                "at": f"at {new_place[code]}{on[code]}",
                "was": f"at {old[code]}{on[code]}",
            }
            for code in told
        }
        after = replace(before, place=HIGH if place == LOW else LOW)
    return before, after, told


def _set(writes: Writes, board: Board, book: FontBook, streams: Streams) -> Written:
    x0, y0, x1, y1 = board.surface.room
    smallest = least(writes.language, writes.ink) * board.widest
    room = (float(x1 - x0), (y1 - y0) * (0.45 if writes.place != 0.5 else 1.0))
    largest = max(smallest, min((y1 - y0) / 3, 220.0))
    return set_text(
        writes.text, writes.font, book, writes.language, streams("set"), room, smallest, largest, upright=False
    )


def _picture(
    found: Found,
    board: Board,
    writes: Writes,
    written: Written,
    em: float,
    scenes: Mapping[str, tuple[str, ...]],
    streams: Streams,
) -> Sample | Rejected:
    surface, block = board.surface, written.block
    x0, y0, x1, y1 = surface.room
    at = (x0 + (x1 - x0 - block.width) / 2, y0 + (y1 - y0 - block.height) * writes.place)
    mask, placed = draw_ink(block, (surface.alpha.shape[0], surface.alpha.shape[1]), at)
    rgb, photo = surface.rgb.copy(), found.photo.copy()
    writes.ink.put(rgb, mask, em, streams("ink"))
    hang(photo, board, rgb, em, found.site, found.light, streams("hang"))
    writing = Writing(mask, (replace(placed, role="body"),), written, em)
    made = Made(writing, board.to_photo, surface.kind, writes.ink)
    facts = {"photo": found.path.name, "plane": found.site.plane, "ground": "photo"}
    drawn = tell(photo, made, found.site, dict(facts), scenes, streams("tell"))
    return drawn if isinstance(drawn, Rejected) else replace(drawn, template=f"edit:{drawn.template}")


def differing(one: Rgb, other: Rgb) -> Rect | None:
    """The smallest rectangle with every pixel in which two pictures (h, w, 3) differ; None where none does."""
    differs = (one != other).any(axis=-1)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def corners_of(rect: Rect) -> tuple[float, ...]:
    """x, y of the corners from the top left on, clockwise."""
    x0, y0, x1, y1 = rect
    return tuple(float(v) for v in (x0, y0, x1, y0, x1, y1, x0, y1))
