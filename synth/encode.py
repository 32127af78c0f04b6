"""A drawn picture to bytes: the same picture gives the same bytes."""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from warehouse.errors import LakeError

QUALITY = 92


def encode(image: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """JPEG of (h, w, 3) RGB. Colours are kept at full resolution: halved, they bleed out of thin coloured strokes."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="444", fastdct=False
    )
    return data


def png(image: NDArray[np.uint8]) -> bytes:
    """PNG of (h, w, 3) RGB, little compressed: what is to stay as it is to the pixel, edit pairs say."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise LakeError(f"a picture of {image.shape[1]}x{image.shape[0]} pixels could not be written as PNG")
    return bytes(data)
