"""A text that was laid out: which glyph stands where, and which characters it draws. Positions only, no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synth.fonts.face import FaceKey
from warehouse.errors import GlyphmillError

Direction = Literal["horizontal", "vertical"]
Align = Literal["start", "center", "end", "justify"]
Base = Literal["auto", "ltr", "rtl"]


class LayoutError(GlyphmillError):
    """A text that cannot be set as asked for. Callers turn it into a counted rejection."""


class UndrawableError(LayoutError):
    """Characters that no given face can draw: the whole paragraph is discarded. `characters`: which."""

    def __init__(self, characters: str) -> None:
        super().__init__("no given font draws " + " ".join(f"{c} (U+{ord(c):04X})" for c in characters))
        self.characters = characters


class OverflowingError(LayoutError):
    """The text does not fit its box at the smallest size allowed."""


@dataclass(frozen=True)
class Setting:
    """How a text is set. `faces`: the main face, then fall-backs in the order in which they may be used; a character
    that the main face lacks is drawn by the first of them that has it, and never silently by anything else.

    `size`: the em in pixels. `leading`: distance of lines in ems. `tracking`: room added after each character, in ems.
    `language`: BCP 47; it chooses the forms of a character (zh-Hans, zh-Hant, ja) and where lines may break.
    """

    faces: tuple[FaceKey, ...]
    size: float
    direction: Direction = "horizontal"
    align: Align = "start"
    leading: float = 1.4
    tracking: float = 0.0
    language: str = "und"
    base: Base = "auto"


@dataclass(frozen=True)
class Block:
    """A text as set, in pixels, the top left of its box at (0, 0); the ink may overhang a little.

    For each glyph (m,): `face` (index into `setting.faces`), `glyph` (its id in that face), `x`, `y` (the pen's place:
    origin on the baseline), `cluster` (index into the clusters), `turned` (a quarter clockwise about the origin, for
    Latin in vertical lines). For each cluster (n,), in logical order: `text[starts:ends]`, `lines`, `words` (-1: none).
    `width`, `height`: of the box that the lines take.
    """

    text: str
    setting: Setting
    face: NDArray[np.int32]
    glyph: NDArray[np.uint32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    cluster: NDArray[np.int32]
    turned: NDArray[np.bool_]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    lines: NDArray[np.int32]
    words: NDArray[np.int32]
    width: float
    height: float

    @property
    def line_count(self) -> int:
        return int(self.lines.max()) + 1 if len(self.lines) else 0
