"""Latents: the posterior of an encoder, what normalises it, and how that is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from warehouse.errors import UsageError

LOGVAR = (-30.0, 20.0)  # clamp of the public autoencoders


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian over raw latents (B, C, h, w)."""

    mean: Tensor
    logvar: Tensor

    @staticmethod
    def of(moments: Tensor) -> Posterior:
        """From an encoder's output (B, 2C, h, w): means first, then log-variances, clamped to -30..20."""
        mean, logvar = moments.chunk(2, dim=1)
        return Posterior(mean, logvar.clamp(*LOGVAR))

    def mode(self) -> Tensor:
        """What training data and references are encoded as: the same numbers every time."""
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """mean + std * noise; the noise is drawn on the CPU, so that a seed means the same on any device."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=torch.float32)
        return self.mean + torch.exp(0.5 * self.logvar) * noise.to(self.mean)

    def kl(self) -> Tensor:
        """KL divergence from N(0, 1), mean over elements, nats: Kingma & Welling 2014 (arXiv 1312.6114), appendix B."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar).mean()


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    if len(values) != like.shape[1]:
        raise UsageError(f"latents have {like.shape[1]} channels, their mean and std {len(values)}: another VAE's")
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


def normalise(latents: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(z - mean) / std over channels of (B, C, h, w). `std` is the std: the public pipelines keep 1/std under the
    same name and divide by that, which is easily inverted twice."""
    return (latents - _column(mean, latents)) / _column(std, latents)


def denormalise(latents: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """z * std + mean: the inverse of `normalise`."""
    return latents * _column(std, latents) + _column(mean, latents)


@dataclass(frozen=True)
class LatentStatistics:
    """Per channel, over `count` latent positions."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int


def measure(batches: Iterable[Tensor]) -> LatentStatistics:
    """Mean and standard deviation per channel of raw latents, in one pass, in float64 whatever the batches are.

    Batches (B, C, h, w) may differ in size; they are merged by Chan, Golub & LeVeque 1979 (Updating formulae and a
    pairwise algorithm for computing sample variances, eq. 2.1), so nothing cancels. Raises UsageError where there is
    no batch, where a latent is not finite, or where a channel never varies (it could not be normalised).
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for batch in batches:
        flat = batch.detach().to("cpu", torch.float64).transpose(0, 1).flatten(1)
        if not bool(flat.isfinite().all()):
            raise UsageError("a latent is not finite: the VAE has diverged, its mean and std cannot be measured")
        n, own = flat.shape[1], flat.mean(1)
        spread = (flat - own[:, None]).square().sum(1)
        if count == 0:
            count, mean, squares = n, own, spread
            continue
        apart = own - mean
        squares = squares + spread + apart.square() * (count * n / (count + n))
        mean = mean + apart * (n / (count + n))
        count += n
    if count == 0:
        raise UsageError("no latents to measure: the selection is empty")
    std = (squares / count).sqrt()
    if bool((std < 1e-8).any()):
        still = [channel for channel, value in enumerate(std.tolist()) if value < 1e-8]
        raise UsageError(f"latent channels {still} never vary: the VAE is not trained, or all images are the same")
    return LatentStatistics(tuple(mean.tolist()), tuple(std.tolist()), count)
