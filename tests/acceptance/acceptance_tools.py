"""How acceptance tests run the command and draw pictures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

REPO = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: object) -> list[str]:
    """The command line of `glyphmill ARGUMENTS`, with this very interpreter."""
    return [sys.executable, str(REPO / "glyphmill.py"), *(str(a) for a in arguments)]


def picture(rng: np.random.Generator, width: int = 400, height: int = 300) -> Image.Image:
    """A picture with structure at every scale, unlike any other from the same generator."""
    layers = np.zeros((height, width, 3))
    for cells in (3, 7, 17, 60, 200):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layers += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    return Image.fromarray((layers / 5).astype(np.uint8))
