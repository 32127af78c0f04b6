"""One or two texts drawn in the room of a surface: a text alone, or a heading with a text below."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from synth.compositional.noise import Field
from synth.compositional.settle import Written, choose_font, choose_text, heading, is_wide, least, set_text
from synth.compositional.surface import Ink
from synth.corpora.corpus import Corpus
from synth.draw.ink import ink as draw_ink
from synth.fonts.book import FontBook
from synth.layout.block import OverflowingError
from synth.placed import Placed

Room = tuple[int, int, int, int]


@dataclass(frozen=True)
class Writing:
    """`mask` (h, w) of all texts; `placed` of each, in the surface's pixels; `written`: the main one. `em`: of the
    smallest, in the surface's pixels."""

    mask: Field
    placed: tuple[Placed, ...]
    written: Written
    em: float


@dataclass(frozen=True)
class Writer:
    """What texts are drawn from."""

    book: FontBook
    corpus: Corpus
    languages: tuple[tuple[str, float], ...]
    most: int
    headed: float

    def write(self, size: tuple[int, int], room: Room, ink: Ink, zoom: float, rng: Generator) -> Writing:
        """On a surface of `size` (h, w) whose pixels are `zoom` to one of the picture, letters tall enough to be read
        there. Raises UndrawableError, OverflowingError."""
        shares = np.array([share for _, share in self.languages])
        language = self.languages[int(rng.choice(len(shares), p=shares / shares.sum()))][0]
        x0, y0, x1, y1 = room
        smallest = least(language, ink) * zoom
        roomy = (y1 - y0) > smallest * 6 and (x1 - x0) > smallest * 6
        if language in ("en", "zh", "zh-Hans") and roomy and rng.random() < self.headed:
            try:
                return self._headed(size, room, ink, language, smallest, rng)
            except OverflowingError:
                pass  # a heading that is too long for this room: the text alone may still fit
        try:
            return _joined(size, [self._one(room, ink, language, smallest, self.most, rng)])
        except OverflowingError:  # a word too long for a narrow room: a few characters, and no further try
            return _joined(size, [self._one(room, ink, language, smallest, 8, rng)])

    def _one(
        self, room: Room, ink: Ink, language: str, smallest: float, most: int, rng: Generator
    ) -> tuple[Written, Room, str]:
        x0, y0, x1, y1 = room
        across = 1.0 if is_wide(language) else 0.55
        capacity = int((x1 - x0) * (y1 - y0) / (smallest**2 * 1.45 * across) * 0.75)
        text = choose_text(self.corpus, rng, language, capacity, most)
        font = choose_font(self.book, rng, text, language, ink)
        tallest = max(smallest * 2.0, (y1 - y0) * float(rng.uniform(0.16, 0.7)))
        largest = min(tallest, (y1 - y0) / 1.35, 280.0)
        return set_text(text, font, self.book, language, rng, (x1 - x0, y1 - y0), smallest, largest), room, "body"

    def _headed(
        self, size: tuple[int, int], room: Room, ink: Ink, language: str, smallest: float, rng: Generator
    ) -> Writing:
        x0, y0, x1, y1 = room
        parted = round(y0 + (y1 - y0) * float(rng.uniform(0.32, 0.45)))
        above, below = (x0, y0, x1, parted), (x0, parted, x1, y1)
        title = heading(self.corpus, rng, language)
        wide = is_wide(language)
        across = 1.0 if wide else 0.55
        capacity = int((x1 - x0) * (y1 - parted) / (smallest**2 * 1.45 * across) * 0.6)
        body = choose_text(self.corpus, rng, language, capacity, self.most)
        font = choose_font(self.book, rng, title + body, language, ink)
        level, wide_room = float(parted - y0), float(x1 - x0)
        head = set_text(
            title,
            font,
            self.book,
            language,
            rng,
            (wide_room, level),
            smallest * 1.2,
            min(level / 1.5, 240.0),
            upright=False,
        )
        most = max(smallest, head.block.setting.size * float(rng.uniform(0.5, 0.75)))
        text = set_text(
            body, font, self.book, language, rng, (wide_room, float(y1 - parted)), smallest, most, upright=False
        )
        return _joined(size, [(head, above, "heading"), (text, below, "body")])


def _joined(size: tuple[int, int], parts: list[tuple[Written, Room, str]]) -> Writing:
    """The texts drawn one below the other, all of them in the middle of their rooms together."""
    x0, y0, x1, _ = parts[0][1]
    bottom = parts[-1][1][3]
    blocks = [written.block for written, _, _ in parts]
    taken = sum(block.height for block in blocks)
    gap = min(0.6 * blocks[-1].setting.size, bottom - y0 - taken) if len(blocks) > 1 else 0.0
    top = y0 + (bottom - y0 - taken - gap) / 2
    masks, placed = [], []
    for block, (_, _, role) in zip(blocks, parts, strict=True):
        mask, truth = draw_ink(block, size, (x0 + (x1 - x0 - block.width) / 2, top))
        masks.append(mask)
        placed.append(replace(truth, role=role))
        top += block.height + gap
    whole = masks[0] if len(masks) == 1 else np.maximum(masks[0], masks[1])
    return Writing(whole, tuple(placed), parts[0][0], min(block.setting.size for block in blocks))
