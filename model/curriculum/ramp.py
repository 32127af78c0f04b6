"""A number that moves over a phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Ramp:
    """`points` at even distances from the phase's first step to its last, straight lines between them."""

    points: tuple[float, ...]

    @property
    def constant(self) -> bool:
        return len(set(self.points)) == 1

    @property
    def most(self) -> float:
        return max(self.points)

    def at(self, fraction: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The values at these fractions (0 to 1) of the phase."""
        if len(self.points) == 1:
            return np.full(fraction.shape, self.points[0])
        return np.interp(fraction, np.linspace(0.0, 1.0, len(self.points)), self.points)

    def value(self, fraction: float) -> float:
        """The value at one fraction of the phase."""
        return float(self.at(np.array([fraction]))[0])

    def __str__(self) -> str:
        return " -> ".join(f"{point:g}" for point in self.points)


def fractions(steps: npt.NDArray[np.int64], of: int) -> npt.NDArray[np.float64]:
    """How far steps 0..of-1 are through their phase: 0 at the first, 1 at the last."""
    return steps / max(1, of - 1)
