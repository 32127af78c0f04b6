"""What the first bytes say: which format, how many pixels. Nothing here decodes, and file names are never looked at."""

from __future__ import annotations

import struct
import zlib

from pipelines.reasons import Reason, UnreadableError

#: Media type of each format that is read. HEIF needs the `heif` extra.
MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "avif": "image/avif",
    "heif": "image/heic",
}

_STARTS = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

#: Formats that are known by sight and left alone, so that the error can name them.
_OTHERS = (
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "icon"),
    (b"\0\0\2\0", "cursor or TGA"),
    (b"icns", "Apple icon"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000 codestream"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"DDS ", "DirectDraw surface"),
    (b"\x01\xda", "SGI"),
    (b"BLP1", "Blizzard texture"),
    (b"BLP2", "Blizzard texture"),
    (b"qoif", "QOI"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"/* XPM */", "XPM"),
    (b"#define ", "XBM"),
    (b"SIMPLE", "FITS"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML or SVG"),
    (b"<!DOCTYPE", "HTML"),
    (b"<!doctype", "HTML"),
    (b"<html", "HTML"),
    (b"PK\3\4", "ZIP"),
    (b"\x1f\x8b", "gzip"),
)

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


def sniff(data: bytes) -> str:
    """Format of an image by its content: a key of MEDIA_TYPES.

    Raises UnreadableError: EMPTY, UNSUPPORTED (a format known by sight that is not read) or UNIDENTIFIED.
    """
    if not data:
        raise UnreadableError(Reason.EMPTY, "no bytes")
    head = bytes(data[:64])
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        size = int.from_bytes(head[:4], "big")
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(size, 64), 4))}
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIF_BRANDS:
            return "heif"
        raise UnreadableError(Reason.UNSUPPORTED, f"ISO media file of brand {head[8:12].decode('latin1')!r}")
    for start, name in _OTHERS:
        if head.lstrip().startswith(start):
            raise UnreadableError(Reason.UNSUPPORTED, f"{name} is not read")
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        raise UnreadableError(Reason.UNSUPPORTED, "portable bitmap (PBM, PGM, PPM) is not read")
    raise UnreadableError(Reason.UNIDENTIFIED, f"no image format starts with {head[:8].hex(' ')}")


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from a WebP's first chunk or None: its decoder sets up a whole canvas already on opening."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    return None


def exif_orientation(exif: bytes | None) -> int:
    """Orientation 1-8 of an EXIF block (TIFF 6.0, tag 0x0112); 1 where the block has none or is broken."""
    if not exif:
        return 1
    block = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", block, start)
    for at in range(start + 2, min(start + 2 + 12 * entries, len(block) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", block, at)
        if tag == 0x0112:
            value = struct.unpack_from(f"{order}{'I' if kind == 4 else 'H'}", block, at + 8)[0]
            return value if kind in (3, 4) and count == 1 and 1 <= value <= 8 else 1
    return 1


def png_exif(data: bytes) -> bytes | None:
    """The eXIf chunk of a PNG, wherever it stands (behind the pixels, too), if its checksum is right."""
    at = data.find(b"eXIf", 8)
    while at >= 12:
        length = int.from_bytes(data[at - 4 : at], "big")
        body = data[at : at + 4 + length]
        if len(body) == 4 + length and zlib.crc32(body).to_bytes(4, "big") == data[at + 4 + length : at + 8 + length]:
            return body[4:]
        at = data.find(b"eXIf", at + 4)
    return None


def avif_bits(data: bytes) -> int:
    """Bits per channel from an AVIF's av1C box (AV1 in ISOBMFF 2.3.3); 8 where there is none."""
    at = data.find(b"av1C", 0, 65536)
    if at < 0 or at + 7 > len(data):
        return 8
    flags = data[at + 6]
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
