"""Signals from one decode at the working size: clarity, exposure, colour, information, border.

Luma is ITU-R 601-2 at the working size (`pipelines.decode`); colour is taken from a sample of pixels, 64 across the
shorter side (against all pixels, saturation of photographs then moves by 0.001 to 0.002 on average). Sums are sums of
whole numbers, exact in float64, so every machine and engine stores the same value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.decode import Gray, Planes
from pipelines.extractors.base import Extractor, Sample
from warehouse.schema import Column

F32 = pa.float32()

COLUMNS = (
    Column("sharpness_256", F32, "variance of the 3x3 Laplacian of luma at the working size; 0 is flat, blurred < 100"),
    Column("luma", F32, "mean luma, 0 black to 255 white"),
    Column("contrast", F32, "standard deviation of luma, 0 to 127.5"),
    Column("saturation", F32, "mean HSV saturation, 0 grey to 1"),
    Column("entropy", F32, "Shannon entropy of the 256-level luma histogram, bits, 0 to 8"),
    Column("texture", F32, "mean standard deviation of luma within 8x8 blocks, 0 to 127.5"),
    Column("colourfulness", F32, "Hasler and Suesstrunk 2003, eq. 3; 0 grey, 15 slightly, 59 quite, 109 extremely"),
    Column("border_share", F32, "share of the area in near-uniform rows and columns at the edges, 0 to 1"),
    Column("work_width", pa.int32(), "pixels: width that the signals were measured at"),
    Column("work_height", pa.int32(), "pixels: height that the signals were measured at"),
)

#: A row or column belongs to the border if its luma deviates less than this and its mean is this near to the edge's.
BORDER_DEVIATION = 2.0
BORDER_STEP = 4.0


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for sample in batch:
        picture = sample.pixels
        luma = picture.luma
        histogram = np.array(picture.luma_image.histogram(), dtype=np.float64)
        mean, deviation = moments(histogram)
        if picture.is_gray:
            saturation, colourful = 0.0, 0.0
        else:
            saturation, colourful = mean_saturation(picture.colours), colourfulness(picture.colours)
        rows.append(
            {
                "sharpness_256": laplacian_variance(luma),
                "luma": mean,
                "contrast": deviation,
                "saturation": saturation,
                "entropy": entropy(histogram),
                "texture": texture(luma),
                "colourfulness": colourful,
                "border_share": border_share(luma),
                "work_width": picture.size[0],
                "work_height": picture.size[1],
            }
        )
    return rows


def laplacian_variance(luma: Gray) -> float:
    """Variance of the Laplacian (4-neighbour, no border) of (h, w) luma: Pech-Pacheco et al. 2000, "LAPV"."""
    short = [max(0, 3 - side) for side in luma.shape]
    y = np.pad(luma, [(0, short[0]), (0, short[1])], mode="edge") if any(short) else luma
    y = y.astype(np.int16)
    laplacian = y[:-2, 1:-1] + y[2:, 1:-1]
    laplacian += y[1:-1, :-2]
    laplacian += y[1:-1, 2:]
    laplacian -= y[1:-1, 1:-1] << 2
    return _spread(laplacian)[1]


def moments(histogram: npt.NDArray[np.float64]) -> tuple[float, float]:
    """(mean, standard deviation) of the levels of a (256,) histogram."""
    levels = np.arange(256.0)
    total = histogram.sum()
    first = float(np.dot(histogram, levels))
    second = float(np.dot(histogram, levels * levels))
    mean = first / float(total)
    return mean, math.sqrt(max(0.0, second / float(total) - mean * mean))


def entropy(histogram: npt.NDArray[np.float64]) -> float:
    """Shannon entropy of a (256,) histogram, bits."""
    share = histogram[histogram > 0] / histogram.sum()
    return max(0.0, -float((share * np.log2(share)).sum()))


def texture(luma: Gray) -> float:
    """Mean standard deviation of (h, w) luma over whole 8x8 blocks; over the image itself where it has none."""
    height, width = (side // 8 * 8 for side in luma.shape)
    if not height or not width:
        return float(luma.std(dtype=np.float64))
    y = luma[:height, :width].astype(np.float32)  # holds sums of 64 squares of bytes exactly
    ones = np.ones(8, dtype=np.float32)
    sums = np.add.reduce(y.reshape(height // 8, 8, width), axis=1).reshape(-1, 8) @ ones
    y *= y
    squares = np.add.reduce(y.reshape(height // 8, 8, width), axis=1).reshape(-1, 8) @ ones
    variance = squares.astype(np.float64) * 64 - sums.astype(np.float64) ** 2
    return float(np.sqrt(variance).mean() / 64)


def mean_saturation(planes: Planes) -> float:
    """Mean HSV saturation (max - min) / max of (3, h, w) RGB, black counting as 0."""
    red, green, blue = planes
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    share = (highest - lowest) / np.maximum(highest, 1, dtype=np.float32)
    return float(share.mean(dtype=np.float64))


def colourfulness(planes: Planes) -> float:
    """Hasler and Suesstrunk, "Measuring colourfulness in natural images", 2003, eq. 3, of (3, h, w) RGB."""
    red, green, blue = planes.reshape(3, -1).astype(np.int16)
    rg_mean, rg_variance = _spread(red - green)
    yb_mean, yb_variance = _spread(red + green - 2 * blue)  # twice the paper's, to stay whole
    return math.sqrt(rg_variance + yb_variance / 4) + 0.3 * math.hypot(rg_mean, yb_mean / 2)


def border_share(luma: Gray) -> float:
    """Share of the area of (h, w) luma in the rows and columns at its four edges that are near-uniform."""
    height, width = luma.shape
    top, bottom = _uniform_ends(luma)
    # Letterbox bars must not stand in the way of finding pillarbox bars.
    inner = luma[top : height - bottom]
    left, right = _uniform_ends(inner.T) if inner.size else (width, 0)
    inside: int = (height - top - bottom) * (width - left - right)
    return 1.0 - inside / float(height * width)


def _uniform_ends(lines: Gray) -> tuple[int, int]:
    """How many of the (n, pixels) lines at the start and at the end are near-uniform and of one luma."""
    if all(_deviates(lines[end]) for end in (0, -1)):
        return 0, 0  # the usual photograph
    whole = lines.astype(np.int32)
    means = whole.sum(axis=1) / lines.shape[1]
    whole *= whole
    flat = whole.sum(axis=1) / lines.shape[1] - means * means < BORDER_DEVIATION**2
    first, last = (flat & (np.abs(means - means[end]) < BORDER_STEP) for end in (0, -1))
    if first.all():
        return len(lines), 0
    start = int(np.argmin(first))
    end = len(lines) if last.all() else int(np.argmin(last[::-1]))
    return start, min(end, len(lines) - start)  # where luma drifts slowly, the two runs could overlap


def _deviates(line: Gray) -> bool:
    # A range as wide as this makes the deviation, whatever lies between.
    wide = 2 * BORDER_DEVIATION * math.sqrt(line.size / 2)
    return int(line.max()) - int(line.min()) > wide or _spread(line)[1] >= BORDER_DEVIATION**2


def _spread(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """(mean, variance) of whole numbers: their sums are exact in float64, in whatever order they are added."""
    flat = values.ravel().astype(np.float64)
    mean = float(flat.sum()) / flat.size
    return mean, max(0.0, float(np.dot(flat, flat)) / flat.size - mean * mean)


EXTRACTOR = Extractor("pixels", "1", "one row per image: signals from its pixels at the working size", COLUMNS, measure)
