"""A block cut into columns side by side, as in newspapers: the same lines, moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synth.layout.block import Block


def in_columns(block: Block, columns: int, gutter: float) -> Block:
    """The lines of a horizontal block in columns as wide as it is, `gutter` pixels apart, filled one after another.

    All but the last have the same number of lines. Raises ValueError for a vertical block.
    """
    if block.setting.direction == "vertical":
        raise ValueError("columns are for horizontal text")
    each = -(-block.line_count // columns)
    used = -(-block.line_count // each) if each else 1
    pitch = block.setting.leading * block.setting.size
    column = block.lines[block.cluster] // max(each, 1)
    return replace(
        block,
        x=(block.x + np.round(column * (block.width + gutter))).astype(np.float32),
        y=(block.y - np.round(column * each * pitch)).astype(np.float32),
        width=used * block.width + (used - 1) * gutter,
        height=each * pitch,
    )
