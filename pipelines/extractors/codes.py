"""QR codes, other matrix codes and bar codes, read by zxing-cpp.

A QR code that was located but cannot be read (stained, curved, too small) counts as well: its finder patterns are three
nested squares in a known place, which no photograph or page that this was tried on shows by chance. Every other kind
counts only where its checksums hold, for bars and dark corners are everywhere. Kinds that carry no checksum at all are
left out or must be long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from pipelines.extractors.base import Extractor, Sample
from warehouse.schema import STRING, Column

if TYPE_CHECKING:
    import zxingcpp

Quad = tuple[float, float, float, float, float, float, float, float]

_CODE = pa.struct([("format", STRING), ("text", STRING), ("quad", pa.list_(pa.float32()))])

COLUMNS = (
    Column("code_count", pa.int32(), "machine-readable codes: qr_codes + other_matrix_codes + barcodes"),
    Column("qr_codes", pa.int32(), "QR codes (QR, Micro QR, rMQR), those too damaged to read included"),
    Column("other_matrix_codes", pa.int32(), "Data Matrix, Aztec, PDF417 and MaxiCode codes"),
    Column("barcodes", pa.int32(), "bar codes (EAN, UPC, Code 128, Code 39, Code 93, ITF, DataBar)"),
    Column(
        "code_area_share", pa.float32(), "area of the codes over the picture's, 0 to 1; of bars the band that was read"
    ),
    Column(
        "codes",
        pa.list_(_CODE),
        "each code: format; text, empty where it was found but not read; quad, its corners as x, y of the upright "
        "picture in pixels, clockwise from the code's own top left",
    ),
)

#: Larger pictures are reduced to this many pixels on the longer side, smaller ones are also tried at twice their size.
LONGEST = 2400
ENLARGE_BELOW = 1200
#: The tilted views: degrees and size.
TILT = 10.0
TILTED_SCALE = 1.5
QR = ("QRCode", "QRCodeModel1", "QRCodeModel2", "MicroQRCode", "RMQRCode")
OTHER_MATRIX = ("DataMatrix", "Aztec", "PDF417", "MaxiCode")
BARS = ("EAN13", "EAN8", "UPCA", "UPCE", "Code128", "Code93", "DataBar", "DataBarExp", "DataBarLtd")
#: Bar codes without a checksum (or with one that few use), and how many characters make them believable.
WEAK_BARS = {"Code39": 5, "ITF": 8}
FORMATS = (*QR, *OTHER_MATRIX, *BARS, *WEAK_BARS)


@dataclass(frozen=True)
class Code:
    """A code in a picture. `kind` is qr, matrix or bars; `quad` as in the column `codes`."""

    kind: str
    format: str
    text: str
    quad: Quad


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    return [row(find_codes(sample.full), sample.full.size) for sample in batch]


def row(codes: Sequence[Code], size: tuple[int, int]) -> dict[str, object]:
    """The columns of a picture of that (width, height) with these codes."""
    kinds = [code.kind for code in codes]
    share = sum(area(code.quad) for code in codes) / (size[0] * size[1])
    return {
        "code_count": len(codes),
        "qr_codes": kinds.count("qr"),
        "other_matrix_codes": kinds.count("matrix"),
        "barcodes": kinds.count("bars"),
        "code_area_share": round(min(1.0, share), 4),
        "codes": [{"format": code.format, "text": code.text, "quad": list(code.quad)} for code in codes],
    }


def find_codes(image: Image.Image) -> list[Code]:
    """The codes in an upright picture, from top to bottom.

    Views are tried until one shows a code: thresholds by neighbourhood, one threshold for all (stains and dotted
    modules), twice the size (modules of less than two pixels), and turned by a little either way, for bars alone: the
    reader follows rows and columns of pixels, which cross narrow bars at a slant.
    """
    import zxingcpp

    gray = image.convert("L")
    scale = min(1.0, LONGEST / max(gray.size))
    if scale < 1:
        gray = _scaled(gray, scale, Image.Resampling.BOX)
    local, whole = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
    found = _read(gray, local, scale) or _read(gray, whole, scale)
    if found or max(gray.size) > ENLARGE_BELOW:
        return found
    found = _read(_scaled(gray, 2, Image.Resampling.BICUBIC), local, 2 * scale)
    if not found:
        larger = _scaled(gray, TILTED_SCALE, Image.Resampling.BICUBIC)
        found = _read_tilted(larger, TILT, scale * TILTED_SCALE) or _read_tilted(larger, -TILT, scale * TILTED_SCALE)
    return found


def area(quad: Quad) -> float:
    """Area of a quadrilateral x1, y1, ... x4, y4: the shoelace formula."""
    xs, ys = quad[0::2], quad[1::2]
    return abs(sum(xs[i] * ys[(i + 1) % 4] - xs[(i + 1) % 4] * ys[i] for i in range(4))) / 2


def _scaled(gray: Image.Image, scale: float, how: Image.Resampling) -> Image.Image:
    return gray.resize((max(1, round(gray.width * scale)), max(1, round(gray.height * scale))), how)


def _read(
    gray: Image.Image, binarizer: zxingcpp.Binarizer, scale: float, formats: Sequence[str] = FORMATS
) -> list[Code]:
    import zxingcpp

    wanted = [getattr(zxingcpp.BarcodeFormat, name) for name in formats]
    read = zxingcpp.read_barcodes(
        gray, formats=zxingcpp.BarcodeFormats(wanted), binarizer=binarizer, return_errors=True
    )
    codes = [code for code in (_code(barcode, scale) for barcode in read) if code is not None]
    whole = [code for code in codes if code.text]
    # One damaged code is often located several times, once for each guess at its size, or beside its readable self.
    damaged: list[Code] = []
    for code in codes:
        if not code.text and not any(_overlap(code.quad, other.quad) for other in (*whole, *damaged)):
            damaged.append(code)
    return sorted(whole + damaged, key=lambda code: (code.quad[1], code.quad[0], code.text))


def _read_tilted(gray: Image.Image, degrees: float, scale: float) -> list[Code]:
    """The bar codes of the picture turned counter-clockwise, their corners turned back."""
    import zxingcpp

    turned = gray.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    found = _read(turned, zxingcpp.Binarizer.LocalAverage, 1, (*BARS, *WEAK_BARS, "PDF417"))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def back(x: float, y: float) -> tuple[float, float]:
        x, y = x - turned.width / 2, y - turned.height / 2
        x, y = x * cos - y * sin, x * sin + y * cos
        return round((x + gray.width / 2) / scale, 1), round((y + gray.height / 2) / scale, 1)

    return [
        replace(code, quad=_quad([back(*p) for p in zip(code.quad[0::2], code.quad[1::2], strict=True)]))
        for code in found
    ]


def _code(barcode: Any, scale: float) -> Code | None:
    """zxing-cpp's find as ours; None where it is not to be believed."""
    name = barcode.format.name
    kind = "qr" if name in QR else "matrix" if name in OTHER_MATRIX else "bars"
    text = barcode.text if barcode.valid else ""
    if (kind != "qr" and not text) or len(text) < WEAK_BARS.get(name, 0):
        return None
    where = barcode.position
    corners = (where.top_left, where.top_right, where.bottom_right, where.bottom_left)
    return Code(kind, name, text, _quad([(round(p.x / scale, 1), round(p.y / scale, 1)) for p in corners]))


def _quad(corners: Sequence[tuple[float, float]]) -> Quad:
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners
    return x1, y1, x2, y2, x3, y3, x4, y4


def _overlap(a: Quad, b: Quad) -> bool:
    """Whether the upright boxes around two quads meet."""
    return (
        min(a[0::2]) < max(b[0::2])
        and min(b[0::2]) < max(a[0::2])
        and min(a[1::2]) < max(b[1::2])
        and min(b[1::2]) < max(a[1::2])
    )


def missing() -> str | None:
    return None if find_spec("zxingcpp") else "install glyphmill[ocr] (zxing-cpp)"


def version() -> str:
    """zxing-cpp decides what is found, so its release is part of the version of the rows."""
    from importlib.metadata import version as installed

    return f"zxing-cpp {installed('zxing-cpp')}"


EXTRACTOR = Extractor(
    "codes",
    "1",
    "one row per image: its QR and bar codes",
    COLUMNS,
    measure,
    needs="image",
    missing=missing,
    weights=version,
    batch=8,
)
