"""Signals of the pixels as they were delivered: sharpness, JPEG's blocks, detail that enlarging leaves out.

Scan measures sharpness at a common small size, where a picture that was enlarged or compressed too far looks like any
other. Here nothing is resized: the centre of the picture is looked at as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from pipelines.decode import Gray
from pipelines.extractors.base import Extractor, Sample
from pipelines.extractors.pixels import laplacian_variance
from warehouse.schema import Column

F32 = pa.float32()

COLUMNS = (
    Column("sharpness_native", F32, "variance of the 3x3 Laplacian of luma, centre 512x512 at native size; 0 is flat"),
    Column("blockiness", F32, "steps of luma on the 8-pixel grid over those off it, less 1, centre 1024x1024; 0 none"),
    Column(
        "high_frequency_share",
        F32,
        "share of luma's spectral energy above half the Nyquist frequency in that above a sixteenth, centre 512x512, "
        "0 to 1; an enlarged picture has next to none",
    ),
)

SHARPNESS_SIDE, BLOCKS_SIDE = 512, 1024
#: Parts of the Nyquist frequency: below the first is light and shade, above the second what enlarging cannot make.
LOWEST, HALF = 1 / 16, 1 / 2


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    return [row(sample.full) for sample in batch]


def row(image: Image.Image) -> dict[str, object]:
    """The columns of an upright RGB picture."""
    small = centre(image, SHARPNESS_SIDE)
    return {
        "sharpness_native": round(laplacian_variance(small), 4),
        "blockiness": round(blockiness(centre(image, BLOCKS_SIDE)), 4),
        "high_frequency_share": round(high_frequency_share(small), 4),
    }


def centre(image: Image.Image, side: int) -> Gray:
    """Luma of the middle of the picture, at most (side, side) pixels; all of it where it is smaller."""
    width, height = min(side, image.width), min(side, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)).convert("L"))


def blockiness(luma: Gray) -> float:
    """How much larger steps are on the best phase of an 8-pixel grid than on the median phase, mean of both directions.

    The idea of Wang, Sheikh and Bovik 2002 ("No-reference perceptual quality assessment of JPEG compressed images"),
    with the phase left open, as a picture may have been cropped since. 0 where there is nothing of the kind; one level
    is added to both sides, so that a flat picture has none.
    """
    return max(0.0, (_grid(luma) + _grid(luma.T)) / 2)


def _grid(luma: Gray) -> float:
    if min(luma.shape) < 17:
        return 0.0
    steps = np.abs(np.diff(luma.astype(np.int16), axis=1)).sum(axis=0, dtype=np.int64)
    columns = len(steps) // 8 * 8
    phases = np.sort(steps[:columns].reshape(-1, 8).sum(axis=0)) / (columns / 8 * luma.shape[0])
    return float((phases[-1] + 1) / ((phases[3] + phases[4]) / 2 + 1) - 1)


def high_frequency_share(luma: Gray) -> float:
    """Share of the energy of (h, w) luma above half Nyquist in that above a sixteenth, by a Hann-windowed spectrum."""
    height, width = luma.shape
    if min(luma.shape) < 32:
        return 0.0
    level = luma.astype(np.float64) - luma.mean(dtype=np.float64)
    level *= np.outer(np.hanning(height), np.hanning(width))
    energy: npt.NDArray[np.float64] = np.abs(np.fft.rfft2(level)) ** 2
    # In parts of the Nyquist frequency, half a cycle per pixel; the larger of the two tells, as pixels are square.
    frequency = np.maximum(np.abs(np.fft.fftfreq(height))[:, None], np.fft.rfftfreq(width)[None, :]) / 0.5
    total = float(energy[frequency > LOWEST].sum())
    return float(energy[frequency > HALF].sum()) / total if total > 1e-6 * height * width else 0.0


EXTRACTOR = Extractor("native", "1", "one row per image: its pixels as delivered", COLUMNS, measure, needs="image")
