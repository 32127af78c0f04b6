"""What every strategy gives: an image, its captions, and the truth of what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synth.placed import Placed

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Sample:
    """One drawn image (height, width, 3) uint8 RGB. `captions` by language, `en` or `zh`; each quotes the text.

    `template`: the ground, material, deck or page it was made from. `facts`: what else was chosen, JSON.
    """

    image: NDArray[np.uint8]
    texts: tuple[Placed, ...]
    captions: Mapping[str, str]
    template: str
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """A sample that is not made, and why: `reason` is a short code, `detail` says more. It is counted, never retried
    blindly: the same index gives the same rejection."""

    reason: str
    detail: str = ""
