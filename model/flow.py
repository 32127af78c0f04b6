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

import torch
from torch import Tensor

from model.conventions import spread
from model.schedule import ScheduleConfig, factor
from model.timesteps import Timesteps as Timesteps
from warehouse.errors import UsageError

QWEN = ScheduleConfig()


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
