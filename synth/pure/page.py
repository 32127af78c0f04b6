"""A plain page from its design: the text set, inked, coloured, and what stands where."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.draw.ink import ink, ink_bounds
from synth.draw.paint import Colour, Gradient, Outline, Paint, Shadow, on_plain, paint
from synth.fonts.face import FaceKey
from synth.geometry import rotation
from synth.layout.block import Block, OverflowingError, Setting
from synth.layout.columns import in_columns
from synth.layout.fit import balanced, fit
from synth.layout.paragraph import lay_out
from synth.palettes import hexed
from synth.placed import Placed
from synth.pure.design import Design

Picture = NDArray[np.uint8]

#: Ems in pixels: below the first a stroke is thinner than a pixel, and what is read there is luck.
SMALLEST, SMALLEST_HAN = 13, 16
#: Of the size at which a poem fits with broken lines: what it may lose for lines that are whole.
WHOLE_LINES = 0.6


def draw_page(text: str, language: str, faces: tuple[FaceKey, ...], design: Design) -> tuple[Picture, Placed]:
    """The picture (h, w, 3) and the truth. Raises UndrawableError, OverflowingError."""
    block, at = set_page(text, language, faces, design)
    mask, placed = ink(block, (design.height, design.width), at)
    placed = replace(placed, colour=hexed(design.ink), role="body")
    if design.degrees:
        mask, placed = _turn(mask, placed, design.degrees)
    if design.ground == "plain" and design.effect == "none":
        return on_plain(mask, design.palette.ground, design.ink), placed
    picture = _ground(design)
    paint(picture, mask, _paint(design, block.setting.size))
    return picture, placed


def set_page(text: str, language: str, faces: tuple[FaceKey, ...], design: Design) -> tuple[Block, tuple[float, float]]:
    """The block and where it goes. Raises UndrawableError, OverflowingError."""
    _, _, width, height = design.box
    setting = Setting(faces, 0.0, design.direction, design.align, design.leading, design.tracking, language)
    smallest = SMALLEST_HAN if language.startswith(("zh", "ja", "ko")) else SMALLEST
    gutter = max(round(0.06 * width), 2 * smallest)
    measure = (width - gutter * (design.columns - 1)) // design.columns
    across = height if design.direction == "vertical" else measure
    largest = min(across / 3 if len(text) > 6 else across * 0.9, min(design.width, design.height) * 0.5)
    room = height * design.columns
    block = fit(text, setting, measure, room, smallest, max(largest, smallest))
    most, fill = block.setting.size, design.fill
    if "\n" in text and design.columns == 1:  # a poem's lines are not broken where that leaves them large enough
        whole = (height if design.direction == "vertical" else measure) // _longest(text, setting)
        if whole >= max(smallest, WHOLE_LINES * most):
            most, fill = min(most, whole), max(fill, 0.85)
    size = max(float(smallest), float(round(smallest + (most - smallest) * fill)))
    along = height if design.direction == "vertical" else measure
    even = design.align in ("start", "center") and design.columns == 1
    block = (balanced if even else lay_out)(text, replace(setting, size=size), along)
    while design.columns > 1:
        cut = in_columns(block, design.columns, gutter)
        if cut.height <= height:
            block = cut
            break
        size -= 1  # the last column may not be full, so what fits one long column need not fit several
        if size < smallest:
            raise OverflowingError(f"the text does not fit {design.columns} columns at size {smallest}")
        block = lay_out(text, replace(setting, size=size), measure)
    return block, _place(block, design)


def _longest(text: str, setting: Setting) -> float:
    """Ems of the longest line that newlines make."""
    block = lay_out(text, replace(setting, size=1000.0))
    return (block.height if setting.direction == "vertical" else block.width) / 1000.0


def _place(block: Block, design: Design) -> tuple[float, float]:
    """Where the block's box goes so that its ink lies in the middle of the design's box, or at its start."""
    x, y, width, height = design.box
    x0, y0, x1, y1 = ink_bounds(block)
    left = x + (width - (x1 - x0)) / 2 - x0
    top = y + (height - (y1 - y0)) / 2 - y0
    if design.align == "start" and design.direction == "horizontal" and design.columns == 1:
        left = min(left, x - x0 + 0.35 * (width - (x1 - x0)))
    room = (design.width - x1 - 1, design.height - y1 - 1)
    return (max(-x0 + 1, min(round(left), room[0])), max(-y0 + 1, min(round(top), room[1])))


def _turn(mask: Picture, placed: Placed, degrees: float) -> tuple[Picture, Placed]:
    """The ink turned about its middle. Raises OverflowingError where a corner would leave the picture."""
    height, width = mask.shape
    cx, cy = placed.quad().mean(axis=0)
    matrix = rotation(degrees, float(cx), float(cy))
    moved = placed.moved(matrix)
    quad = moved.quad()
    if quad.min() < 2 or quad[:, 0].max() > width - 2 or quad[:, 1].max() > height - 2:
        raise OverflowingError("the turned text leaves the picture")
    # Pixel centres lie at halves: the matrix is for corners of pixels, OpenCV's for their centres.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    centres = np.linalg.inv(half) @ matrix @ half
    turned = cv2.warpAffine(mask, centres[:2], (width, height), flags=cv2.INTER_CUBIC)
    return np.asarray(turned, np.uint8), moved


def _ground(design: Design) -> Picture:
    height, width = design.height, design.width
    ground, accent = design.palette.ground, design.palette.accent
    picture = np.full((height, width, 3), ground, np.uint8)
    if design.ground == "gradient":
        share = np.linspace(0, 1, height)[:, None]
        rows = np.array(ground) * (1 - share) + np.array(_towards(ground, design.ink, 0.1)) * share
        picture[:] = np.rint(rows).astype(np.uint8)[:, None, :]
    elif design.ground == "frame":
        inset, thick = round(0.025 * min(width, height)), max(1, round(0.004 * min(width, height)))
        cv2.rectangle(picture, (inset, inset), (width - 1 - inset, height - 1 - inset), accent, thick)
    elif design.ground == "band":
        picture[: round(0.035 * height)] = accent
        picture[height - round(0.02 * height) :] = _towards(ground, accent, 0.35)
    elif design.ground == "rules":
        thick = max(1, round(0.003 * height))
        left, right = round(0.06 * width), width - round(0.06 * width)
        for y in (round(0.045 * height), height - round(0.045 * height)):
            picture[y : y + thick, left:right] = accent
    return picture


def _towards(colour: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round(a + (c - a) * share) for a, c in zip(colour, other, strict=True))
    return r, g, b


def _paint(design: Design, size: float) -> Paint:
    """Effects are in proportion to the type, and take nothing from the contrast that the palette promises."""
    if design.effect == "outline":
        return Paint(
            design.ink, outline=Outline(max(1, round(size * 0.05)), _towards(design.palette.ground, design.ink, 0.28))
        )
    if design.effect == "shadow":
        away = max(1, round(size * 0.05))
        return Paint(design.ink, shadow=Shadow(away, away, size * 0.03, (0, 0, 0), 0.35))
    if design.effect == "gradient":
        return Paint(Gradient(design.ink, _towards(design.ink, design.palette.accent, 0.25), 60.0))
    return Paint(design.ink)
