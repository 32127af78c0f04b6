"""Two strategies under one name: which of them draws a sample is a matter of seed and index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.chance import chance
from synth.sample import Rejected, Sample
from synth.strategy import Strategy


@dataclass(frozen=True)
class Mixed:
    """`parts`: strategies with their shares."""

    name: str
    parts: tuple[tuple[Strategy, float], ...]

    def check(self) -> None:
        for part, _ in self.parts:
            part.check()

    def fingerprint(self) -> str:
        return "\0".join(f"{share} {part.fingerprint()}" for part, share in self.parts)

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        shares = np.array([share for _, share in self.parts])
        chosen = chance(seed, f"{self.name} parts", index).choice(len(shares), p=shares / shares.sum())
        return self.parts[int(chosen)][0].draw(seed, index)
