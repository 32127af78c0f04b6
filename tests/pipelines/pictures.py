"""Pictures and broken files that several tests draw."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

#: How a picture must be stored so that each EXIF orientation brings it upright.
STORE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photo(width: int = 600, height: int = 400, seed: int = 0) -> Image.Image:
    """Something like a photograph: shapes of every size before one another ("dead leaves"), shading, fine grain."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), (90, 110, 140))
    draw = ImageDraw.Draw(image)
    for i in range(400):
        radius = max(width, height) * 0.25 / (1 + i / 8)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        colour = tuple(int(v) for v in rng.integers(10, 246, 3))
        shape = draw.ellipse if i % 2 else draw.rectangle
        shape((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=colour)
    shade = 0.75 + 0.5 * np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    grain = rng.normal(0, 3, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) * shade + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def stored_as(image: Image.Image, orientation: int, kind: str = "JPEG", **options: object) -> bytes:
    """The upright `image` stored turned, with the EXIF orientation that brings it upright."""
    how = STORE[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image if how is None else image.transpose(how), kind, exif=exif.tobytes(), **options)


def png(width: int, height: int, *, depth: int = 1, colour: int = 0, rows: bytes | None = None) -> bytes:
    """A PNG made by hand; its pixels are zeros unless given."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    if rows is None:
        packer, line = zlib.compressobj(9), bytes(1 + (width * depth + 7) // 8)
        body = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    else:
        body = zlib.compress(rows)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
