"""Pixelated regions: squares of one colour in a grid.

Within such a region neighbouring pixels are alike but where a grid line passes, and the lines come at one period in
both directions. Luma differences are averaged over short bands, then folded by every period: the mean on the lines of
the best phase is compared with the mean between them. A line must be a step from one level to another (a joint between
tiles, or a drawn grid, goes there and back), and the squares must have several levels (a chessboard or a QR code has
two).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.visual.views import Box, Floats, Gray

#: Sides of the squares looked for, pixels.
PERIODS = (*(n / 2 for n in range(12, 32)), *range(16, 25), *range(26, 49, 2))
#: Height of a band and distance from one to the next, pixels.
BAND, STEP = 16, 8
#: Pixels that a run of lines must cover, and the least number of squares.
SPAN, SQUARES = 40, 4
#: The mean step on the lines in levels, and how many times that between them.
LINE, CONTRAST = 1.2, 3.5
#: The least share of the lines that are a step of one level or more.
STEPS = 0.6
#: A difference larger than this counts as this: one hard edge is no grid.
CAP = 12.0
#: At least this share of the squares lies well between the darkest and the lightest.
MIDDLE = 0.15
#: A smaller share of the picture is texture that happens to look so: what a rule should ask for.
LEAST_SHARE = 0.005
#: The least number of squares in a region.
REGION_SQUARES = 9
#: Over a whole region: lines against what lies between them.
WHOLE_CONTRAST = 2.5
#: JPEG's own blocks: their side, and how near to it a period must be to be suspected. Then the lines must be so strong
#: and not lie where a file that was not cropped has them.
JPEG, JPEG_SLACK, STRONG_LINE = 8.0, 0.5, 8.0
#: At least this share of the squares lies well between the darkest and the lightest.
MIDDLE = 0.15
#: A smaller share of the picture is texture that happens to look so: what a rule should ask for.
LEAST_SHARE = 0.005
#: The least number of squares in a region.
REGION_SQUARES = 9
#: Over a whole region: lines against what lies between them. JPEG's own blocks of 8 pixels stand out by less than the
#: second, or lie, in either direction, where a file that was not cropped has them.
WHOLE_CONTRAST, JPEG_LINE = 2.5, 4.0


@dataclass(frozen=True)
class Region:
    """A pixelated region: the box around it, its area and the side of its squares, in pixels."""

    box: Box
    area: int
    period: float


def regions(gray: Gray) -> list[Region]:
    """Pixelated regions of (height, width) luma, largest first. Works at native size: reducing blurs the squares."""
    import cv2

    if min(gray.shape) < 2 * BAND:
        return []
    level = gray.astype(np.float32)
    across = periods(level)
    if not across.any():
        return []
    down = periods(np.ascontiguousarray(level.T))[: across.shape[1], :].T[: across.shape[0]]
    across = across[: down.shape[0], : down.shape[1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        square = (across > 0) & (down > 0) & (np.abs(across / np.maximum(down, 1) - 1) < 0.15)
    like_jpeg = np.maximum(np.abs(across - JPEG), np.abs(down - JPEG)) <= JPEG_SLACK
    found = []
    # Apart, or a region of squares would hang on JPEG's blocks around it.
    for cells in (square & like_jpeg, square & ~like_jpeg):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
        for label in range(1, count):
            x, y, width, height, number = (int(v) for v in stats[label])
            period = float(np.median(across[labels == label]))
            box = (x * STEP, y * STEP, width * STEP, height * STEP)
            area = number * STEP * STEP
            large = area >= REGION_SQUARES * period * period
            if large and _is_grid(level, box, period) and _many_levels(gray, box, period):
                found.append(Region(box, area, period))
    return sorted(found, key=lambda r: (-r.area, r.box))


def share(found: list[Region], shape: tuple[int, int]) -> float:
    """Share of the picture that is pixelated, 0 to 1."""
    return min(1.0, sum(region.area for region in found) / (shape[0] * shape[1]))


def periods(level: Floats) -> Floats:
    """(height / STEP, width / STEP): period of the vertical grid lines around each place of (height, width), else 0."""
    profile = _bands(np.minimum(np.abs(np.diff(level, axis=1)), CAP))
    # What a line leaves behind: from two pixels before it to two after it. One that goes there and back leaves nothing.
    far = np.zeros_like(level)
    far[:, 2:-2] = np.minimum(np.abs(level[:, 4:] - level[:, :-4]), CAP)
    lasting = _bands(far[:, 1:])
    rows, columns = profile.shape
    # A line of a picture that was resized lies between two pixels: both are on the line.
    line = profile.copy()
    line[:, 1:] = np.maximum(line[:, 1:], profile[:, :-1])
    line[:, :-1] = np.maximum(line[:, :-1], profile[:, 1:])
    line = np.minimum(line, lasting * 1.5)
    seen = (line >= 1).astype(np.float32)
    around = profile.copy()
    around[:, 1:] += profile[:, :-1]
    around[:, :-1] += profile[:, 1:]
    total = np.zeros((rows, columns + 1), np.float32)
    np.cumsum(profile, axis=1, out=total[:, 1:])

    best = np.zeros((rows, columns), np.float32)
    found = np.zeros((rows, columns), np.float32)
    for period in PERIODS:
        squares = max(SQUARES, int(np.ceil(SPAN / period)))
        at = [round(k * period) for k in range(squares + 1)]
        starts = columns - at[-1]
        if starts <= 0:
            continue
        on = sum((line[:, a : a + starts] for a in at), np.zeros((rows, starts), np.float32)) / len(at)
        steps = sum((seen[:, a : a + starts] for a in at), np.zeros((rows, starts), np.float32)) / len(at)
        near = sum((around[:, a : a + starts] for a in at), np.zeros((rows, starts), np.float32))
        within = total[:, at[-1] + 1 : at[-1] + 1 + starts] - total[:, :starts]
        # `around` of the last and first line reaches one pixel beyond the run on either side.
        off = np.maximum(within - near, 0) / (at[-1] - 1 - 2 * squares + 1e-3)
        good = (on >= LINE) & (on >= CONTRAST * off) & (steps >= STEPS)
        # Multiples of the true period fit as well, and no better: the smaller one has the advantage.
        score = np.where(good, (on - off) / np.float32(np.sqrt(period)), np.float32(0))
        # A run counts for every column from its first line to its last: the best of the runs that cover a column.
        covering = np.zeros((rows, columns), np.float32)
        covering[:, :starts] = score
        reach = 1
        while reach < at[-1] + 1:
            more = min(reach, at[-1] + 1 - reach)
            covering[:, more:] = np.maximum(covering[:, more:], covering[:, :-more])
            reach += more
        better = covering > best
        best[better] = covering[better]
        found[better] = period
    return found[:, ::STEP]


def _bands(values: Floats) -> Floats:
    """Means over bands of BAND rows, one every STEP rows."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1]), np.float32)
    np.cumsum(values, axis=0, dtype=np.float32, out=sums[1:])
    starts = np.arange(0, values.shape[0] - BAND + 1, STEP)
    means: Floats = (sums[starts + BAND] - sums[starts]) / np.float32(BAND)
    return means


def _is_grid(level: Floats, box: Box, period: float) -> bool:
    """Whether lines stand out in both directions of the region as a whole: bands are too short to tell from texture."""
    x, y, width, height = box
    part = level[y : y + height, x : x + width]
    if min(part.shape) < 2 * JPEG:
        return False
    jpeg = abs(period - JPEG) <= JPEG_SLACK
    aligned = strong = 0
    for values, start in ((part, x), (part.T, y)):
        profile = np.abs(np.diff(values, axis=1)).mean(axis=0)
        lines = np.sort(profile)[-max(1, round(len(profile) / period)) :].mean()
        if lines < WHOLE_CONTRAST * (np.median(profile) + 0.25):
            return False
        phases = [float(np.median(profile[(phase - start) % 8 :: 8])) for phase in range(8)]
        aligned += max(phases) == phases[7]
        strong += bool(lines >= STRONG_LINE)
    return not jpeg or (aligned < 2 and strong == 2)


def _many_levels(gray: Gray, box: Box, period: float) -> bool:
    """Whether the squares of a region have more than two levels: some are neither near the darkest nor the lightest."""
    x, y, width, height = box
    step = max(1, int(period))
    levels = gray[y + step // 2 : y + height : step, x + step // 2 : x + width : step].astype(np.float64)
    low, high = np.percentile(levels, [5, 95])
    near = 0.2 * (high - low)
    return bool(((levels > low + near) & (levels < high - near)).mean() > MIDDLE)
