"""Reads a page with two networks, one that finds lines and one that reads a line: what is the same for every engine.

The page is shrunk for finding only; lines are cut out at its own size. Each line is read alone and at its own width, so
that what it says depends on nothing else on the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from annotate.ocr.ink import ink_height
from annotate.ocr.layout import Quad, covered, reading_order, sides, turned
from annotate.ocr.script import Script, script_of

Pixels = npt.NDArray[np.uint8]

#: Pixels (960 x 728, 1920 x 1456) that lines are looked for in: the second look, at four times the work, is for pages
#: on which the first finds boxes lower than LOW pixels. Around lines of 8 pixels that is; smaller ones it may miss.
LOOKS = (700_000, 2_800_000)
LOW = 16.0
#: Up to so many characters, so much confidence makes a line read.
SURE_ENOUGH = ((2, 0.9), (5, 0.7), (1 << 30, 0.5))
#: A line of at most so many characters that covers more than this share of the picture must be read with so much.
SHORT, HUGE, SURE_OF_HUGE = 5, 0.2, 0.97
STEP = 32  # sides of what the detector sees are multiples of this
TALL = 1.5  # a box so much higher than wide is a line that runs down or up
SURE = 0.9  # a line read with less confidence is tried upside down too


@dataclass(frozen=True)
class Line:
    """One line as read; `text` is empty and `confidence` 0 where something line-like could not be read at all.

    `quad`: 4 corners x, y in image pixels, clockwise, the first at the start of the line's upper edge.
    `confidence`: mean over the characters, 0 to 1. `char_px`: image pixels from the top of the tallest to the foot of
    the lowest character.
    """

    text: str
    quad: tuple[float, ...]
    confidence: float
    script: Script
    char_px: float

    @property
    def corners(self) -> Quad:
        return np.array(self.quad, np.float32).reshape(4, 2)


def is_read(line: Line, area: int) -> bool:
    """Whether a line of a picture of `area` pixels is text rather than texture that happens to look like some.

    Calibrated on 154 photographs: what is read in foliage, bricks and whole pictures is short, doubtful, or huge.
    """
    characters = sum(not c.isspace() for c in line.text)
    least = next(sure for length, sure in SURE_ENOUGH if characters <= length)
    if characters <= SHORT and covered([line.corners]) > HUGE * area:
        least = SURE_OF_HUGE
    return characters > 0 and line.confidence >= least


class Engine(Protocol):
    """The two networks. Pictures are (h, w, 3) uint8, blue first."""

    def find(self, page: Pixels) -> Sequence[Quad]:
        """Boxes of lines in the page's pixels, (4, 2) x, y clockwise from the upper left. Sides are multiples of 32."""

    def read_line(self, line: Pixels) -> tuple[str, float]:
        """Text and mean confidence of its characters, of a picture of one horizontal line."""


class PageReader:
    """A `Reader` on top of an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, image: Image.Image) -> list[Line]:
        """Lines of an upright RGB picture in reading order, those that cannot be read included."""
        page = _blue_first(image)
        lines = [self._line(page, quad) for quad in self._find(page)]
        return [lines[i] for i in reading_order([line.corners for line in lines])]

    def read_line(self, image: Image.Image) -> tuple[str, float]:
        """Text and confidence of an RGB picture that shows one horizontal line and nothing else."""
        return self.engine.read_line(_blue_first(image))

    def _find(self, page: Pixels) -> list[Quad]:
        """Boxes of lines in the page's own pixels."""
        import cv2

        height, width = page.shape[:2]
        quads: list[Quad] = []
        for most in LOOKS:
            wide, high = finding_size(width, height, most)
            how = cv2.INTER_AREA if wide * high < width * height else cv2.INTER_LINEAR
            seen = page if (wide, high) == (width, height) else cv2.resize(page, (wide, high), interpolation=how)
            found = self.engine.find(np.asarray(seen, np.uint8))
            scale = np.array([width / wide, height / high], np.float32)
            quads = [np.clip(quad * scale, 0, (width, height)).astype(np.float32) for quad in found]
            if width * height <= most or not any(min(sides(quad)) < LOW for quad in found):
                break
        return [quad for quad in quads if min(sides(quad)) >= 1]

    def _line(self, page: Pixels, quad: Quad) -> Line:
        length, height = sides(quad)
        if height > TALL * length:
            quad = turned(quad, 1)
        strip = cut(page, quad)
        text, confidence = self.engine.read_line(strip)
        if confidence < SURE:
            other = self.engine.read_line(np.ascontiguousarray(strip[::-1, ::-1]))
            if other[1] > confidence:
                (text, confidence), quad = other, turned(quad, 2)
        text = text.strip()
        if not text:
            confidence = 0.0
        place = tuple(round(float(v), 1) for v in quad.ravel())
        return Line(text, place, round(confidence, 4), script_of(text), ink_height(strip))


def finding_size(width: int, height: int, most: int) -> tuple[int, int]:
    """(width, height) in pixels that lines are looked for in: the page's own, `most` at most, in whole steps."""
    shrink = min(1.0, math.sqrt(most / (width * height)))
    return _stepped(width * shrink), _stepped(height * shrink)


def _stepped(side: float) -> int:
    return max(STEP, round(side / STEP) * STEP)


def cut(page: Pixels, quad: Quad) -> Pixels:
    """The upright (h, w, 3) picture of the line in a quad."""
    import cv2

    length, height = sides(quad)
    width, tall = max(1, math.floor(length)), max(1, math.floor(height))
    upright = np.array([[0, 0], [width, 0], [width, tall], [0, tall]], np.float32)
    turn = cv2.getPerspectiveTransform(quad, upright)
    strip = cv2.warpPerspective(page, turn, (width, tall), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, np.uint8)


def _blue_first(image: Image.Image) -> Pixels:
    import cv2

    return np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR), np.uint8)
