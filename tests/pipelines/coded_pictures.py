"""Photographs with QR and bar codes put on them, as a camera, a designer and a JPEG encoder leave them."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageFilter

#: Format and what is written in it.
CONTENTS = (
    ("QRCode", "https://example.org/menu?table=12"),
    ("QRCode", "WIFI:T:WPA;S:guest;P:welcome;;"),
    ("QRCode", "数据清洗流水线"),
    ("MicroQRCode", "SN8886233"),
    ("DataMatrix", "Lot 2026-11 / 0042"),
    ("Aztec", "BOARDING PASS K7P2QX"),
    ("PDF417", "Parcel 00340434161094021501"),
    ("EAN13", "4006381333931"),
    ("EAN8", "96385074"),
    ("UPCA", "036000291452"),
    ("Code128", "GLYPH-2026-1121"),
    ("Code39", "PART 4711-A"),
    ("ITF", "15400141288763"),
)


def with_code(photo: Image.Image, seed: int) -> tuple[Image.Image, str]:
    """The photograph, at most 800 pixels wide, with one code of a size, angle and contrast of its own; and its format.

    Modules of 2.2 to 6 pixels, any angle for a matrix code and up to 12 degrees for bars, contrast from half to full,
    soft focus up to 0.6 modules, JPEG quality 40 to 95.
    """
    import zxingcpp

    pick = random.Random(seed)
    kind, text = CONTENTS[seed % len(CONTENTS)]
    image = photo.convert("RGB")
    image.thumbnail((800, 800))
    module = pick.uniform(2.2, 6.0)
    barcode = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    code = Image.fromarray(barcode.to_image(scale=8)).convert("L")
    # No more than half of the picture, and no finer than two pixels a module.
    module = max(2.0, min(module, 0.5 * min(image.size) / (max(code.size) / 8)))
    side = [max(8, round(length * module / 8)) for length in code.size]
    code = code.resize((side[0], side[1]), Image.Resampling.LANCZOS)
    dark = pick.uniform(0, 70)
    light = dark + pick.uniform(125, 255 - dark)
    code = code.point([round(dark + (light - dark) * level / 255) for level in range(256)])
    turn = pick.uniform(0, 360) if kind in ("QRCode", "MicroQRCode", "DataMatrix", "Aztec") else pick.uniform(-12, 12)
    mask = Image.new("L", code.size, 255).rotate(turn, Image.Resampling.BICUBIC, expand=True)
    code = code.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    at = (pick.randint(0, max(0, image.width - code.width)), pick.randint(0, max(0, image.height - code.height)))
    image.paste(code.convert("RGB"), at, mask)
    image = image.filter(ImageFilter.GaussianBlur(pick.uniform(0, 0.6) * math.sqrt(module / 3)))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=pick.randint(40, 95))
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB"), kind


def photographs(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    """(file name, picture) of each photograph in `folder`, by name."""
    for path in sorted(folder.glob("*.jpg")):
        yield path.name, Image.open(path).convert("RGB")
