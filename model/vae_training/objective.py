"""What an autoencoder is trained on: reconstruction, a little KL, and what a reader sees; no adversary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.latents import Posterior
from model.vae_base import Vae
from model.vae_training.settings import VaeTraining

#: Distance of two batches of pixels (B, 3, H, W), a scalar (model.perceptual).
Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Terms:
    """Scalars; `loss` has the gradient."""

    loss: Tensor
    l1: Tensor
    l2: Tensor
    kl: Tensor
    perceptual: Tensor


def noise_for(seed: int, step: int) -> torch.Generator:
    """The posterior's noise of a step: of seed and step alone, so that a resumed run draws the same."""
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + step * 0x85EBCA6B + 1) & 0x7FFFFFFFFFFFFFFF)


def objective(
    vae: Vae, pixels: Tensor, settings: VaeTraining, step: int, distance: Distance | None, *, decoder_only: bool
) -> Terms:
    """Of pixels in -1..1. `decoder_only`: the encoder runs without gradients and gives its mode, as it will when the
    decoder is used; there is no KL then."""
    if decoder_only:
        with torch.no_grad():
            posterior = vae.posterior(pixels)
        latents = posterior.mode()
        kl = torch.zeros((), device=pixels.device)
    else:
        posterior = vae.posterior(pixels)
        latents = _sampled(posterior, settings.seed, step)
        kl = posterior.kl()
    shown = vae.reconstruct(latents)
    apart = shown - pixels
    l1, l2 = apart.abs().mean(), apart.square().mean()
    loss = settings.l1 * l1 + settings.l2 * l2 + settings.kl * kl
    seen = torch.zeros((), device=pixels.device)
    if distance is not None and settings.perceptual > 0:
        seen = distance(shown, pixels)
        loss = loss + settings.perceptual * seen
    return Terms(loss, l1.detach(), l2.detach(), kl.detach(), seen.detach())


def _sampled(posterior: Posterior, seed: int, step: int) -> Tensor:
    return posterior.sample(noise_for(seed, step))
