"""What was laid over a picture or done to it: watermark, shapes that look like writing, border, mosaic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from pipelines.extractors.base import Extractor, Sample
from pipelines.visual import borders, mosaic, watermark
from pipelines.visual.views import luma, one_thread
from warehouse.schema import STRING, Column

F32 = pa.float32()

COLUMNS = (
    Column(
        "watermark_score",
        F32,
        f"evidence for a watermark, 0 to 1, from {watermark.SURE} on there is one; NULL where OCR failed",
    ),
    Column(
        "watermark_kind",
        STRING,
        "tiled (all over) | mark (an agency's name, a word as SAMPLE) | corner (owner in small print at the edge) | "
        "overlay (large print that shows the picture through) | none; NULL where OCR failed",
    ),
    Column(
        "pseudo_text_share",
        F32,
        "share of the area in shapes like lines of text, large enough to read, that OCR cannot read; NULL as above",
    ),
    Column("border_kind", STRING, "none | letterbox | pillarbox | frame | side (one or two bars) | blurred_bars"),
    Column("border_width", F32, "the widest bar over the length of the side it narrows, 0 to 1; 0 without a border"),
    Column("mosaic_share", F32, f"share of the area that is pixelated, 0 to 1; below {mosaic.LEAST_SHARE} texture"),
)

#: Unread boxes with smaller characters (pixels) are small print, and boxes larger than this share are texture.
LEGIBLE_PX, TEXTURE_SHARE = 9.0, 0.2


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    with one_thread():
        return [row(sample.full, sample.rows.get("ocr")) for sample in batch]


def row(image: Image.Image, ocr: Mapping[str, Any] | None) -> dict[str, object]:
    """The columns of an upright RGB picture; `ocr` is its row of the extractor `ocr`, None where that one failed."""
    border = borders.find(image)
    pixelated = mosaic.regions(luma(image))
    values: dict[str, object] = {
        "watermark_score": None,
        "watermark_kind": None,
        "pseudo_text_share": None,
        "border_kind": border.kind,
        "border_width": round(max(border.widths), 4),
        "mosaic_share": round(mosaic.share(pixelated, (image.height, image.width)), 4),
    }
    if ocr is not None:
        lines: Sequence[Mapping[str, Any]] = ocr["ocr_lines"] or ()
        found = watermark.judge(image, lines)
        values["watermark_score"], values["watermark_kind"] = found.score, found.kind
        values["pseudo_text_share"] = round(pseudo_text_share(lines, image.size), 4)
    return values


def pseudo_text_share(lines: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> float:
    """Share of a picture of (width, height) pixels in unread boxes that are neither small print nor whole scenes."""
    from annotate.ocr.layout import covered

    area = size[0] * size[1]
    quads = [
        np.array(line["quad"], np.float32).reshape(4, 2)
        for line in lines
        if not line["read"] and line["char_px"] >= LEGIBLE_PX
    ]
    like_text = [quad for quad in quads if covered([quad]) <= TEXTURE_SHARE * area]
    return min(1.0, covered(like_text) / area) if like_text else 0.0


def missing() -> str | None:
    return None if find_spec("cv2") else "install glyphmill[ocr] (opencv-python)"


EXTRACTOR = Extractor(
    "abnormal",
    "2",
    "one row per image: what was laid over it or done to it",
    COLUMNS,
    measure,
    needs="image",
    after=("ocr",),
    missing=missing,
    batch=4,
)
