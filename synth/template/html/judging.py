"""Whether a drawn page may be used, and its truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.draw.paint import Colour
from synth.palettes import contrast, parsed
from synth.placed import Placed
from synth.sample import Rejected
from synth.template.html.faces import Typefaces
from synth.template.html.truth import overlapping, placed, upright

SMALLEST = 12.0  # pixels of the image: the em of the smallest text
FAINTEST = 2.6  # contrast of a text with what is really behind it


def judged(
    told: Mapping[str, Any], image: NDArray[np.uint8] | None, faces: Typefaces, scale: float
) -> tuple[Placed, ...] | Rejected:
    """The truth of a page, or why it is not to be used."""
    if image is None:
        return Rejected("overflow", ", ".join(told["overflowing"]))
    if told["hidden"]:
        return Rejected("hidden", ", ".join(told["hidden"]))
    by_family = {face.family: face for face in faces.all()}
    texts = tuple(t for t in (placed(text, scale, by_family) for text in told["texts"]) if len(t.boxes))
    if not texts:
        return Rejected("empty", "nothing is written on the page")
    height, width = image.shape[:2]
    for text in texts:
        quads = text.character_quads()
        if quads.min() < 0 or quads[..., 0].max() > width or quads[..., 1].max() > height:
            return Rejected("overflow", f"{text.role} leaves the page")
        if not upright(text):
            return Rejected("vertical", f"{text.role} has characters that lie in vertical lines")
        if text.size < SMALLEST - 0.01:
            return Rejected("small", f"{text.role} is {text.size:.1f} pixels")
        if text.colour and seen(image, text) < FAINTEST:
            return Rejected("faint", f"{text.role} hardly stands out from its ground")
    if (both := overlapping(texts)) is not None:
        return Rejected("overlap", " on ".join(both))
    return texts


def seen(image: NDArray[np.uint8], text: Placed) -> float:
    """Contrast of the ink with the middle colour of what is around it."""
    assert text.colour is not None
    quad = text.quad()
    (x0, y0), (x1, y1) = np.maximum(quad.min(axis=0) - 2, 0).astype(int), np.ceil(quad.max(axis=0) + 2).astype(int)
    around = image[y0:y1:2, x0:x1:2].reshape(-1, 3).astype(np.int16)
    ink: Colour = parsed(text.colour[1:])
    apart = np.abs(around - np.array(ink, dtype=np.int16)).sum(axis=1)
    ground = np.median(around[apart >= np.median(apart)], axis=0)
    return contrast(ink, (int(ground[0]), int(ground[1]), int(ground[2])))
