"""What a file says of its picture before a pixel is decoded: format, size, orientation, compression; the bomb guard."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from pipelines.reasons import FAULTS, Reason, UnreadableError, unreadable
from pipelines.sniff import MEDIA_TYPES, avif_bits, exif_orientation, png_exif, sniff, webp_size

#: Pixels that a header may promise. The same limit as Pillow's hard one: some 4 bytes a pixel are needed to decode.
MAX_PIXELS = 178_956_970

#: Clockwise degrees and mirroring that bring a picture stored with each EXIF orientation upright: mirror, then turn.
TURNS = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}


@dataclass(frozen=True)
class Header:
    """What the header says. `width` and `height` are upright (after EXIF), `stored` is the size in the file."""

    format: str
    media_type: str
    width: int
    height: int
    stored: tuple[int, int]
    orientation: int
    byte_size: int
    mode: str
    has_alpha: bool
    bit_depth: int
    frames: int | None
    progressive: bool
    jpeg_quality: int | None
    chroma_subsampling: str | None

    @property
    def rotation_deg(self) -> int:
        return TURNS[self.orientation][0]

    @property
    def mirrored(self) -> bool:
        return TURNS[self.orientation][1]

    @property
    def bits_per_pixel(self) -> float:
        return 8 * self.byte_size / (self.width * self.height)


def read_header(data: bytes) -> Header:
    """The header of an image file, without decoding it: well under a millisecond, memory flat whatever size it claims.

    Raises UnreadableError: EMPTY, UNIDENTIFIED, UNSUPPORTED, BOMB, TRUNCATED, CORRUPT.
    """
    kind = sniff(data)
    image = open_image(data, kind)
    width, height = image.size
    jpeg = image if isinstance(image, JpegImageFile) else None
    # Pillow already turns the size of a TIFF, and its pixels on loading; the size in the file is the other way round.
    tiff = kind == "tiff"
    orientation = _orientation(image, data, kind)
    turned = orientation >= 5
    return Header(
        format=kind,
        media_type=MEDIA_TYPES[kind],
        width=height if turned and not tiff else width,
        height=width if turned and not tiff else height,
        stored=(height, width) if turned and tiff else (width, height),
        orientation=orientation,
        byte_size=len(data),
        mode=image.mode,
        has_alpha=image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info,
        bit_depth=_bit_depth(image, data, kind),
        frames=_frames(image),
        progressive=bool(image.info.get("progressive") or image.info.get("interlace")),
        jpeg_quality=jpeg_quality(jpeg.quantization) if jpeg else None,
        chroma_subsampling=_subsampling(jpeg.layer) if jpeg else None,
    )


def open_image(data: bytes, kind: str) -> ImageFile:
    """Pillow's lazy image of `data`, opened by the plugin of `kind` alone, its size past the guard."""
    if kind == "webp" and (size := webp_size(data)):
        _guard(*size)
    try:
        image = _open_heif(data) if kind == "heif" else Image.open(io.BytesIO(data), formats=[kind.upper()])
    except Image.DecompressionBombError as error:
        raise UnreadableError(Reason.BOMB, str(error)) from error
    except UnidentifiedImageError as error:
        if kind == "webp" and int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise UnreadableError(Reason.TRUNCATED, "the file is shorter than its header says") from error
        raise UnreadableError(Reason.CORRUPT, f"starts like {kind.upper()}, its header cannot be read") from error
    except (*FAULTS, MemoryError) as error:
        raise unreadable(error, f"opening {kind.upper()}") from error
    _guard(*image.size)
    return image


def _guard(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnreadableError(Reason.CORRUPT, f"a picture of {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise UnreadableError(Reason.BOMB, f"{width} x {height} pixels are more than {MAX_PIXELS}")


def _open_heif(data: bytes) -> ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnreadableError(Reason.UNSUPPORTED, "HEIC needs the heif extra: pip install 'glyphmill[heif]'") from error
    image: ImageFile = HeifImageFile(io.BytesIO(data))
    return image


def _orientation(image: ImageFile, data: bytes, kind: str) -> int:
    if kind == "tiff":
        value = image.tag_v2.get(0x0112, 1)  # type: ignore[attr-defined]
        return value if value in TURNS else 1
    exif = image.info.get("exif")
    if kind == "png" and not exif:
        exif = png_exif(data)
    return exif_orientation(exif)


def _bit_depth(image: ImageFile, data: bytes, kind: str) -> int:
    if kind == "png":
        return data[24]
    if kind == "avif":
        return avif_bits(data)
    if kind == "tiff":
        bits = image.tag_v2.get(0x0102, (1,))  # type: ignore[attr-defined]
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    return {"1": 1, "I;16": 16, "I": 32, "F": 32}.get(image.mode, 8)


def _frames(image: ImageFile) -> int | None:
    try:
        return int(getattr(image, "n_frames", 1))
    except FAULTS:
        return None  # a later frame is broken; the first one, which is all we look at, may be fine


def _subsampling(layers: list[tuple[int, int, int, int]]) -> str | None:
    if len(layers) != 3:
        return None
    (_, h, v, _), (_, hb, vb, _), (_, hr, vr, _) = layers
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}
    if (hb, vb) != (hr, vr) or h % hb or v % vb:
        return "other"
    return names.get((h // hb, v // vb), "other")


# Tables K.1 and K.2 of ITU-T T.81, the base of the IJG quality scale.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
)  # fmt: skip


def _ijg_tables() -> npt.NDArray[np.int16]:
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    base = np.array([_LUMA, _CHROMA])
    tables: npt.NDArray[np.int16] = np.clip((base * scale[:, None, None] + 50) // 100, 1, 255).astype(np.int16)
    return tables


_IJG = _ijg_tables()


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """IJG quality 1-100 whose quantisation tables lie nearest (sum of absolute differences) to the file's.

    Exact for files of libjpeg and its kin; for encoders with tables of their own, the quality of like strength.
    """
    return _nearest_quality(tuple(tuple(tables[i]) for i in sorted(tables)[:2]))


@lru_cache(maxsize=1024)
def _nearest_quality(tables: tuple[tuple[int, ...], ...]) -> int | None:
    if not tables or any(len(table) != 64 for table in tables):
        return None
    distance = np.abs(_IJG[:, : len(tables)] - np.array(tables)).sum(axis=(1, 2))
    # Of equals the higher: at 100 several tables coincide.
    return int(100 - np.argmin(distance[::-1]))
