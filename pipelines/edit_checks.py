"""What can be measured of an edit pair without a model: how much changed, and whether the rest stayed as it was.

Both pictures are compared as their stored 64x64 lumas, so that a pair costs no decode; a change of a few pixels, or of
colour alone, does not show in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 64
CHANGED = 16  # luma levels: re-encoding and resizing stay below
LEAST_OUTSIDE = 0.02  # share of the picture: on less nothing can be said
FLAT = 2.0  # luma levels of standard deviation: what is flatter has no pattern to compare


@dataclass(frozen=True)
class Checks:
    """`changed_share`: 0 to 1. `identity`: -1 to 1; None where the region leaves nothing to compare."""

    changed_share: float
    identity: float | None


def check(reference: NDArray[np.uint8], target: NDArray[np.uint8], region: NDArray[np.bool_] | None) -> Checks:
    """Compare two (64, 64) lumas; `region`, (64, 64), is where the target may differ, None: nowhere in particular.

    Identity is the correlation of the lumas outside the region. Where one of them is flat there, it is 1 less the mean
    difference over 255.
    """
    a, b = reference.astype(np.float64), target.astype(np.float64)
    changed = round(float((np.abs(a - b) > CHANGED).mean()), 4)
    outside = np.ones((SIDE, SIDE), bool) if region is None else ~region
    if outside.mean() < LEAST_OUTSIDE:
        return Checks(changed, None)
    x, y = a[outside], b[outside]
    if min(x.std(), y.std()) < FLAT:
        identity = 1 - float(np.abs(x - y).mean()) / 255
    else:
        identity = float(((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std()))
    return Checks(changed, round(identity, 4))


def region_of_quad(quad: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(64, 64) mask of four corners x, y in pixels of a picture of (width, height); its edge is in it."""
    from PIL import Image, ImageDraw

    scaled = [value * SIDE / size[n % 2] for n, value in enumerate(quad)]
    image = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).polygon(scaled, fill=255, outline=255)
    return np.asarray(image) > 0


def region_of_mask(data: bytes) -> NDArray[np.bool_]:
    """(64, 64) mask from the bytes of a mask picture: whatever is touched by white may change.

    Raises ValueError where it is no picture.
    """
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > Image.MAX_IMAGE_PIXELS:  # type: ignore[operator]
                raise ValueError("mask: too many pixels")
            small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"mask: no picture: {error}") from error
    return np.asarray(small) > 32
