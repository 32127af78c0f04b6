"""Whether one faint pattern is repeated all over a picture: whether its autocorrelation peaks on a lattice.

Fine detail is evened out, so that a faint mark counts as much as a hard edge, and whitened, so that a long edge does
not look like repetition. A pattern laid out on a lattice then shows a peak at each lattice vector and at their sums and
differences. A fence or a row of windows repeats as well, but in one direction, or with a perspective that smears the
farther peaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.visual.views import Floats, luma, reduced

#: Longest side looked at, pixels.
VIEW = 640
#: Detail finer than this (pixels, sigma) is kept, of at most CLIP levels, over its own mean strength within AROUND.
FINE, CLIP, AROUND = 3.0, 10.0, 16.0
#: A part of BLOCK x BLOCK pixels is busy if the mean square of that is so large; if fewer parts are, nothing covers
#: the picture, and what repeats is what is left of a page and its lines.
BLOCK, BUSY, LEAST_BUSY = 32, 0.02, 0.35
#: Exponent of the spectrum: 1 is plain autocorrelation, 0 a single point.
WHITEN = 0.7
#: Distances of less than this many pixels are the pattern itself.
NEAREST = 22
#: Part of the picture's sides that distances are looked for in.
REACH = 0.62
#: So many peaks are tried in pairs as the lattice's vectors; those less than this far (sine) from parallel are not.
PEAKS, PARALLEL = 10, 0.2
#: A peak counts up to so many standard deviations, and within so many pixels of where it should be.
ENOUGH, TOLERANCE = 20.0, 2


def strength(image: Image.Image, without: Sequence[tuple[float, ...]] = ()) -> float:
    """How far the peaks of the best lattice stand out, in (robust) standard deviations, 0 to 20.

    154 photographs stay below 5.5; a tiled mark reaches 18 in the median. `without`: quads (x, y four times, pixels of
    the picture) of what is not to be looked at: lines of ordinary text, which repeat themselves as well.
    """
    small = reduced(image, VIEW)
    if min(small.size) < 4 * NEAREST:
        return 0.0
    scale = small.width / image.width
    corners = [np.rint(np.array(quad, np.float64).reshape(4, 2) * scale).astype(np.int32) for quad in without]
    detail = _even_detail(luma(small).astype(np.float32), corners)
    if _busy(detail) < LEAST_BUSY:
        return 0.0
    return _lattice(_peaks(_autocorrelation(detail)))


def _even_detail(level: Floats, without: Sequence[npt.NDArray[np.int32]]) -> Floats:
    """Fine detail of (height, width) luma at an even strength, mean 0; 0 within the quads `without` and beside them."""
    import cv2

    detail = np.clip(level - cv2.GaussianBlur(level, (0, 0), FINE), -CLIP, CLIP)
    for corners in without:
        cv2.fillConvexPoly(detail, corners, (0.0,))
        high = float(np.linalg.norm(corners[3] - corners[0]))
        cv2.polylines(detail, [corners], True, (0.0,), round(6 * FINE + high / 2))  # what they leave beside them
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), AROUND)) + 1.5
    out: Floats = (detail / spread).astype(np.float32)
    out -= np.float32(out.mean(dtype=np.float64))
    return out


def _busy(detail: Floats) -> float:
    """Share of the picture's blocks that are busy."""
    height, width = (side // BLOCK * BLOCK for side in detail.shape)
    blocks = np.square(detail[:height, :width]).reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return float((blocks.mean(axis=(1, 3), dtype=np.float64) > BUSY).mean())


def _autocorrelation(detail: Floats) -> Floats:
    """Whitened autocorrelation over distances 0..REACH down and -REACH..REACH across, 1 at distance 0."""
    height, width = detail.shape
    spectrum = np.abs(np.fft.rfft2(detail, (2 * height, 2 * width))) ** WHITEN
    whole = np.fft.fftshift(np.fft.irfft2(spectrum, (2 * height, 2 * width)))
    down, across = int(REACH * height), int(REACH * width)
    part = whole[height - down : height + down + 1, width - across : width + across + 1]
    # The further two copies are apart, the less of the picture holds both.
    fewer_down = 1 - np.abs(np.arange(-down, down + 1)) / height
    fewer_across = 1 - np.abs(np.arange(-across, across + 1)) / width
    weight = np.sqrt(np.outer(fewer_down, fewer_across))
    scaled: Floats = (part / part[down, across] / weight).astype(np.float32)
    return scaled


def _peaks(correlation: Floats) -> Floats:
    """How far each distance stands out from those around it, in standard deviations; 0 where none is looked for."""
    import cv2

    above = (correlation - cv2.GaussianBlur(correlation, (0, 0), 4)).astype(np.float32)
    down, across = (side // 2 for side in correlation.shape)
    y, x = np.mgrid[-down : down + 1, -across : across + 1]
    distance = np.hypot(y, x)
    # Along the axes JPEG blocks and the picture's own frame repeat: there only far distances count.
    oblique = (np.abs(y) > 3) & (np.abs(x) > 3)
    far = (distance > NEAREST) & (oblique | (distance > 40))
    spread = float(np.median(np.abs(above[far]))) * 1.4826 if far.any() else 0.0
    found: Floats = np.where(far & (spread > 0), above / np.float32(spread or 1), np.float32(0))
    return found


def _lattice(peaks: Floats) -> float:
    """The best pair of vectors: the mean of the three lowest of the peaks at both, their sum, difference and doubles.

    Of these six those count that lie within reach, at least three.
    """
    import cv2

    down, across = (side // 2 for side in peaks.shape)
    near = cv2.dilate(peaks, np.ones((2 * TOLERANCE + 1, 2 * TOLERANCE + 1)))
    upper = peaks.copy()
    upper[:down] = 0  # autocorrelation is symmetric
    vectors = []
    for _ in range(PEAKS):
        row, column = divmod(int(np.argmax(upper)), upper.shape[1])
        vectors.append((row - down, column - across))
        y, x = max(0, row - 10), max(0, column - 10)
        upper[y : row + 11, x : column + 11] = 0
    best = 0.0
    for (ay, ax), (by, bx) in combinations(vectors, 2):
        if abs(ay * bx - ax * by) < PARALLEL * np.hypot(ay, ax) * np.hypot(by, bx):
            continue
        points = ((ay, ax), (by, bx), (ay + by, ax + bx), (ay - by, ax - bx), (2 * ay, 2 * ax), (2 * by, 2 * bx))
        heights = sorted(
            min(float(near[y + down, x + across]), ENOUGH)
            for y, x in points
            if abs(y) <= down and abs(x) <= across and np.hypot(y, x) > NEAREST
        )
        if len(heights) >= 3:
            best = max(best, sum(heights[:3]) / 3)
    return best
