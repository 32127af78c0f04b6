"""The arrays that visual checks look at, and OpenCV held to one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image

Gray = npt.NDArray[np.uint8]  # (height, width)
Colour = npt.NDArray[np.uint8]  # (height, width, 3), RGB
Mask = npt.NDArray[np.bool_]  # (height, width)
Floats = npt.NDArray[np.float32]

#: x, y, width, height in pixels.
Box = tuple[int, int, int, int]


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV on one thread within, and as it was after.

    Workers share the cores, and OpenCV gathers what its threads find in the order that they end in. Its count of
    threads is one for the whole process: hold this around a batch, not at import.
    """
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def reduced(image: Image.Image, longest: int) -> Image.Image:
    """The picture with its longer side at most `longest` pixels, by means of areas; never enlarged."""
    scale = longest / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)


def luma(image: Image.Image) -> Gray:
    """(height, width) luma 0-255, ITU-R 601-2."""
    return np.asarray(image.convert("L"))
