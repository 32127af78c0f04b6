"""What is asked for, before any encoder has seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Prompt:
    """A text and the pictures that it edits, (H, W, 3) uint8 RGB each, in the order it counts them."""

    text: str
    images: tuple[Pixels, ...] = ()

    def blanked(self) -> Prompt:
        """The unconditional one: a single space, beside the same pictures."""
        return Prompt(" ", self.images)


BLANK = Prompt(" ")


def as_pixels(image: Any) -> Pixels:
    """(H, W, 3) uint8 of a picture of Pillow or of an array."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB") if hasattr(image, "convert") else image, np.uint8))


def texts(prompts: Sequence[Prompt]) -> list[str]:
    """What they say."""
    return [prompt.text for prompt in prompts]
