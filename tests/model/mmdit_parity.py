"""Tiny MMDiTs of ours, and diffusers' class over the weights that ours export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from annotate.torchvision_shim import prepare_torchvision
from model.config import MMDiTConfig
from model.layout import save_mmdit
from model.mmdit import MMDiT
from model.packing import Grid

#: Two heads of 16 channels, three layers; the last of them gives no text.
TINY = MMDiTConfig(
    num_layers=3,
    attention_head_dim=16,
    num_attention_heads=2,
    joint_attention_dim=24,
    axes_dims_rope=(4, 6, 6),
    in_channels=16,
    out_channels=4,
)


def tiny(config: MMDiTConfig = TINY, seed: int = 0, dtype: torch.dtype = torch.float32) -> MMDiT:
    """A model whose every parameter matters: random modulations and gates, norms away from 1."""
    model = MMDiT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            around = 1.0 if "norm" in name and parameter.ndim == 1 and "linear" not in name else 0.0
            size = 0.15 if parameter.ndim == 1 else 0.85 / parameter.shape[1] ** 0.5
            parameter.copy_(around + size * torch.randn(parameter.shape, generator=generator))
    return model.to(dtype)


@dataclass(frozen=True)
class Inputs:
    """What a forward takes."""

    tokens: Tensor
    sigma: Tensor
    context: Tensor
    grids: tuple[tuple[Grid, ...], ...]
    lengths: Tensor | None

    def of(self, model: MMDiT) -> Tensor:
        found: Tensor = model(self.tokens, self.sigma, self.context, grids=self.grids, lengths=self.lengths)
        return found


def inputs(
    config: MMDiTConfig,
    grids: Sequence[Sequence[tuple[int, int]]],
    text: int,
    lengths: Sequence[int] | None = None,
    seed: int = 1,
) -> Inputs:
    """Random inputs; what is padding holds numbers too, large ones."""
    generator = torch.Generator().manual_seed(seed)
    rows = tuple(tuple(Grid(*grid) for grid in row) for row in grids)
    longest = max(sum(grid.tokens for grid in row) for row in rows)
    tokens = torch.randn(len(rows), longest, config.in_channels, generator=generator)
    context = 3 * torch.randn(len(rows), text, config.joint_attention_dim, generator=generator)
    sigma = torch.rand(len(rows), generator=generator)
    for place, row in enumerate(rows):
        tokens[place, sum(grid.tokens for grid in row) :] = 50.0
    told = None
    if lengths is not None:
        told = torch.tensor(lengths)
        for place, count in enumerate(lengths):
            context[place, count:] = -50.0
    return Inputs(tokens, sigma, context, rows, told)


def public(model: MMDiT, folder: Path) -> Any:
    """diffusers' model, opened from the folder that `save_mmdit` writes."""
    pytest.importorskip("diffusers", reason="diffusers is not installed here")
    prepare_torchvision()
    from diffusers import QwenImageTransformer2DModel

    save_mmdit(model, folder)
    peer, told = QwenImageTransformer2DModel.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    return peer


def run_public(peer: Any, given: Inputs) -> Tensor:
    """One forward of diffusers' class; its rows must share their grids."""
    mask = None
    if given.lengths is not None:
        mask = torch.arange(given.context.shape[1]) < given.lengths[:, None]
    found: Tensor = peer(
        hidden_states=given.tokens,
        timestep=given.sigma,
        encoder_hidden_states=given.context,
        encoder_hidden_states_mask=mask,
        img_shapes=[[(1, grid.height, grid.width) for grid in row] for row in given.grids],
        return_dict=False,
    )[0]
    return found
