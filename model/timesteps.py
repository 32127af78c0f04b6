"""How often a training step sees each noise level, as a curriculum tells it; `model.flow` draws from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from warehouse.errors import UsageError

Density = Literal["logit_normal", "uniform", "mode"]
Weighting = Literal["none", "bell"]


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
