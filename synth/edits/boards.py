"""Edit pairs on a board in a photograph: the same board, light and grain twice, the writing on it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

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
from synth.edits.change import Name, Options, Wording, change
from synth.edits.instructions import Kind, instruct
from synth.edits.phrases import Phrase
from synth.edits.poster import Rect, corners_of
from synth.fonts.book import FontBook
from synth.quoting import Language
from synth.sample import Rejected, Sample
from synth.strategy import EditPair

#: Materials on which a sentence can be read whatever the light; their inks have several colours.
MATERIALS = ("paper", "cardboard", "wood", "metal", "cloth", "glass", "chalkboard", "whiteboard", "billboard", "screen")
#: Streams of chance that both pictures of a pair draw alike, each from its start.
Streams = Callable[[str], Generator]
#: Where writing stands, as a share of the room that it leaves above, and what that is called.
_HEIGHTS = (0.5, 0.14, 0.86)
_PLACES: tuple[Name, ...] = (
    {"en": "the middle of the board", "zh": "牌子中间"},
    {"en": "the top of the board", "zh": "牌子上部"},
    {"en": "the bottom of the board", "zh": "牌子下部"},
)
_MIDDLE, _TOP, _BOTTOM = range(3)


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
    inks = board.surface.inks
    ink = inks[int(rng.integers(len(inks)))]
    font = choose_font(book, rng, phrase.text("zh") + phrase.text("en"), "zh-Hans", ink)
    place = (_TOP, _BOTTOM)[int(rng.integers(2))] if kind == "position" else _MIDDLE
    before = Wording(phrase, language, font, ink.colour, place)
    same_way = {other.colour: other for other in inks if other.way == ink.way}
    options = Options(
        colours=list(same_way),
        fonts=[f for f in book.drawing(before.text, "zh-Hans", ink.kinds) if f.weight >= 400],
        free=[other for other in (_TOP, _BOTTOM) if other != place],
        places=_PLACES,
    )
    changed = change(rng, kind, before, options)
    if changed is None:
        return Rejected("no other", f"nothing to change the {kind} to on {board.name}")
    after, told = changed
    first, second = _set(before, ink, board, book, streams), _set(after, ink, board, book, streams)
    em = min(first.block.setting.size, second.block.setting.size)
    scenes = album.captions.get(found.path, {})
    drawn = []
    for wording, written in ((before, first), (after, second)):
        made = _picture(found, board, wording, same_way[wording.colour], written, em, scenes, streams)
        if isinstance(made, Rejected):
            return made
        drawn.append(made)
    rect = differing(drawn[0].image, drawn[1].image)
    if rect is None:
        return Rejected("no change", f"both pictures are the same after a change of {kind}")
    return EditPair(drawn[0], drawn[1], corners_of(rect), instruct(rng, kind, told), kind)


def _set(wording: Wording, ink: Ink, board: Board, book: FontBook, streams: Streams) -> Written:
    x0, y0, x1, y1 = board.surface.room
    smallest = least(wording.forms, ink) * board.widest
    room = (float(x1 - x0), (y1 - y0) * (1.0 if wording.place == _MIDDLE else 0.45))
    largest = max(smallest, min((y1 - y0) / 3, 220.0))
    rng = streams("set")
    return set_text(wording.text, wording.font, book, wording.forms, rng, room, smallest, largest, upright=False)


def _picture(
    found: Found,
    board: Board,
    wording: Wording,
    ink: Ink,
    written: Written,
    em: float,
    scenes: Mapping[str, tuple[str, ...]],
    streams: Streams,
) -> Sample | Rejected:
    """The photograph with the board, written on. `em`: of the smaller of both writings, on which blur depends."""
    surface, block = board.surface, written.block
    x0, y0, x1, y1 = surface.room
    at = (x0 + (x1 - x0 - block.width) / 2, y0 + (y1 - y0 - block.height) * _HEIGHTS[wording.place])
    mask, placed = draw_ink(block, (surface.alpha.shape[0], surface.alpha.shape[1]), at)
    rgb, photo = surface.rgb.copy(), found.photo.copy()
    ink.put(rgb, mask, em, streams("ink"))
    hang(photo, board, rgb, em, found.site, found.light, streams("hang"))
    writing = Writing(mask, (replace(placed, role="body"),), written, em)
    made = Made(writing, board.to_photo, surface.kind, ink)
    drawn = tell(photo, made, found.site, {"photo": found.path.name}, scenes, streams("tell"))
    return drawn if isinstance(drawn, Rejected) else replace(drawn, template=f"edit:{drawn.template}")


def differing(one: Rgb, other: Rgb) -> Rect | None:
    """The smallest rectangle with every pixel in which two pictures (h, w, 3) differ; None where none does."""
    differs = (one != other).any(axis=-1)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
