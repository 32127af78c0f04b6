"""Parameters of autoencoders: all of them, and those that a single image meets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from model.vae_base import Vae
from model.vae_parts import FrameConv, TimeConv


@dataclass(frozen=True)
class Parameters:
    """Counts; the 1x1 convolutions around the latents belong to the sides that they are on."""

    encoder: int
    decoder: int


def total_parameters(vae: Vae) -> Parameters:
    """Every stored number."""
    return Parameters(*(sum(_count(part.parameters()) for part in side) for side in _sides(vae)))


def effective_parameters(vae: Vae) -> Parameters:
    """Without what one frame never meets: kernels over time, and all but the last temporal slice of the 3D ones."""
    return Parameters(*(sum(_effective(part) for part in side) for side in _sides(vae)))


def _sides(vae: Vae) -> tuple[tuple[nn.Module, nn.Module], tuple[nn.Module, nn.Module]]:
    return (vae.encoder, vae.quant_conv), (vae.post_quant_conv, vae.decoder)


def _effective(part: nn.Module) -> int:
    unmet = 0
    for module in part.modules():
        if isinstance(module, TimeConv):
            unmet += _count(module.parameters())
        elif isinstance(module, FrameConv):
            unmet += module.weight[:, :, :-1].numel()
    return _count(part.parameters()) - unmet


def _count(parameters: Iterable[torch.Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
