"""How acceptance tests run the command and draw pictures."""

from __future__ import annotations

import numpy as np
from commands import REPO, Run, apart, command, here
from PIL import Image

__all__ = ["REPO", "Run", "apart", "command", "here", "picture"]


def picture(rng: np.random.Generator, width: int = 400, height: int = 300) -> Image.Image:
    """A picture with structure at every scale, unlike any other from the same generator."""
    layers = np.zeros((height, width, 3))
    for cells in (3, 7, 17, 60, 200):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layers += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    return Image.fromarray((layers / 5).astype(np.uint8))
