"""Lines: where each begins and ends, how it is aligned, and where its clusters stand. Arithmetic in ems."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.layout import breaks
from synth.layout.block import Align, OverflowingError
from synth.layout.shape import Shaped

#: The most that justification may add in one place, ems: beyond, the line stays ragged.
WIDEST_BLANK, WIDEST_GAP = 0.8, 0.35
_SLACK = 1e-6


@dataclass(frozen=True)
class Measured:
    """What breaking lines asks again at every size, in ems. `advance` (n,): along the line. `total` (n + 1): where
    each cluster begins in one endless line. `places`: a line may end before these clusters, and `reach`: where its ink
    is over then, as blanks at its end hang over. `forced`: it must end before these."""

    advance: NDArray[np.float64]
    total: list[float]
    places: list[int]
    reach: list[float]
    forced: list[int]


def measured(shaped: Shaped, tracking: float) -> Measured:
    """`tracking` ems are added after each character but for scripts whose letters join."""
    advance = shaped.advance
    if tracking:
        advance = advance + np.where(shaped.joined | (shaped.kind == breaks.BK), 0.0, tracking)
    total = np.concatenate([[0.0], np.cumsum(advance)])
    trimmed = np.arange(len(total))
    for i in np.flatnonzero(shaped.space) + 1:
        trimmed[i] = trimmed[i - 1]
    places = np.flatnonzero(shaped.breaks) + 1
    forced = np.flatnonzero(shaped.kind == breaks.BK) + 1
    return Measured(advance, total.tolist(), places.tolist(), total[trimmed[places]].tolist(), forced.tolist())


def break_lines(text: Measured, measure: float) -> list[tuple[int, int]]:
    """Clusters [first, end) of each line of at most `measure` ems; blanks at its end hang over and are in it.

    Lines are filled one after the other. Raises OverflowingError where a word is longer than the measure.
    """
    count = len(text.total) - 1
    out: list[tuple[int, int]] = []
    first = at = stop = 0
    while first < count:
        fits = bisect_right(text.reach, text.total[first] + measure + _SLACK, at)
        if fits == at:
            raise OverflowingError(f"a word is longer than the line of {measure:.1f} ems")
        end = text.places[fits - 1]
        while stop < len(text.forced) and text.forced[stop] <= first:
            stop += 1
        if stop < len(text.forced) and text.forced[stop] < end:
            end = text.forced[stop]
        out.append((first, end))
        first = end
        at = bisect_right(text.places, first, at)
    return out


def place_line(
    shaped: Shaped,
    advance: NDArray[np.float64],
    line: tuple[int, int],
    measure: float,
    align: Align,
    right_to_left: bool,
    last: bool,
) -> NDArray[np.float64]:
    """Starts (end - first,) of the line's clusters in ems from the line's left or top.

    `last`: of its paragraph, which is not justified. Blanks at the end take no room.
    """
    first, end = line
    width = advance[first:end].copy()
    tail = end - first
    while tail and shaped.space[first + tail - 1]:
        tail -= 1
    width[tail:] = 0.0
    free = measure - float(width.sum())
    if align == "justify" and not last and tail > 1 and free > 0:
        width[:tail] += _gaps(shaped, first, first + tail, free)
    taken = float(width.sum())
    order = visual_order(shaped.level[first:end])
    left = np.empty(end - first)
    left[order] = np.concatenate([[0.0], np.cumsum(width[order])[:-1]]) if len(order) else 0.0
    free = max(0.0, measure - taken) if np.isfinite(measure) else 0.0
    at_end = align == "end" if not right_to_left else align in ("start", "justify")
    shift = free / 2 if align == "center" else free if at_end else 0.0
    return left + shift


def _gaps(shaped: Shaped, first: int, end: int, free: float) -> NDArray[np.float64]:
    """Room to add after each cluster of a line so that it fills its measure; none where that would tear it apart."""
    gaps = np.zeros(end - first)
    blank = shaped.space[first:end]
    if blank.any():
        gaps[blank] = min(free / int(blank.sum()), WIDEST_BLANK)
        if gaps.max() < WIDEST_BLANK:
            return gaps
        gaps[:] = 0.0
    wide = np.isin(shaped.kind[first:end], (breaks.ID, breaks.CLW, breaks.NS, breaks.OP))
    between = (wide[:-1] | wide[1:]).nonzero()[0]
    if len(between) and free / len(between) <= WIDEST_GAP:
        gaps[between] = free / len(between)
    return gaps


def visual_order(level: NDArray[np.int8]) -> NDArray[np.intp]:
    """Clusters from left to right: rule L2 of Unicode Standard Annex 9."""
    order = np.arange(len(level))
    if not len(level) or not level.any():
        return order
    for limit in range(int(level.max()), 0, -1):
        high = level[order] >= limit
        n = 0
        while n < len(order):
            if not high[n]:
                n += 1
                continue
            end = n
            while end < len(order) and high[end]:
                end += 1
            order[n:end] = order[n:end][::-1]
            n = end
    return order
