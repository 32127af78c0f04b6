"""How high the characters of a line are: the band of its ink, which a detector's box only surrounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

INK_SHARE = 0.04  # of the fullest row: ascenders and feet are thin, and a row with less than this is speckle
GAP_SHARE = 0.1  # of the crop's height: how far strokes of one character may stand apart


def ink_height(crop: Pixels) -> int:
    """Pixels from the top of the tallest to the foot of the lowest character in the (h, w, 3) crop of one line.

    Ink is told from paper by Otsu's threshold ("A threshold selection method from gray-level histograms", 1979); the
    paper is what most of the crop's edge shows.
    """
    import cv2

    gray = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    _level, light = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    edge = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    ink = 1 - light if edge.mean() >= 0.5 else light
    rows = ink.sum(axis=1, dtype=np.int64)
    return _band(rows, max(1, round(GAP_SHARE * len(rows))))


def _band(rows: npt.NDArray[np.int64], gap: int) -> int:
    """Height of the run of inked rows with the most ink, bridging gaps of up to `gap` rows."""
    inked = np.flatnonzero(rows >= max(1.0, INK_SHARE * float(rows.max(initial=0))))
    if not len(inked):
        return len(rows)
    runs = np.split(inked, np.flatnonzero(np.diff(inked) > gap + 1) + 1)
    fullest = max(runs, key=lambda run: int(rows[run].sum()))
    return int(fullest[-1] - fullest[0] + 1)
