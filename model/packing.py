"""Latents to tokens and back: patches of the latent, channel-major within a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Grid(NamedTuple):
    """Size of one image in packed tokens (latent size over patch size)."""

    height: int
    width: int

    @property
    def tokens(self) -> int:
        return self.height * self.width


def grid_of(latent: Tensor, patch: int) -> Grid:
    """The grid of a latent (..., C, h, w). Raises ValueError where h or w is no multiple of the patch."""
    height, width = latent.shape[-2:]
    if height % patch or width % patch:
        raise ValueError(f"a latent of {height} x {width} cannot be packed in patches of {patch}")
    return Grid(height // patch, width // patch)


def pack(latents: Tensor, patch: int) -> Tensor:
    """(..., C, h, w) latents to (..., h/p * w/p, C * p * p) tokens, row by row.

    Feature c * p * p + dy * p + dx of a token is channel c at (dy, dx) of its patch, the order of the public
    checkpoints. Raises ValueError where h or w is no multiple of the patch.
    """
    grid = grid_of(latents, patch)
    channels = latents.shape[-3]
    split = latents.reshape(*latents.shape[:-2], grid.height, patch, grid.width, patch)  # ..., C, h, p, w, p
    ordered = split.movedim(-5, -3)  # ..., h, p, C, w, p
    ordered = ordered.movedim(-2, -4)  # ..., h, w, p, C, p
    ordered = ordered.transpose(-3, -2)  # ..., h, w, C, p, p
    return ordered.reshape(*latents.shape[:-3], grid.tokens, channels * patch * patch)


def unpack(tokens: Tensor, grid: Grid, patch: int) -> Tensor:
    """(..., h/p * w/p, C * p * p) tokens to (..., C, h, w) latents, the inverse of `pack`."""
    channels = tokens.shape[-1] // (patch * patch)
    split = tokens.reshape(*tokens.shape[:-2], grid.height, grid.width, channels, patch, patch)
    ordered = split.movedim(-3, -5)  # ..., C, h, w, p, p
    ordered = ordered.transpose(-3, -2)  # ..., C, h, p, w, p
    return ordered.reshape(*tokens.shape[:-2], channels, grid.height * patch, grid.width * patch)


def pack_rows(
    latents: Tensor, references: Sequence[Sequence[Tensor]], patch: int
) -> tuple[Tensor, tuple[tuple[Grid, ...], ...]]:
    """Targets and references as one padded batch of tokens, target first.

    `latents`: (B, C, h, w). `references`: for each row its (C, h', w') tensors, or nothing at all. Returns tokens
    (B, N, C * p * p), zero beyond a row's own, and the grids of each row. Raises ValueError where the number of rows
    or a size does not fit.
    """
    target = pack(latents, patch)
    grid = grid_of(latents, patch)
    if not references or not any(references):
        return target, ((grid,),) * len(latents)
    if len(references) != len(latents):
        raise ValueError(f"{len(latents)} latents, but references for {len(references)}")
    grids = tuple((grid, *(grid_of(one, patch) for one in row)) for row in references)
    rows = [
        torch.cat([target[place], *(pack(one.to(target), patch) for one in row)])
        for place, row in enumerate(references)
    ]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), grids
