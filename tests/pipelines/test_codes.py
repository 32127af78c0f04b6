"""Codes: pasted on photographs, from zxing-cpp's own test pictures, and where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from coded_pictures import CONTENTS, photographs, with_code
from pictures import encoded, photo
from PIL import Image

from pipelines.decode import decode_full
from pipelines.extractors.base import Sample
from pipelines.extractors.codes import COLUMNS, EXTRACTOR, Code, area, find_codes, measure, row
from pipelines.header import read_header

zxingcpp = pytest.importorskip("zxingcpp")


def sample(image: Image.Image) -> Sample:
    data = encoded(image, "PNG")
    return Sample("0" * 32, data, read_header(data), image=image)


def drawn(kind: str, text: str, scale: int = 4) -> Image.Image:
    barcode = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    return Image.fromarray(np.asarray(barcode.to_image(scale=scale, add_quiet_zones=True))).convert("RGB")


def test_a_code_on_a_photograph_is_read_where_it_lies() -> None:
    image = photo(900, 700)
    code = drawn("QRCode", "https://example.org/数据")
    image.paste(code, (500, 300))
    (found,) = measure([sample(image)])
    assert set(found) == {c.name for c in COLUMNS}
    assert (found["code_count"], found["qr_codes"], found["other_matrix_codes"], found["barcodes"]) == (1, 1, 0, 0)
    (entry,) = found["codes"]  # type: ignore[misc]
    assert (entry["format"], entry["text"]) == ("QRCode", "https://example.org/数据")
    quiet = 4 * 4  # the quiet zone: 4 modules of 4 pixels
    left, top = 500 + quiet, 300 + quiet
    right, bottom = 500 + code.width - quiet, 300 + code.height - quiet
    assert entry["quad"] == pytest.approx([left, top, right, top, right, bottom, left, bottom], abs=4)
    assert found["code_area_share"] == pytest.approx((code.width - 2 * quiet) ** 2 / (900 * 700), rel=0.06)


def test_corners_of_reduced_enlarged_and_tilted_views_are_those_of_the_picture() -> None:
    code = drawn("QRCode", "corner", 12)
    large = photo(3600, 1200)
    large.paste(code, (3000, 500))
    (found,) = find_codes(large)
    assert found.quad[0] == pytest.approx(3000 + 48, abs=8)
    assert found.quad[1] == pytest.approx(500 + 48, abs=8)
    bars = drawn("Code128", "TILTED-BARS-128", 2)
    ground = Image.new("RGB", (700, 500), "white")
    turned = bars.rotate(13, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    ground.paste(turned, (150, 120))
    (found,) = find_codes(ground)
    centre = np.array(found.quad).reshape(4, 2).mean(axis=0)
    assert centre == pytest.approx([150 + turned.width / 2, 120 + turned.height / 2], abs=25)


def test_a_damaged_qr_code_counts_without_text() -> None:
    code = drawn("QRCode", "a longer text, so that there is something to lose: " + "x" * 60, 5)
    pixels = np.array(code)
    side = pixels.shape[0]
    pixels[side * 4 // 10 : side * 8 // 10, side * 4 // 10 : side * 8 // 10] = 255  # beyond its error correction
    found = find_codes(Image.fromarray(pixels))
    assert [(c.kind, c.text) for c in found] == [("qr", "")]


@pytest.mark.parametrize("text", ["1", "123456"])
def test_short_bars_without_a_checksum_are_not_believed(text: str) -> None:
    kind = "Code39" if len(text) == 1 else "ITF"
    assert zxingcpp.read_barcodes(np.asarray(drawn(kind, text)))
    assert find_codes(drawn(kind, text)) == []


def test_row_counts_kinds_and_never_covers_more_than_the_picture() -> None:
    whole = (0.0, 0.0, 100.0, 0.0, 100.0, 50.0, 0.0, 50.0)
    found = row([Code("qr", "QRCode", "", whole), Code("bars", "EAN13", "4006381333931", whole)], (100, 50))
    assert (found["code_count"], found["qr_codes"], found["barcodes"], found["code_area_share"]) == (2, 1, 1, 1.0)
    assert area(whole) == 5000
    EXTRACTOR.table.from_rows([{**found, "image_id": "0" * 32, "version": "1", "status": "ok", "error": None}])


def test_codes_put_on_photographs_are_found_and_nothing_else(shared_data: Path) -> None:
    """The whole measurement is bench/abnormal.py; here every eighth photograph."""
    found = missed = wrong = 0
    for i, (_, image) in enumerate(photographs(shared_data / "photos_captioned" / "images")):
        if i % 8:
            continue
        coded, _ = with_code(image, i // 8)
        found, missed = (found + 1, missed) if find_codes(coded) else (found, missed + 1)
        wrong += bool(find_codes(image))
    assert found + missed >= len(CONTENTS)
    assert found / (found + missed) >= 0.95
    assert found / (found + wrong) >= 0.99


def test_zxing_test_pictures(shared_data: Path) -> None:
    folder = shared_data / "filters_gt" / "qr_codes"
    right = there = wrong = 0
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        data = (folder / item["file"]).read_bytes()
        found = bool(find_codes(decode_full(data, read_header(data))))
        there, right, wrong = (
            there + item["has_code"],
            right + (found and item["has_code"]),
            wrong + (found and not item["has_code"]),
        )
    assert there == 61
    assert right / there >= 0.95
    assert right / (right + wrong) >= 0.99
