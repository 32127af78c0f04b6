"""Ground truth of one drawn text: what stands where. It rides every transform as geometry, never as colour masks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.geometry import IDENTITY, Floats, apply, bounds, corners, grouped_bounds


@dataclass(frozen=True)
class Placed:
    """A text as drawn. Arrays have one entry for each cluster (what a reader takes for one character) with ink.

    `text`: logical order, NFC; cluster i is `text[starts[i]:ends[i]]`. `boxes` (n, 4): bounds of its ink where it was
    laid out, in pixels. `lines`, `words` (n,): numbers from 0 of the line and word it stands in; words are -1 for none.
    `to_image` (3, 3) takes the plane of the boxes to image pixels. `fonts`: names of the faces that drew it, the main
    one first; `size`: the em in pixels of the plane; `colour`: of the ink, "#rrggbb", where it is one.
    """

    text: str
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    boxes: NDArray[np.float32]
    lines: NDArray[np.int32]
    words: NDArray[np.int32]
    language: str = "und"
    direction: str = "horizontal"
    fonts: tuple[str, ...] = ()
    size: float = 0.0
    colour: str | None = None
    role: str | None = None  # title, body ...: what the text is in its template
    to_image: Floats = field(default_factory=lambda: IDENTITY)

    def moved(self, matrix: Floats) -> Placed:
        """The same text after its image went through a further homography (3, 3)."""
        return replace(self, to_image=matrix @ self.to_image)

    def character_quads(self) -> Floats:
        """(n, 4, 2) image pixels."""
        return apply(self.to_image, corners(self.boxes))

    def word_quads(self) -> Floats:
        """(words, 4, 2) image pixels."""
        return apply(self.to_image, corners(grouped_bounds(self.boxes, self.words)[1]))

    def line_quads(self) -> Floats:
        """(lines, 4, 2) image pixels."""
        return apply(self.to_image, corners(grouped_bounds(self.boxes, self.lines)[1]))

    def quad(self) -> Floats:
        """(4, 2) image pixels, around all ink. Raises ValueError where nothing was drawn."""
        return apply(self.to_image, corners(bounds(self.boxes)[None])[0])

    def row(self) -> dict[str, Any]:
        """What `synth_truth` stores of it; coordinates are rounded to hundredths of a pixel."""
        return {
            "text": self.text,
            "language": self.language,
            "direction": self.direction,
            "role": self.role,
            "fonts": list(self.fonts),
            "size": round(float(self.size), 2),
            "colour": self.colour,
            "quad": _flat(self.quad()[None])[0],
            "lines": self._spans(self.lines, self.line_quads()),
            "words": self._spans(self.words, self.word_quads()),
            "characters": [
                {"start": s, "end": e, "quad": q}
                for s, e, q in zip(self.starts.tolist(), self.ends.tolist(), _flat(self.character_quads()), strict=True)
            ],
        }

    def _spans(self, groups: NDArray[np.int32], quads: Floats) -> list[dict[str, Any]]:
        numbers = np.unique(groups[groups >= 0])
        return [
            {"start": int(self.starts[groups == g].min()), "end": int(self.ends[groups == g].max()), "quad": quad}
            for g, quad in zip(numbers, _flat(quads), strict=True)
        ]


def _flat(quads: Floats) -> list[list[float]]:
    """Quadrilaterals (n, 4, 2) as lists of eight numbers, all at once: a page has hundreds."""
    rounded: list[list[float]] = np.round(quads.reshape(len(quads), 8), 2).tolist()
    return rounded
