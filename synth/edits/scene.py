"""A small designed scene: a plain ground with two pieces of writing in places of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.draw.ink import ink, ink_bounds
from synth.draw.paint import Colour
from synth.fonts.face import FaceKey
from synth.fonts.facts import Kind
from synth.layout.block import Setting
from synth.layout.fit import fit
from synth.palettes import Palette, hexed
from synth.placed import Placed

Picture = NDArray[np.uint8]
Rect = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels

SMALLEST = 16  # ems in pixels of the smallest writing


@dataclass(frozen=True)
class Slot:
    """A place for writing: its name, and x, y, width, height as shares of the picture."""

    name: dict[str, str]
    box: tuple[float, float, float, float]
    level: float  # of the largest type in it, as a share of the picture's shorter side


@dataclass(frozen=True)
class Item:
    """A piece of writing. `largest`: the em in pixels that it may not exceed."""

    text: str
    language: str
    role: str
    slot: Slot
    faces: tuple[FaceKey, ...]
    kind: Kind
    colour: Colour
    largest: float


@dataclass(frozen=True)
class Scene:
    width: int
    height: int
    palette: Palette
    frame: bool
    items: tuple[Item, ...]


def place(slot: Slot, scene: Scene) -> Rect:
    """The slot's rectangle in pixels."""
    x, y, w, h = slot.box
    return round(x * scene.width), round(y * scene.height), round((x + w) * scene.width), round((y + h) * scene.height)


def draw_scene(scene: Scene) -> tuple[Picture, list[Placed], list[Rect]]:
    """The picture (h, w, 3); of each item what stands where, and the rectangle outside of which it changed no pixel.

    Raises UndrawableError, OverflowingError.
    """
    picture = _ground(scene)
    truths, rects = [], []
    for item in scene.items:
        placed, rect = _write(picture, scene, item)
        truths.append(placed)
        rects.append(rect)
    return picture, truths, rects


def _ground(scene: Scene) -> Picture:
    picture = np.full((scene.height, scene.width, 3), scene.palette.ground, np.uint8)
    if scene.frame:
        inset, thick = round(0.03 * min(picture.shape[:2])), max(1, round(0.004 * scene.height))
        cv2.rectangle(
            picture, (inset, inset), (scene.width - 1 - inset, scene.height - 1 - inset), scene.palette.accent, thick
        )
    return picture


def _write(picture: Picture, scene: Scene, item: Item) -> tuple[Placed, Rect]:
    left, top, right, bottom = place(item.slot, scene)
    width, height = right - left, bottom - top
    setting = Setting(item.faces, 0.0, align="center", leading=1.25, language=item.language)
    block = fit(item.text, setting, width, height, SMALLEST, max(SMALLEST, item.largest))
    x0, y0, x1, y1 = ink_bounds(block)
    at = (round(left + (width - x0 - x1) / 2), round(top + (height - y0 - y1) / 2))
    mask, placed = ink(block, (scene.height, scene.width), at)
    rect = (at[0] + x0, at[1] + y0, at[0] + x1, at[1] + y1)
    part = (slice(rect[1], rect[3]), slice(rect[0], rect[2]))
    share = mask[part][..., None].astype(np.uint16)
    there = picture[part].astype(np.uint16)
    picture[part] = ((there * (255 - share) + np.array(item.colour, np.uint16) * share + 127) // 255).astype(np.uint8)
    return replace(placed, colour=hexed(item.colour), role=item.role), rect
