"""What an algorithm is to the loop, and the first of them: flow matching.

An algorithm owns its roles (the model that is trained and, for others to come, a reference, a teacher, a critic) and
turns one micro batch into losses. It never steps an optimizer, logs or touches the disk: the loop does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

import torch

from model.batches import LatentBatch
from model.flow import Timesteps, draws, loss_weight, noised, target
from model.schedule import ScheduleConfig


@dataclass(frozen=True)
class Losses:
    """What one micro batch gave.

    `to_minimise`: per trained role a scalar with a graph, weighted already: the sum over the micro batches is the loss
    of the step. `loss`, `sigma`: (B,) float32, detached, one number a row, which is what is logged. `shown`: further
    (B,) columns by name (the margin of a preference, say), logged as means.
    """

    to_minimise: Mapping[str, torch.Tensor]
    loss: torch.Tensor
    sigma: torch.Tensor
    shown: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Algorithm(Protocol):
    """One way to train. `roles`: every model it holds, by name; `trained`: the names of those that are optimized."""

    @property
    def roles(self) -> Mapping[str, torch.nn.Module]: ...

    @property
    def trained(self) -> tuple[str, ...]: ...

    def single_train_step(self, batch: LatentBatch, shares: torch.Tensor) -> Losses:
        """The losses of one micro batch. `shares`: (B,) float32, each row's part of the step's loss; over all micro
        batches and ranks of a step they sum to one. What a row gives must not depend on the rows beside it."""
        ...


class Velocity(Protocol):
    """A model that predicts velocity, as `MMDiT.velocity` does: (B, C, h, w) -> (B, C, h, w)."""

    def velocity(
        self,
        latents: torch.Tensor,
        sigma: torch.Tensor,
        context: torch.Tensor,
        lengths: torch.Tensor | None = None,
        references: Sequence[Sequence[torch.Tensor]] = (),
    ) -> torch.Tensor: ...


class FlowMatching:
    """Rectified flow: the squared error between the predicted velocity and eps - x0, averaged over the target's latents
    (Lipman et al., arXiv 2210.02747, eq. 14; Qwen-Image, arXiv 2508.02324, eq. 1, in this project's convention).

    Sigma and noise of a row depend on (seed, step, its position in the global batch) alone. The error is taken in
    float32 whatever the model computes in. References are seen, never predicted.
    """

    trained = ("model",)

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        patch: int,
        seed: int = 0,
        timesteps: Timesteps | None = None,
        schedule: ScheduleConfig | None = None,
    ) -> None:
        self.roles: dict[str, torch.nn.Module] = {"model": model}
        self.patch, self.seed = patch, seed
        self.timesteps, self.schedule = timesteps or Timesteps(), schedule or ScheduleConfig()

    def single_train_step(self, batch: LatentBatch, shares: torch.Tensor) -> Losses:
        """One forward pass; see `Algorithm`."""
        _, channels, height, width = batch.latents.shape
        drawn = draws(
            self.seed,
            batch.step,
            batch.positions,
            (channels, height, width),
            self.timesteps,
            tokens=(height // self.patch) * (width // self.patch),
            schedule=self.schedule,
        )
        device = batch.latents.device
        sigma, eps = drawn.sigma.to(device, non_blocking=True), drawn.eps.to(device, non_blocking=True)
        squared = squared_error(self.roles["model"], batch, sigma, eps)
        loss = squared * loss_weight(sigma, self.timesteps)
        return Losses({"model": (loss * shares).sum()}, loss.detach(), sigma)


def squared_error(model: torch.nn.Module, batch: LatentBatch, sigma: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
    """(B,) float32: mean over the target's latents of (v - (eps - x0))^2, at `sigma` (B,) and `eps` like the latents.

    The lengths stay on the CPU: the model finds out there whether it needs a mask, and no device is waited for.
    """
    x = noised(batch.latents, eps, sigma)
    predicted = cast(Velocity, model).velocity(x, sigma, batch.context, batch.lengths, batch.references)
    return (predicted.float() - target(batch.latents, eps)).square().flatten(1).mean(1)
