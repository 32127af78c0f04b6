"""The ocr extractor's row: what it stores of a page's lines, on lines told and on pages drawn."""

from __future__ import annotations

import io
from pathlib import Path

import ocr_pages
import pytest
from PIL import Image

from annotate.ocr.reading import Line
from annotate.ocr.script import script_of
from pipelines.decode import decode_full
from pipelines.extractors.base import Sample
from pipelines.extractors.ocr import EXTRACTOR, measure, row, weighted_median
from pipelines.header import read_header


def line(text: str, box: tuple[float, float, float, float], char_px: float, confidence: float = 0.99) -> Line:
    left, top, right, bottom = box
    quad = (left, top, right, top, right, bottom, left, bottom)
    return Line(text, quad, confidence, script_of(text), char_px)


def sample(image: Image.Image) -> Sample:
    out = io.BytesIO()
    image.save(out, "PNG")
    data = out.getvalue()
    return Sample("0" * 32, data, read_header(data), image=decode_full(data))


def test_columns_of_a_page() -> None:
    lines = [
        line("标题文字", (0, 0, 400, 100), 80),
        line("Small print", (0, 200, 200, 220), 16, 0.8),
        line("~", (300, 300, 340, 340), 40, 0.3),
    ]
    found = row(lines, (512, 512))
    assert found["ocr_text"] == "标题文字\nSmall print"
    assert (found["text_lines"], found["text_chars"], found["unread_lines"]) == (2, 14, 1)
    assert found["text_area_share"] == pytest.approx((40_000 + 4_000) / 512**2, abs=1e-4)
    assert found["unread_area_share"] == pytest.approx(1_600 / 512**2, abs=1e-4)
    assert (found["smallest_char_px"], found["smallest_char_px_full"]) == (8.0, 16)
    assert found["median_char_px"] == 8.0  # ten of fourteen characters
    assert found["text_script"] == "english"
    assert found["english_share"] == pytest.approx(10 / 18, abs=1e-4)
    assert found["ocr_confidence"] == pytest.approx((4 * 0.99 + 10 * 0.8) / 14, abs=1e-4)
    assert EXTRACTOR.table.from_rows([{"image_id": "a", **found}]).num_rows == 1


def test_a_picture_without_text() -> None:
    found = row([], (640, 480))
    assert found["text_script"] == "none"
    assert found["ocr_text"] == ""
    assert [found[name] for name in ("text_lines", "text_chars", "text_area_share", "unread_lines")] == [0, 0, 0, 0]
    missing = ("smallest_char_px", "smallest_char_px_full", "median_char_px", "ocr_confidence")
    assert {name for name, value in found.items() if value is None} == set(missing)
    assert set(found) == {column.name for column in EXTRACTOR.columns}


def test_heights_are_never_enlarged() -> None:
    assert row([line("word", (0, 0, 60, 20), 16)], (100, 100))["smallest_char_px"] == 16


def test_what_lies_under_another_line_covers_once() -> None:
    twice = [line("shadow text", (0, 0, 100, 50), 40), line("shadow text", (0, 0, 100, 50), 40)]
    assert row(twice, (100, 100))["text_area_share"] == 0.5


@pytest.mark.parametrize(
    ("values", "weights", "middle"), [([4, 8], [1, 1], 4), ([8, 4], [3, 1], 8), ([5], [9], 5), ([2, 6], [0, 0], 4)]
)
def test_weighted_median(values: list[float], weights: list[int], middle: float) -> None:
    assert weighted_median(values, weights) == middle


def test_a_row_does_not_depend_on_the_batch() -> None:
    pages = [ocr_pages.page(seed, "mixed", size=(360, 240), most=3).image for seed in range(3)]
    pages.append(Image.new("RGB", (50, 50), "navy"))
    samples = [sample(page) for page in pages]
    together = measure(samples)
    assert measure(samples[::-1]) == together[::-1]
    assert [measure([one])[0] for one in samples] == together


def test_the_version_names_the_networks() -> None:
    assert "det " in EXTRACTOR.weights()
    assert EXTRACTOR.missing() is None


def test_absent_networks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[ocr]\ndetection = "/no/det.onnx"\nrecognition = "/no/rec.onnx"\n')
    monkeypatch.setenv("GLYPHMILL_MODELS", str(file))
    told = EXTRACTOR.missing()
    assert told is not None
    assert "/no/det.onnx" in told
