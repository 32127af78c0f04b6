"""Rectified flow: what is noised by how much, and what the model shall say to it.

x = (1 - sigma) x0 + sigma eps and the target is eps - x0 (Liu et al., arXiv 2209.03003; Lipman et al., 2210.02747).
A sample's sigma and noise depend on (seed, step, its place in the global batch) alone: as many ranks as there are, and
however they split the batch, each sample is noised alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import torch
from torch import Tensor

from model.conventions import spread
from model.schedule import ScheduleConfig, factor
from warehouse.errors import UsageError

Density = Literal["logit_normal", "uniform", "mode"]
Weighting = Literal["none", "bell"]
QWEN = ScheduleConfig()


@dataclass(frozen=True)
class Timesteps:
    """How often a training step sees each sigma.

    `density`: "logit_normal" (`mean`, `std` of the logit), "uniform", or "mode" with its `mode_scale` (all three Esser
    et al., arXiv 2403.03206, section 3.1). `shift`: None; a factor that multiplies the odds sigma / (1 - sigma); or
    "resolution": the factor that sampling at that many tokens has. `weighting`: "bell" weighs the loss in place of
    another density, and is for the plain uniform one only: with both, the middle would count twice.
    """

    density: Density = "logit_normal"
    mean: float = 0.0
    std: float = 1.0
    mode_scale: float = 1.29
    shift: float | Literal["resolution"] | None = None
    weighting: Weighting = "none"

    def __post_init__(self) -> None:
        if self.density not in ("logit_normal", "uniform", "mode"):
            raise UsageError(f"timesteps: density is {self.density!r}, not logit_normal, uniform or mode")
        if self.weighting not in ("none", "bell"):
            raise UsageError(f"timesteps: weighting is {self.weighting!r}, not none or bell")
        if isinstance(self.shift, str) and self.shift != "resolution":
            raise UsageError(f"timesteps: shift is {self.shift!r}, not a number or resolution")
        if isinstance(self.shift, float | int) and self.shift <= 0:
            raise UsageError(f"timesteps: shift is {self.shift}, and must be above 0")
        if self.std <= 0:
            raise UsageError(f"timesteps: std is {self.std}, and must be above 0")
        if not -1 <= self.mode_scale <= 2 / (math.pi - 2):
            raise UsageError(f"timesteps: mode_scale is {self.mode_scale}, and must be from -1 to 1.75")
        if self.weighting != "none" and (self.density != "uniform" or self.shift is not None):
            raise UsageError(
                f"timesteps: weighting {self.weighting} with density {self.density}"
                f"{' shifted' if self.shift is not None else ''} counts some sigmas twice: "
                "choose a density or a weighting, not both"
            )


DEFAULT = Timesteps()


def noised(x0: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
    """(1 - sigma) x0 + sigma eps for x0, eps (B, ...) and sigma (B,) float32."""
    s = spread(sigma, x0)
    return (1 - s) * x0 + s * eps


def target(x0: Tensor, eps: Tensor) -> Tensor:
    """The velocity that the model learns: eps - x0."""
    return eps - x0


def draw_sigma(
    generator: torch.Generator,
    count: int,
    timesteps: Timesteps = DEFAULT,
    *,
    tokens: int = 0,
    schedule: ScheduleConfig = QWEN,
) -> Tensor:
    """`count` sigmas in (0, 1], float32 on the CPU. `tokens`: packed target tokens, for shift "resolution".

    Raises UsageError for that shift without tokens.
    """
    if timesteps.density == "logit_normal":
        normal = torch.randn(count, generator=generator, dtype=torch.float64)
        drawn = torch.sigmoid(timesteps.mean + timesteps.std * normal)
    else:
        drawn = 1 - torch.rand(count, generator=generator, dtype=torch.float64)  # 0 is not noised at all
        if timesteps.density == "mode":
            bend = torch.cos(math.pi / 2 * drawn) ** 2 - 1 + drawn
            drawn = 1 - drawn - timesteps.mode_scale * bend
    if timesteps.shift is not None:
        if timesteps.shift == "resolution" and tokens < 1:
            raise UsageError("timesteps: shift by resolution needs the number of tokens")
        times = factor(tokens, schedule) if timesteps.shift == "resolution" else timesteps.shift
        drawn = times * drawn / (1 + (times - 1) * drawn)
    return drawn.clamp(1e-6, 1.0).float()


def loss_weight(sigma: Tensor, timesteps: Timesteps = DEFAULT) -> Tensor:
    """(B,) float32 factors of the squared error, of mean 1 over uniform sigmas.

    "bell" is exp(-2 (s - 1/2)^2), lowered to 0 at both ends, as DiffSynth-Studio trains.
    """
    if timesteps.weighting == "none":
        return torch.ones_like(sigma)
    low = math.exp(-0.5)
    mean = math.sqrt(math.pi / 2) * math.erf(math.sqrt(0.5)) - low
    return (torch.exp(-2 * (sigma - 0.5) ** 2) - low) / mean


def stratified(count: int) -> Tensor:
    """(i + 1/2) / count: the sigmas of a validation loss, far less noisy than drawn ones."""
    return (torch.arange(count, dtype=torch.float32) + 0.5) / count


def stream(*named: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for these numbers and words; equal ones give equal draws on every machine.

    One on a GPU draws there, quickly, and other numbers than that of a CPU.
    """
    digest = blake2b("\0".join(f"{type(n).__name__}:{n}" for n in named).encode(), digest_size=8).digest()
    generator = torch.Generator(device)
    generator.manual_seed(int.from_bytes(digest, "little") >> 1)
    return generator


@dataclass(frozen=True)
class Draws:
    """What the samples of a step are noised with: `sigma` (B,) float32 on the CPU, `eps` (B, ...) float32."""

    sigma: Tensor
    eps: Tensor


def draws(
    seed: int,
    step: int,
    positions: Sequence[int],
    shape: Sequence[int],
    timesteps: Timesteps = DEFAULT,
    *,
    tokens: int = 0,
    schedule: ScheduleConfig = QWEN,
    device: torch.device | str = "cpu",
) -> Draws:
    """Sigma and noise of the samples at `positions` of the global batch of `step`; `shape`: of one sample.

    A function of (seed, step, position) for each sample: neither the other samples, nor ranks, nor their number count.
    `device`: where the noise is drawn. A GPU's differs from a CPU's, which takes 10 ms or more for a million numbers;
    the sigmas are the same.
    """
    sigmas, noises = [], []
    here = torch.device(device).type == "cpu"
    for position in positions:
        named = (int(seed), int(step), int(position))
        generator = stream("train", *named)
        sigmas.append(draw_sigma(generator, 1, timesteps, tokens=tokens, schedule=schedule))
        if not here:
            generator = stream("noise", *named, device=device)
        noises.append(torch.randn(tuple(shape), generator=generator, device=device))
    if not positions:
        return Draws(torch.empty(0), torch.empty((0, *shape), device=device))
    return Draws(torch.cat(sigmas), torch.stack(noises))
