"""Pixels between bytes and the -1..1 that autoencoders see, and many pictures as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model.text.prompt import Pixels

PEAK = 255.0
GAP = 2  # white pixels between the pictures of a sheet


def from_bytes(pixels: Tensor, device: torch.device | str | None = None) -> Tensor:
    """uint8 pixels to float32 in -1..1, on `device`, or where they are."""
    return (pixels if device is None else pixels.to(device)).float().div_(PEAK / 2).sub_(1.0)


def to_bytes(pixels: Tensor) -> Tensor:
    """Pixels in -1..1 as they are stored: 0..255, rounded, uint8."""
    return ((pixels.float().clamp(-1.0, 1.0) + 1.0) * (PEAK / 2)).round().to(torch.uint8)


def sheet(pictures: Sequence[Pixels], columns: int) -> Pixels:
    """Pictures (H, W, 3) of one size as one, `columns` beside each other on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    whole = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        whole[top : top + height, left : left + width] = picture
    return whole
