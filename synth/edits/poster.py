"""Edit pairs on a plain poster: two pieces of writing in places of their own, one of them changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.draw.ink import ink, ink_bounds
from synth.draw.paint import Colour, Paint, paint
from synth.edits.change import Name, Options, Wording, change
from synth.edits.instructions import Kind, instruct
from synth.edits.phrases import draw_phrase
from synth.fonts.book import FontBook
from synth.layout.block import Setting, UndrawableError
from synth.layout.fit import fit
from synth.naming import LETTERS, colour_names
from synth.palettes import PLAIN, READABLE, Palette, contrast, hexed, parsed
from synth.placed import Placed
from synth.pure.design import canvas_size, choose_font
from synth.quoting import Language, quote
from synth.sample import Json, Rejected, Sample
from synth.strategy import EditPair

Picture = NDArray[np.uint8]
Rect = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels

SMALLEST = 16  # ems in pixels of the smallest writing


@dataclass(frozen=True)
class Slot:
    """A place for writing: its name, x, y, width, height as shares of the poster, and the largest type in it as a share
    of the shorter side."""

    name: Name
    box: tuple[float, float, float, float]
    level: float


_SLOTS = (
    Slot({"en": "the top", "zh": "上方"}, (0.1, 0.08, 0.8, 0.22), 0.16),
    Slot({"en": "the centre", "zh": "中央"}, (0.1, 0.38, 0.8, 0.2), 0.12),
    Slot({"en": "the bottom", "zh": "下方"}, (0.1, 0.74, 0.8, 0.16), 0.09),
)
_COLOURS: tuple[Colour, ...] = (
    parsed("101010"),
    parsed("f7f7f2"),
    parsed("c8281e"),
    parsed("1b2a49"),
    parsed("2456a6"),
    parsed("2e7d4f"),
    parsed("f2c84b"),
    parsed("f08c2e"),
    parsed("5b2a6e"),
    parsed("1d6f78"),
    parsed("9e2a55"),
)


@dataclass(frozen=True)
class Item:
    """A piece of writing. `largest`: the em in pixels that it may not exceed, wherever it stands."""

    wording: Wording
    role: str
    largest: float


@dataclass(frozen=True)
class Poster:
    width: int
    height: int
    palette: Palette
    frame: bool
    items: tuple[Item, ...]


def poster_pair(
    rng: np.random.Generator,
    book: FontBook,
    language: Language,
    kind: Kind,
    longest: tuple[int, int],
    facts: dict[str, Json],
) -> EditPair | Rejected:
    """One pair. `facts` go into both samples. Raises UndrawableError, OverflowingError."""
    before = _poster(rng, book, language, longest)
    n = int(rng.integers(len(before.items)))
    item = before.items[n]
    taken = {other.wording.place for other in before.items}
    options = Options(
        colours=[c for c in _COLOURS if contrast(c, before.palette.ground) >= READABLE],
        fonts=book.drawing(item.wording.text, "zh-Hans"),
        free=[place for place in range(len(_SLOTS)) if place not in taken],
        places=[slot.name for slot in _SLOTS],
    )
    changed = change(rng, kind, item.wording, options)
    if changed is None:
        return Rejected("no other", f"nothing to change the {kind} to")
    wording, told = changed
    items = (*before.items[:n], replace(item, wording=wording), *before.items[n + 1 :])
    after = replace(before, items=items)
    first, first_truth, first_rects = draw_poster(before)
    second, second_truth, second_rects = draw_poster(after)
    if np.array_equal(first, second):
        return Rejected("no change", f"both pictures are the same after a change of {kind}")
    return EditPair(
        reference=Sample(first, tuple(first_truth), _captions(before), "edit:poster", facts),
        target=Sample(second, tuple(second_truth), _captions(after), "edit:poster", facts),
        quad=corners_of(_around(first_rects[n], second_rects[n])),
        instruction=instruct(rng, kind, told),
        kind=kind,
    )


def draw_poster(poster: Poster) -> tuple[Picture, list[Placed], list[Rect]]:
    """The picture (h, w, 3); of each item what stands where, and the rectangle outside of which it changed no pixel.

    Raises UndrawableError, OverflowingError.
    """
    picture = np.full((poster.height, poster.width, 3), poster.palette.ground, np.uint8)
    if poster.frame:
        inset, thick = round(0.03 * min(picture.shape[:2])), max(1, round(0.004 * poster.height))
        last = (poster.width - 1 - inset, poster.height - 1 - inset)
        cv2.rectangle(picture, (inset, inset), last, poster.palette.accent, thick)
    drawn = [_write(picture, item) for item in poster.items]
    return picture, [placed for placed, _ in drawn], [rect for _, rect in drawn]


def corners_of(rect: Rect) -> tuple[float, ...]:
    """x, y of the corners from the top left on, clockwise."""
    x0, y0, x1, y1 = rect
    return tuple(float(v) for v in (x0, y0, x1, y0, x1, y1, x0, y1))


def _poster(rng: np.random.Generator, book: FontBook, language: Language, longest: tuple[int, int]) -> Poster:
    width, height = canvas_size(rng, longest)
    palette = PLAIN[int(rng.integers(len(PLAIN)))]
    places = sorted(rng.permutation(len(_SLOTS))[:2].tolist())  # one stays free, for what is moved
    items = []
    for role, place in zip(("title", "line"), places, strict=True):
        phrase = draw_phrase(rng, role)
        both = phrase.text("zh") + phrase.text("en")  # whatever it is changed to, the font need not be
        fonts = book.drawing(both, "zh-Hans")
        if not fonts:
            raise UndrawableError(both)
        colour = palette.inks[int(rng.integers(len(palette.inks)))]
        wording = Wording(phrase, language, choose_font(rng, fonts), colour, place)
        items.append(Item(wording, role, _SLOTS[place].level * min(width, height)))
    return Poster(width, height, palette, bool(rng.random() < 0.4), tuple(items))


def _write(picture: Picture, item: Item) -> tuple[Placed, Rect]:
    wording, (height, width) = item.wording, picture.shape[:2]
    x, y, w, h = _SLOTS[wording.place].box
    setting = Setting((wording.font.key,), 0.0, align="center", leading=1.25, language=wording.forms)
    block = fit(wording.text, setting, w * width, h * height, SMALLEST, max(SMALLEST, item.largest))
    x0, y0, x1, y1 = ink_bounds(block)
    at = (round((x + w / 2) * width - (x0 + x1) / 2), round((y + h / 2) * height - (y0 + y1) / 2))
    mask, placed = ink(block, (height, width), at)
    paint(picture, mask, Paint(wording.colour))
    rect = (at[0] + x0, at[1] + y0, at[0] + x1, at[1] + y1)
    return replace(placed, colour=hexed(wording.colour), role=item.role), rect


def _around(one: Rect, other: Rect) -> Rect:
    """The rectangle around two."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _captions(poster: Poster) -> dict[str, str]:
    english, chinese = [], []
    for item in poster.items:
        wording, slot = item.wording, _SLOTS[item.wording.place].name
        ink_name, letters = colour_names(wording.colour), LETTERS[wording.font.kind]
        english.append(f"{quote(wording.text, 'en')} at {slot['en']} in {ink_name['en']} {letters['en']} type")
        chinese.append(f"{slot['zh']}是{ink_name['zh']}{letters['zh']}{quote(wording.text, 'zh')}")
    ground = poster.palette.name
    return {
        "en": f"A {ground['en']} poster with the text {' and '.join(english)}.",
        "zh": f"一张{ground['zh']}海报，{'，'.join(chinese)}。",
    }
