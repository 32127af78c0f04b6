"""From noise to latents: Euler steps along the velocity, with true classifier-free guidance.

latents = sample(model, initial_noise(seed, prompts, (0,), shape), Condition(context, lengths), sigmas(50, tokens, c))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from model.flow import stream
from warehouse.errors import UsageError

References = Sequence[Sequence[Tensor]]


class VelocityModel(Protocol):
    """What is sampled from; `model.mmdit.MMDiT` is one."""

    def velocity(
        self, latents: Tensor, sigma: Tensor, context: Tensor, lengths: Tensor | None, references: References
    ) -> Tensor:
        """Velocity (B, C, h, w) of latents (B, C, h, w) at sigma (B,) float32, told context (B, T, D) of which the
        first `lengths` (B,) tokens of each row count, beside each row's reference latents (C, h, w) or none at all."""


@dataclass(frozen=True)
class Condition:
    """What the model is told: `context` (B, T, D), of which the first `lengths` (B,) int64 tokens count (None: all)."""

    context: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance: unconditional + weight (conditional - unconditional).

    `rescale`: each token keeps the length of its conditional velocity, as Qwen-Image 1.0 samples; 2.1 does without.
    `patch`: side in latent pixels of a token. `together`: both branches in one batch, faster and twice the memory.
    """

    weight: float = 4.0
    rescale: bool = True
    patch: int = 2
    together: bool = True


def guided(conditional: Tensor, unconditional: Tensor, guidance: Guidance) -> Tensor:
    """The two velocities (B, C, h, w) put together. Ho and Salimans, arXiv 2207.12598, eq. 6; rescale as released."""
    combined = unconditional + guidance.weight * (conditional - unconditional)
    if not guidance.rescale:
        return combined
    wanted, got = (_token_length(v, guidance.patch) for v in (conditional, combined))
    times = torch.where(got > 0, wanted / got, torch.ones_like(got))
    spread = times.repeat_interleave(guidance.patch, -2).repeat_interleave(guidance.patch, -1)
    return combined * spread


def _token_length(velocity: Tensor, patch: int) -> Tensor:
    """(B, 1, h / patch, w / patch): Euclidean length over all that one token holds."""
    squares = velocity.float().square().sum(1, keepdim=True)
    return (functional.avg_pool2d(squares, patch) * patch**2).sqrt()


@torch.no_grad()
def sample(
    model: VelocityModel,
    noise: Tensor,
    condition: Condition,
    sigmas: Tensor,
    *,
    guidance: Guidance | None = None,
    negative: Condition | None = None,
    references: References = (),
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Latents (B, C, h, w) float32 that the model makes of `noise` (B, C, h, w), sigma 1.

    `sigmas`: (K + 1,) from the first to 0, see `model.schedule.sigmas`. Guided where `guidance` of a weight other than
    1 and `negative` are given; both branches see the references. `on_step`: called after each step with its number
    from 1. The state stays float32 however the model computes. Raises UsageError where shapes do not fit.
    """
    rows = len(noise)
    guides = guidance is not None and guidance.weight != 1 and negative is not None
    for told in (condition, negative if guides else None):
        if told is not None and len(told.context) != rows:
            raise UsageError(f"sampling {rows} pictures needs as many prompts, not {len(told.context)}")
    if references and len(references) != rows:
        raise UsageError(f"sampling {rows} pictures needs as many rows of references, not {len(references)}")
    x = noise.float()
    steps = sigmas.to(torch.float32).tolist()
    for number, (sigma, following) in enumerate(pairwise(steps), start=1):
        at = torch.full((rows,), sigma, dtype=torch.float32, device=x.device)
        if guides:
            assert guidance is not None
            assert negative is not None
            v = _both(model, x, at, condition, negative, references, guidance)
        else:
            v = model.velocity(x, at, condition.context, condition.lengths, references).float()
        x = x + (following - sigma) * v
        if on_step is not None:
            on_step(number)
    return x


def _both(
    model: VelocityModel,
    x: Tensor,
    at: Tensor,
    condition: Condition,
    negative: Condition,
    references: References,
    guidance: Guidance,
) -> Tensor:
    if not guidance.together:
        pair = [model.velocity(x, at, told.context, told.lengths, references) for told in (condition, negative)]
        return guided(pair[0].float(), pair[1].float(), guidance)
    told = stacked([condition, negative])
    twice = [*references, *references]
    v = model.velocity(torch.cat([x, x]), torch.cat([at, at]), told.context, told.lengths, twice).float()
    return guided(v[: len(x)], v[len(x) :], guidance)


def stacked(conditions: Sequence[Condition]) -> Condition:
    """One batch of several, padded on the right with zeros to the longest."""
    longest = max(c.context.shape[1] for c in conditions)
    contexts = [functional.pad(c.context, (0, 0, 0, longest - c.context.shape[1])) for c in conditions]
    lengths = [
        torch.full((len(c.context),), c.context.shape[1], dtype=torch.int64, device=c.context.device)
        if c.lengths is None
        else c.lengths
        for c in conditions
    ]
    return Condition(torch.cat(contexts), torch.cat(lengths))


def initial_noise(seed: int, prompts: Sequence[str], numbers: Sequence[int], shape: Sequence[int]) -> Tensor:
    """(B, *shape) float32 on the CPU: row i is drawn by (seed, prompts[i], numbers[i]) alone, whatever the batch."""
    return torch.stack(
        [
            torch.randn(tuple(shape), generator=stream("sample", int(seed), prompt, int(number)))
            for prompt, number in zip(prompts, numbers, strict=True)
        ]
    )
