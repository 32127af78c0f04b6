"""The image as a vision model wants it: sides of whole patches, within a pixel budget, as JPEG."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

JPEG_QUALITY = 92
SMALLEST_PATCH = 28  # pixels


@dataclass(frozen=True)
class Sizing:
    """How large an image is sent. `multiple`: pixels of a patch that becomes one token, 28 for Qwen2.5-VL and 32 for
    Qwen3-VL. `pixels`: most of them in all, so that a picture costs at most pixels / multiple^2 tokens. `longest`: most
    pixels of a side. `least`: a smaller picture is enlarged to that many pixels in all."""

    multiple: int = 32
    pixels: int = 1024 * 1024
    longest: int = 2048
    least: int = 64 * 64

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) to send a picture of this size at: multiples of `multiple` within `pixels` and `longest`, the
        aspect kept as nearly as these allow."""
        scale = min(1.0, self.longest / max(width, height), math.sqrt(self.pixels / (width * height)))
        scale = max(scale, math.sqrt(self.least / (width * height)))
        scale = min(scale, self.longest / max(width, height))
        across, down = (max(1, round(side * scale / self.multiple)) for side in (width, height))
        most = self.longest // self.multiple
        across, down = min(across, most), min(down, most)
        if across * down * self.multiple**2 > self.pixels:  # rounded up, the two together may pass the budget
            across, down = (max(1, int(side * scale / self.multiple)) for side in (width, height))
        while across * down * self.multiple**2 > self.pixels and max(across, down) > 1:
            across, down = (across - 1, down) if across >= down else (across, down - 1)
        return across * self.multiple, down * self.multiple

    def tokens(self, width: int, height: int) -> int:
        """Tokens of an image of that size as sent, with the two that enclose it."""
        return math.ceil(width / self.multiple) * math.ceil(height / self.multiple) + 2

    @property
    def most_tokens(self) -> int:
        """Tokens of the largest image that is ever sent."""
        return self.pixels // self.multiple**2 + 2

    @property
    def most_tokens_anywhere(self) -> int:
        """Tokens of the largest image by the smallest patch in use, for a server whose patch is not known for sure."""
        return self.pixels // SMALLEST_PATCH**2 + 64

    def __str__(self) -> str:
        return f"{self.multiple}/{self.pixels}/{self.longest}/{self.least} q{JPEG_QUALITY}"


#: By model type as transformers names it.
SIZINGS = {"qwen2_5_vl": Sizing(multiple=28), "qwen3_vl": Sizing(multiple=32)}


@dataclass(frozen=True)
class SentImage:
    """An encoded image of (width, height) pixels."""

    data: bytes
    width: int
    height: int

    @cached_property
    def url(self) -> str:
        return f"data:image/jpeg;base64,{base64.b64encode(self.data).decode('ascii')}"

    def decode(self) -> Image.Image:
        return Image.open(io.BytesIO(self.data)).convert("RGB")


def encode(image: Image.Image, sizing: Sizing) -> SentImage:
    """An upright RGB picture as it is sent; colour at full resolution, as thin coloured text needs it."""
    size = sizing.fit(*image.size)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return SentImage(buffer.getvalue(), *size)
