"""MSRoPE: rotary positions of image tokens on centred grids, and of text tokens on the diagonal past their corner.

Qwen-Image technical report (arXiv 2508.02324), section 2.4. A token has three positions, frame, height and width; each
turns its own share of a head's channels, in adjacent pairs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from model.packing import Grid
from warehouse.errors import UsageError

THETA = 10_000.0
#: Positions that the public model was given tables for: -4096 to 4095 on each axis.
LIMIT = 4096
#: Tables kept per model; a bucket has one shape, so a curriculum has a few dozen.
KEPT = 64
Axes = tuple[int, int, int]


def text_start(grids: Sequence[Grid]) -> int:
    """Position of the first text token on all three axes: just past the corner of the largest centred grid."""
    return max(max(grid.height // 2, grid.width // 2) for grid in grids)


def image_positions(grids: Sequence[Grid]) -> Tensor:
    """(N, 3) int64 positions (frame, height, width) of the tokens of one sample's images, in order.

    Image k has frame k. Heights are -(h - h // 2) to h // 2 - 1, widths likewise: an odd size has one row more on the
    negative side. The same rule holds for references. Raises UsageError past the limit of 4096.
    """
    if len(grids) > LIMIT or any(max(grid) - max(grid) // 2 > LIMIT for grid in grids):
        raise UsageError(f"positions run from -{LIMIT} to {LIMIT - 1}: images {list(map(tuple, grids))} go beyond")
    parts = []
    for frame, (height, width) in enumerate(grids):
        rows = torch.arange(height) - (height - height // 2)
        columns = torch.arange(width) - (width - width // 2)
        parts.append(torch.cartesian_prod(torch.tensor([frame]), rows, columns))
    return torch.cat(parts)


def text_positions(start: int, count: int) -> Tensor:
    """(T, 3) int64 positions of text tokens: start + i on every axis. Raises UsageError past the limit of 4096."""
    if start + count > LIMIT:
        raise UsageError(
            f"{count} text tokens after an image whose text starts at position {start} pass the limit of {LIMIT}: "
            "shorten the prompt or the image"
        )
    return (start + torch.arange(count))[:, None].expand(count, 3)


def rotation(positions: Tensor, axes: Axes) -> Tensor:
    """(2, S, sum(axes) // 2) float32 cosines and sines of the angles of (S, 3) positions.

    Angle j of an axis of `dim` channels is position / 10000^(2 j / dim). Rounded to float32 at the same places as the
    public code, since at position 4000 another rounding is another angle (2e-4).
    """
    angles = []
    for axis, dim in enumerate(axes):
        frequencies = 1.0 / torch.pow(torch.tensor(THETA), torch.arange(0, dim, 2).to(torch.float32).div(dim))
        angles.append(torch.outer(positions[:, axis].to(torch.float32), frequencies))
    joined = torch.cat(angles, dim=1)
    return torch.stack([joined.cos(), joined.sin()])


class RopeTables:
    """Rotations of whole batches, [text, image] as in joint attention; each shape is computed once and kept.

    The cache belongs to one model, holds a few shapes per device, and what it hands out depends on the asked shape
    alone.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self._kept: OrderedDict[tuple[object, ...], Tensor] = OrderedDict()

    def joint(self, grids: Sequence[tuple[Grid, ...]], text: int, image: int, device: torch.device) -> Tensor:
        """(2, 1 or B, text + image, 1, head_dim // 2) float32: cosines and sines for padded rows.

        One row serves all where all samples have the same grids. Padding is not turned (angle 0).
        """
        rows = list(grids[:1]) if len(set(grids)) == 1 else list(grids)
        return torch.stack([self._row(row, text, image, device) for row in rows], dim=1).unsqueeze(3)

    def _row(self, grids: tuple[Grid, ...], text: int, image: int, device: torch.device) -> Tensor:
        key = (grids, text, image, device)
        table = self._kept.get(key)
        if table is None:
            positions = torch.cat([text_positions(text_start(grids), text), image_positions(grids)])
            table = torch.nn.functional.pad(positions, (0, 0, 0, text + image - len(positions)))
            table = rotation(table, self.axes).to(device)
            self._kept[key] = table
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return table


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turns adjacent channel pairs (2j, 2j + 1) of (B, S, heads, dim) by `table`, (2, B or 1, S, 1, dim // 2).

    In float32 or wider, whatever `x` is. In real arithmetic where a compiler is at work, which fuses it with what
    stands around; eagerly by one complex multiplication (on a CPU 5 to 10 times faster), the same to rounding. Raises
    ValueError where the table came in half precision.
    """
    if table.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the table of rotations is {table.dtype}: keep it float32 (under FSDP2: MixedPrecisionPolicy("
            "cast_forward_inputs=False))"
        )
    wide = x.to(torch.promote_types(x.dtype, table.dtype))
    if torch.compiler.is_compiling() or x.device.type not in ("cpu", "cuda"):
        return rotate_real(wide, table)
    return rotate_complex(wide, table)


def rotate_real(x: Tensor, table: Tensor) -> Tensor:
    """(a, b) to (a cos - b sin, a sin + b cos)."""
    cosine, sine = table.unbind()
    even, odd = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)


def rotate_complex(x: Tensor, table: Tensor) -> Tensor:
    """(a + ib) e^(i angle)."""
    turns = torch.complex(*table.to(x.dtype).unbind())
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2)
