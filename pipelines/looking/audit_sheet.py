"""The contact sheet of a rule's sample."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from pipelines.audit import Sampled
from pipelines.decode import decode
from pipelines.looking.contact_sheet import Tile, sheet
from pipelines.reasons import UnreadableError
from warehouse.sources import ImageReader

ID_DIGITS = 10


def audit_sheet(sampled: Sequence[Sampled]) -> Image.Image:
    """The sampled images in order, each with its place, the start of its id and the verdict so far. One that cannot be
    read any more leaves a frame with the reason."""
    tiles: list[Tile] = []
    with ImageReader() as reader:
        for number, one in enumerate(sampled, 1):
            label = f"{number}  {one.image_id[:ID_DIGITS]}" + (f"  {one.verdict}" if one.verdict else "")
            try:
                data = reader.read(one.uri, one.offset, one.length, one.row)
                tiles.append(Tile(decode(data).image, label))
            except (OSError, UnreadableError) as error:
                tiles.append(Tile(None, f"{label}  {error}"))
    return sheet(tiles)
