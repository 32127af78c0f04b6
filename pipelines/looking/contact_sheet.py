"""A contact sheet: pictures in a grid, each with a line of text below, to be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

TILE = 224  # pixels of the square that a picture fits into
LABEL = 18  # pixels below it
GAP = 6
GROUND, INK, FAULT = (245, 245, 245), (20, 20, 20), (200, 200, 200)


@dataclass(frozen=True)
class Tile:
    """One picture and its label; without a picture the label says why."""

    image: Image.Image | None
    label: str


def sheet(tiles: Sequence[Tile], columns: int = 6) -> Image.Image:
    """An RGB image of the tiles in rows of `columns`, in order. Raises ValueError for none."""
    if not tiles:
        raise ValueError("a sheet needs at least one tile")
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    page = Image.new("RGB", (columns * (TILE + GAP) + GAP, rows * (TILE + LABEL + GAP) + GAP), GROUND)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(12)
    for number, tile in enumerate(tiles):
        left = GAP + number % columns * (TILE + GAP)
        top = GAP + number // columns * (TILE + LABEL + GAP)
        if tile.image is None:
            draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), outline=FAULT)
        else:
            small = ImageOps.contain(tile.image.convert("RGB"), (TILE, TILE))
            page.paste(small, (left + (TILE - small.width) // 2, top + (TILE - small.height) // 2))
        label = tile.label
        while label and draw.textlength(label, font=font) > TILE:
            label = label[:-1]
        draw.text((left, top + TILE + 2), label, fill=INK, font=font)
    return page
