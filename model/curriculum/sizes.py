"""Sizes in pixels of an aspect bucket at a resolution."""

from __future__ import annotations

import math

from warehouse.buckets import ratio

#: The sizes that the Qwen-Image repository names for its model (README, "aspect_ratios"); width, height.
PUBLISHED: dict[int, dict[str, tuple[int, int]]] = {
    1328: {
        "1:1": (1328, 1328),
        "16:9": (1664, 928),
        "9:16": (928, 1664),
        "4:3": (1472, 1104),
        "3:4": (1104, 1472),
        "3:2": (1584, 1056),
        "2:3": (1056, 1584),
    }
}


def size(side: int, bucket: str, multiple: int) -> tuple[int, int]:
    """Height and width, in pixels and multiples of `multiple`, of about `side` x `side` pixels in the bucket's shape.

    The published sizes where there are such. Raises ValueError where the bucket is no shape ("16:9" is one).
    """
    shape = ratio(bucket)
    width, height = PUBLISHED.get(side, {}).get(bucket, (0, 0))
    if width and width % multiple == 0 and height % multiple == 0:
        return height, width
    return _rounded(side / math.sqrt(shape), multiple), _rounded(side * math.sqrt(shape), multiple)


def _rounded(pixels: float, multiple: int) -> int:
    return max(1, math.floor(pixels / multiple + 0.5)) * multiple
