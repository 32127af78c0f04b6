"""What a training of an autoencoder is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from warehouse.errors import UsageError

#: How a stored image becomes a square: the whole of it, scaled; or a part at its own scale, another one each time.
View = Literal["fit", "crop"]


@dataclass(frozen=True)
class VaeTraining:
    """`rate` rises over `warmup` steps, then falls by a cosine to `last_rate` of itself at the last step. The loss is
    l1 |d| + l2 d^2 + kl KL + perceptual P, each a mean (model.vae_training.objective)."""

    steps: int = 1000
    batch: int = 8
    resolution: int = 64
    view: View = "fit"
    rate: float = 4e-3
    last_rate: float = 0.02
    warmup: int = 50
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    l1: float = 1.0
    l2: float = 1.0
    kl: float = 1e-6
    perceptual: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.resolution) < 1 or self.warmup < 0:
            raise UsageError("steps, batch and resolution must be at least 1, warmup at least 0")
        if not 0 < self.rate < 1 or not 0 <= self.last_rate <= 1 or self.clip <= 0:
            raise UsageError("the learning rate must lie in (0, 1), its last share in [0, 1], clip above 0")
        if min(self.l1, self.l2, self.kl, self.perceptual) < 0 or self.l1 + self.l2 + self.perceptual <= 0:
            raise UsageError("weights of the loss must not be negative, and one of l1, l2, perceptual must be positive")
        if self.view not in ("fit", "crop"):
            raise UsageError(f"view '{self.view}' is not one of fit, crop")


def rate_at(step: int, settings: VaeTraining) -> float:
    """The learning rate of a step, counted from 0."""
    rising = min(1.0, (step + 1) / max(1, settings.warmup))
    course = min(1.0, step / max(1, settings.steps - 1))
    cosine = 0.5 + 0.5 * math.cos(math.pi * course)
    return settings.rate * rising * (settings.last_rate + (1.0 - settings.last_rate) * cosine)
