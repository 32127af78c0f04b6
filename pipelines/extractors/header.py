"""Signals from the header: format, size, orientation, compression. No pixel is decoded."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipelines.extractors.base import Extractor, Sample
from pipelines.sniff import MEDIA_TYPES
from warehouse.schema import STRING, Column

#: File suffix for each media type.
SUFFIXES = {
    media: {"jpeg": "jpg", "tiff": "tif", "heif": "heic"}.get(name, name) for name, media in MEDIA_TYPES.items()
}

COLUMNS = (
    Column("media_type", STRING, "media type by content: image/jpeg ..."),
    Column("format", STRING, "format by content: jpeg | png | webp | gif | bmp | tiff | avif | heif"),
    Column("width", pa.int32(), "pixels, upright (after EXIF orientation)"),
    Column("height", pa.int32(), "pixels, upright (after EXIF orientation)"),
    Column("exif_orientation", pa.int8(), "EXIF orientation 1-8; 1 where the file has none or a broken one"),
    Column("rotation_deg", pa.int16(), "clockwise degrees that bring the stored picture upright: 0 | 90 | 180 | 270"),
    Column("mirrored", pa.bool_(), "the stored picture is mirrored (before turning)"),
    Column("byte_size", pa.int64(), "bytes of the file"),
    Column("mode", STRING, "pixel type as Pillow names it: L, RGB, RGBA, CMYK, P, I;16 ..."),
    Column("has_alpha", pa.bool_(), "it has an alpha channel or a transparent colour"),
    Column("bit_depth", pa.int16(), "bits per channel; per palette index where there is a palette"),
    Column("frames", pa.int32(), "frames or pages; NULL where they cannot be counted"),
    Column("progressive", pa.bool_(), "progressive JPEG or interlaced PNG or GIF"),
    Column("jpeg_quality", pa.int16(), "IJG quality 1-100 nearest to the quantisation tables; NULL for other formats"),
    Column("chroma_subsampling", STRING, "4:4:4 | 4:2:2 | 4:2:0 | ... | other; NULL where there is no chroma to tell"),
    Column("bits_per_pixel", pa.float32(), "bits of the file per pixel of its first frame"),
)


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    return [
        {
            "media_type": h.media_type,
            "format": h.format,
            "width": h.width,
            "height": h.height,
            "exif_orientation": h.orientation,
            "rotation_deg": h.rotation_deg,
            "mirrored": h.mirrored,
            "byte_size": h.byte_size,
            "mode": h.mode,
            "has_alpha": h.has_alpha,
            "bit_depth": h.bit_depth,
            "frames": h.frames,
            "progressive": h.progressive,
            "jpeg_quality": h.jpeg_quality,
            "chroma_subsampling": h.chroma_subsampling,
            "bits_per_pixel": h.bits_per_pixel,
        }
        for h in (sample.header for sample in batch)
    ]


EXTRACTOR = Extractor("header", "1", "one row per image: what its header says", COLUMNS, measure, needs="header")
