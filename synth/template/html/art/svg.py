"""Small words for writing SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Rng = np.random.Generator
ACCENTS = ("var(--accent)", "var(--accent2)", "var(--accent3)")


def svg(width: float, height: float, body: str, fill: bool = True) -> str:
    """A drawing of that size; `fill`: it covers its place and is cut, else it is shown whole."""
    ratio = "xMidYMid slice" if fill else "xMidYMid meet"
    return f'<svg viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="{ratio}" aria-hidden="true">{body}</svg>'


def one(rng: Rng, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def between(rng: Rng, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 1)


def shuffled(rng: Rng, options: Sequence[str]) -> list[str]:
    return [options[int(i)] for i in rng.permutation(len(options))]


def mix(colour: str, other: str, percent: float) -> str:
    """`percent` of a colour in another, as CSS."""
    return f"color-mix(in srgb, {colour} {percent:.0f}%, {other})"


def smooth(points: Sequence[tuple[float, float]]) -> str:
    """A path through points, rounded by quadratic curves between their middles."""
    start = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    curves = [f"Q{x:.1f} {y:.1f} {(x + u) / 2:.1f} {(y + v) / 2:.1f}" for (x, y), (u, v) in pairwise(points[1:])]
    return start + "".join(curves) + f"L{points[-1][0]:.1f} {points[-1][1]:.1f}"
