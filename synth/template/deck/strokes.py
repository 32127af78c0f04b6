"""Lines cut into dashes, and the heads of arrows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synth.geometry import Floats

MOST_DASHES = 4000


def dashed(points: Floats, closed: bool, lengths: Sequence[float]) -> list[Floats]:
    """The drawn pieces of a line: strokes and gaps of `lengths` pixels in turn; all of it where there are none."""
    if not lengths or len(points) < 2:
        return [points]
    ring = np.concatenate([points, points[:1]]) if closed else points
    steps = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    reach = np.concatenate([[0.0], np.cumsum(steps)])
    total = float(reach[-1])
    if total <= 0 or total / max(sum(lengths), 1e-6) * len(lengths) > MOST_DASHES:
        return [ring]
    out, at, n = [], 0.0, 0
    while at < total:
        end = min(at + max(lengths[n % len(lengths)], 0.25), total)
        if n % 2 == 0:
            inner = reach[(reach > at) & (reach < end)]
            places = np.concatenate([[at], inner, [end]])
            out.append(np.stack([np.interp(places, reach, ring[:, c]) for c in (0, 1)], axis=1))
        at, n = end, n + 1
    return out


def arrow_heads(points: Floats, arrows: tuple[bool, bool], thick: float) -> list[Floats]:
    """Triangles at the start and end of a line, three widths long and wide."""
    out = []
    for wanted, tip, before in ((arrows[0], points[0], points[1]), (arrows[1], points[-1], points[-2])):
        length = float(np.linalg.norm(tip - before))
        if wanted and length > 0:
            along = (tip - before) / length
            size = max(3 * thick, 6.0)
            back, side = tip - along * size, np.array([-along[1], along[0]]) * size / 2
            out.append(np.array([tip + along * thick / 2, back + side, back - side]))
    return out
