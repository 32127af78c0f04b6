"""How a plain page looks: everything that chance decides about it, before anything is set or drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synth.draw.paint import Colour
from synth.fonts.facts import FontInfo, Kind
from synth.layout.block import Align, Direction
from synth.palettes import PLAIN, READABLE, Palette, contrast

Ground = Literal["plain", "gradient", "frame", "band", "rules"]
Effect = Literal["none", "outline", "shadow", "gradient"]

#: Shares of the kinds of type: what a page is set in, as far as a font of the kind draws its text.
KINDS: dict[Kind, float] = {"sans": 0.36, "serif": 0.28, "kai": 0.2, "mono": 0.04, "hand": 0.06, "display": 0.06}
#: Width over height of the pages.
ASPECTS = (1.0, 1.0, 1.0, 2 / 3, 3 / 2, 3 / 4, 4 / 3, 9 / 16, 16 / 9)
_GROUNDS: tuple[Ground, ...] = ("plain", "gradient", "frame", "band", "rules")
_EFFECTS: tuple[Effect, ...] = ("none", "outline", "shadow", "gradient")


@dataclass(frozen=True)
class Design:
    """`box`: x, y, width, height of the text's place in pixels. `fill`: how much of the largest fitting size is taken,
    0 to 1. `columns`: side by side. `degrees`: the text is turned by, clockwise."""

    width: int
    height: int
    box: tuple[int, int, int, int]
    palette: Palette
    ink: Colour
    ground: Ground
    effect: Effect
    direction: Direction
    align: Align
    leading: float
    tracking: float
    columns: int
    fill: float
    degrees: float


def canvas_size(rng: np.random.Generator, longest: tuple[int, int]) -> tuple[int, int]:
    """Width and height, multiples of 16 with a longer side within `longest` and one of the ASPECTS."""
    low, high = longest[0] // 16, longest[1] // 16
    side = 16 * int(rng.integers(low, high + 1))
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    short = max(16, 16 * round(side * min(aspect, 1 / aspect) / 16))
    return (side, short) if aspect >= 1 else (short, side)


def most_characters(size: tuple[int, int], language: str) -> int:
    """About how many characters a page of (width, height) pixels holds at a size that can be read well."""
    room = 0.5 * size[0] * size[1] / 1.6  # margins, and the distance of lines
    return max(4, int(room / (20 * 20 if language.startswith(("zh", "ja", "ko")) else 15 * 8)))


def choose_font(rng: np.random.Generator, fonts: tuple[FontInfo, ...]) -> FontInfo:
    """A kind by its share, then one of its fonts, all alike. `fonts` is not empty."""
    kinds = sorted({font.kind for font in fonts})
    shares = np.array([KINDS.get(kind, 0.0) + 1e-3 for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    of_kind = [font for font in fonts if font.kind == kind]
    return of_kind[int(rng.integers(len(of_kind)))]


def choose_design(
    rng: np.random.Generator, characters: int, language: str, size: tuple[int, int], centred: bool
) -> Design:
    """The look of a page of `size` (width, height) pixels with so many `characters`. `centred`: the text's box is in
    the middle, and nothing is turned."""
    width, height = size
    palette = PLAIN[int(rng.integers(len(PLAIN)))]
    inks = [ink for ink in palette.inks if contrast(ink, palette.ground) >= READABLE]
    ink = inks[int(rng.integers(len(inks)))]
    chinese = language.startswith(("zh", "ja"))
    vertical = chinese and rng.random() < 0.12
    short = characters <= 24
    ground = _GROUNDS[int(rng.choice(len(_GROUNDS), p=(0.56, 0.16, 0.12, 0.08, 0.08)))]
    effect = _EFFECTS[int(rng.choice(4, p=(0.72, 0.08, 0.1, 0.1)))] if short else "none"
    align: Align = "start"
    drawn = rng.random()
    if short:
        align = "center" if drawn < 0.6 else "start"
    elif drawn < 0.35:
        align = "justify"
    elif drawn < 0.5:
        align = "center"
    columns = 1
    wide = width >= 1.2 * height
    if characters >= 220 and not vertical and rng.random() < (0.6 if wide else 0.2):
        columns = 2 if characters < 600 or not wide else int(rng.integers(2, 4))
    turned = short and not vertical and not centred and rng.random() < 0.15
    return Design(
        width=width,
        height=height,
        box=_box(rng, width, height, characters, centred),
        palette=palette,
        ink=ink,
        ground=ground,
        effect=effect,
        direction="vertical" if vertical else "horizontal",
        align=align,
        leading=round(float(rng.uniform(1.3, 1.8 if chinese else 1.6)), 2),
        tracking=round(float(rng.choice([0, 0, 0, 0.02, 0.05, 0.1])), 2) if short or chinese else 0.0,
        columns=columns,
        fill=float(rng.uniform(0.55, 1.0)),
        degrees=round(float(rng.uniform(-14, 14)), 1) if turned else 0.0,
    )


def _box(
    rng: np.random.Generator, width: int, height: int, characters: int, centred: bool
) -> tuple[int, int, int, int]:
    """The text's place: the page without its margins, or for a shorter text any part of it that is large enough."""
    margin = float(rng.uniform(0.07, 0.13))
    x, y = round(margin * width), round(margin * height)
    w, h = width - 2 * x, height - 2 * y
    if centred or characters > 120:
        return x, y, w, h
    part = rng.uniform(0.62, 1.0, size=2)
    bw, bh = round(w * part[0]), round(h * part[1])
    return x + int(rng.integers(0, w - bw + 1)), y + int(rng.integers(0, h - bh + 1)), bw, bh
