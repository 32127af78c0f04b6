"""What is known of an image before anybody describes it: captions as delivered, text as read, signals as measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annotate.schema import Box


@dataclass(frozen=True)
class ReadLine:
    """A line of text that OCR read: its box in thousandths of the picture, and the engine's confidence, 0 to 1."""

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True)
class KnownCaption:
    """A caption that came with the image. `lang` as in the table `captions`."""

    kind: str
    text: str
    lang: str


@dataclass(frozen=True)
class Facts:
    """All of it. A None says that nobody measured it, which is not the same as none."""

    image_id: str
    captions: tuple[KnownCaption, ...] = ()
    text: tuple[ReadLine, ...] | None = None
    qr_codes: int | None = None
    barcodes: int | None = None
    faces: int | None = None
    watermark: bool | None = None
    mosaic: bool | None = None
    border: bool | None = None
    pseudo_text: bool | None = None
    synthetic: bool = False


def thousandths(quad: Sequence[float], width: int, height: int) -> Box:
    """The upright box around a quadrilateral, given as x, y, x, y ... in pixels of a `width` x `height` picture."""

    def share(value: float, whole: int) -> int:
        return min(1000, max(0, round(1000 * value / max(1, whole))))

    across, down = quad[0::2], quad[1::2]
    return Box(
        left=share(min(across), width),
        top=share(min(down), height),
        right=share(max(across), width),
        bottom=share(max(down), height),
    )
