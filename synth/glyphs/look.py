"""What chance decides about a picture of a few characters: face, colours, size and place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synth.draw.paint import Colour

Layout = Literal["centred", "free"]
Colours = Literal["dark", "several"]

CENTRED_EM = 0.75  # of the picture's side
FREE_EM = (0.6, 0.78)
JITTER = 1 / 32  # of the side, by which a centred text is off the middle at most: 2 pixels of 64
MARGIN = 1 / 32  # of the side, which is kept free of ink
WIDEST = 0.9  # of the side, that a text of several characters takes at most


@dataclass(frozen=True)
class Pair:
    """A ground and an ink, and what captions call them: (ink, ground) by language."""

    ground: Colour
    ink: Colour
    name: tuple[tuple[str, str], tuple[str, str]]


PAIRS: tuple[Pair, ...] = (
    Pair((255, 255, 255), (16, 16, 16), (("black", "white"), ("黑色", "白色"))),
    Pair((16, 18, 20), (247, 247, 242), (("white", "black"), ("白色", "黑色"))),
    Pair((246, 240, 222), (110, 24, 24), (("red", "ivory"), ("红色", "象牙白"))),
    Pair((233, 238, 251), (24, 40, 96), (("blue", "pale blue"), ("蓝色", "浅蓝色"))),
    Pair((232, 241, 234), (18, 74, 54), (("green", "pale green"), ("绿色", "浅绿色"))),
)


@dataclass(frozen=True)
class Look:
    """`face`: number of the face. `em`: in pixels. `across`, `down`: where the ink stands, from 0 (at the left, at the
    top) to 1 (at the right, at the bottom) of the room that it has; None: in the middle, off by `off` pixels."""

    face: int
    pair: Pair
    em: int
    across: float | None
    down: float | None
    off: tuple[int, int] = (0, 0)


def centred_looks(faces: int, side: int, colours: Colours) -> int:
    """How many different pictures of one centred text there are."""
    return faces * len(pairs(colours)) * (2 * jitter(side) + 1) ** 2


def centred_look(number: int, faces: int, side: int, colours: Colours) -> Look:
    """Look `number` of `centred_looks`: all of them differ."""
    step = 2 * jitter(side) + 1
    number, x = divmod(number, step)
    number, y = divmod(number, step)
    chosen, face = divmod(number, faces)
    off = (x - jitter(side), y - jitter(side))
    return Look(face, pairs(colours)[chosen], round(CENTRED_EM * side), None, None, off)


def free_look(rng: np.random.Generator, faces: int, side: int, colours: Colours) -> Look:
    """Any size of FREE_EM, anywhere."""
    choice = pairs(colours)
    low, high = (round(share * side) for share in FREE_EM)
    return Look(
        face=int(rng.integers(faces)),
        pair=choice[int(rng.integers(len(choice)))],
        em=int(rng.integers(low, high + 1)),
        across=float(rng.random()),
        down=float(rng.random()),
    )


def pairs(colours: Colours) -> tuple[Pair, ...]:
    return PAIRS[:1] if colours == "dark" else PAIRS


def jitter(side: int) -> int:
    return round(JITTER * side)
