"""Where lines of text stand on a page: quadrilaterals, how much they cover, and the order they are read in.

A quad is (4, 2) x, y in pixels, clockwise as the text is read: it begins at the start of the line's upper edge. So a
line of a page that lies on its side, or one of vertical Chinese, has its first corner at the upper right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Quad = npt.NDArray[np.float32]


def sides(quad: Quad) -> tuple[float, float]:
    """(length, height) of a quad along and across the reading direction, pixels."""
    length = math.dist(quad[0], quad[1]) + math.dist(quad[3], quad[2])
    height = math.dist(quad[0], quad[3]) + math.dist(quad[1], quad[2])
    return length / 2, height / 2


def turned(quad: Quad, quarters: int) -> Quad:
    """The same quad read from another corner: each quarter turns the reading direction by 90 degrees clockwise."""
    return np.roll(quad, -quarters, axis=0)


def covered(quads: Sequence[Quad]) -> float:
    """Area of the union of quads, square pixels."""
    from shapely import MultiPoint, union_all

    return float(union_all([MultiPoint(quad).convex_hull for quad in quads]).area)


def reading_order(quads: Sequence[Quad]) -> list[int]:
    """Indexes of the quads as a page is read: top down within a column, columns one after the other.

    Breuel, "High performance document layout analysis", 2003: of two lines that share some of their width the upper
    comes first; of two that do not, the left one, unless a line between them in height spans both. The page is first
    turned by its lines' usual direction, so that tilted pages, pages on their side and vertical Chinese are all read.
    """
    if len(quads) < 2:
        return list(range(len(quads)))
    points = np.stack(quads).astype(np.float64)
    along = points[:, 1] - points[:, 0] + points[:, 2] - points[:, 3]
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    lengths = np.array([sides(quad)[0] for quad in quads])
    cos, sin = _main_direction(along, lengths)
    x = points[..., 0] * cos + points[..., 1] * sin
    y = points[..., 1] * cos - points[..., 0] * sin
    left, right, middle = x.min(axis=1), x.max(axis=1), y.mean(axis=1)
    # Quads reach a little beyond their ink: what overlaps by less than a fifth of the narrower does not overlap.
    overlap = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    shared = overlap > 0.2 * np.minimum((right - left)[:, None], right - left)
    upper = middle[:, None] < middle
    before = shared & upper
    to_left = ~shared & ((left + right)[:, None] < left + right)
    for a, b in np.argwhere(to_left):
        low, high = sorted((middle[a], middle[b]))
        before[a, b] = not (shared[a] & shared[b] & (middle > low) & (middle < high)).any()
    return _sorted(before, np.lexsort((left, middle)))


def _main_direction(along: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]) -> tuple[float, float]:
    """(cos, sin) of the median direction of the lines within the quarter turn that holds most of their length."""
    angles = np.arctan2(along[:, 1], along[:, 0])
    quarter = np.round(angles / (math.pi / 2)).astype(int) % 4
    most = int(np.argmax(np.bincount(quarter, weights=lengths, minlength=4)))
    tilt = (angles[quarter == most] - most * math.pi / 2 + math.pi) % (2 * math.pi) - math.pi
    angle = most * math.pi / 2 + float(np.median(tilt))
    return math.cos(angle), math.sin(angle)


def _sorted(before: npt.NDArray[np.bool_], order: npt.NDArray[np.intp]) -> list[int]:
    """Topological order by `before[a, b]`; where several lines may come next, or a ring leaves none, by `order`."""
    waits = before.sum(axis=0)
    left = [int(i) for i in order]
    done: list[int] = []
    last = -1
    while left:
        free = [i for i in left if waits[i] == 0] or left
        # The line below the last one goes on with its column.
        chosen = next((i for i in free if last >= 0 and before[last, i]), free[0])
        left.remove(chosen)
        waits -= before[chosen]
        done.append(chosen)
        last = chosen
    return done
