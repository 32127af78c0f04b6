"""The reader on real networks: any way up, any size, whatever was read before; and what it refuses to call text."""

from __future__ import annotations

import numpy as np
import ocr_pages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from annotate.ocr import reader as ocr
from annotate.ocr.layout import Quad
from annotate.ocr.reading import LOOKS, STEP, Line, PageReader, Pixels, finding_size, is_read


@pytest.fixture(scope="module")
def small_page() -> ocr_pages.DrawnPage:
    return ocr_pages.page(5, "mixed", text_px=24, size=(420, 300), most=5)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_page_is_read_any_way_up(small_page: ocr_pages.DrawnPage, degrees: int) -> None:
    lines = ocr.reader().read(small_page.image.rotate(degrees, expand=True))
    read = "\n".join(line.text for line in lines)
    assert ocr_pages.score(small_page.text, read).accuracy >= 0.95


def test_quads_begin_where_the_text_begins(small_page: ocr_pages.DrawnPage) -> None:
    first = small_page.lines[0]
    for degrees, corner in ((0, (0, 0)), (180, (1, 1))):
        turned = small_page.image.rotate(degrees, expand=True)
        x, y = ocr.reader().read(turned)[0].corners[0]
        wanted = [first.box[0], first.box[1]]
        wanted = [side - p if flip else p for p, side, flip in zip(wanted, turned.size, corner, strict=True)]
        assert (x, y) == pytest.approx(wanted, abs=12)


def test_vertical_chinese_is_read_from_the_right() -> None:
    image = Image.new("RGB", (300, 460), "white")
    pen = ImageDraw.Draw(image)
    font = ocr_pages.load(ocr_pages.chinese_font(), 40)
    for x, column in ((200, "春风又绿江南岸"), (80, "明月何时照我还")):
        for row, character in enumerate(column):
            pen.text((x, 30 + row * 50), character, font=font, fill="black")
    read = "".join(line.text for line in ocr.reader().read(image))
    assert ocr_pages.score("春风又绿江南岸明月何时照我还", read).accuracy >= 0.9


def test_what_was_read_before_changes_nothing(small_page: ocr_pages.DrawnPage) -> None:
    reader = ocr.reader()
    first = reader.read(small_page.image)
    reader.read(ocr_pages.page(1, "english", size=(400, 300), most=3).image)
    reader.read_line(Image.new("RGB", (90, 30), "white"))
    assert reader.read(small_page.image) == first


def test_small_letters_on_a_large_page_are_found_by_the_second_look() -> None:
    drawn = ocr_pages.page(3, "english", text_px=14, size=(2000, 900), most=3)
    read = "\n".join(line.text for line in ocr.reader().read(drawn.image))
    assert ocr_pages.score(drawn.text, read).accuracy >= 0.97


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (40, 40)])
def test_tiny_and_empty_pictures_have_no_lines(size: tuple[int, int]) -> None:
    assert ocr.reader().read(Image.new("RGB", size, "white")) == []


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.sampled_from(LOOKS))
def test_the_detector_sees_no_more_than_it_may(width: int, height: int, most: int) -> None:
    wide, high = finding_size(width, height, most)
    assert wide % STEP == high % STEP == 0
    assert wide >= STEP
    assert high >= STEP
    assert (wide - STEP / 2) * (high - STEP / 2) <= max(most, STEP * STEP * max(width, height))


class Told:
    """An engine that finds one box and reads what it is told, upright or not."""

    def __init__(self, box: Quad, upright: tuple[str, float], turned: tuple[str, float]) -> None:
        self._box, self._read = box, [upright, turned]

    def find(self, page: Pixels) -> list[Quad]:
        return [self._box]

    def read_line(self, line: Pixels) -> tuple[str, float]:
        return self._read.pop(0)


@pytest.mark.parametrize(
    ("upright", "turned", "text", "start"),
    [
        (("right", 0.99), ("never asked", 1.0), "right", [10, 10]),
        (("pou6m", 0.4), ("wrong", 0.8), "wrong", [90, 30]),
        (("doubtful", 0.6), ("m0ou", 0.2), "doubtful", [10, 10]),
        (("  ", 0.6), ("", 0.0), "", [10, 10]),
    ],
)
def test_a_doubtful_line_is_tried_upside_down(
    upright: tuple[str, float], turned: tuple[str, float], text: str, start: list[int]
) -> None:
    box = np.array([[10, 10], [90, 10], [90, 30], [10, 30]], np.float32)
    (line,) = PageReader(Told(box, upright, turned)).read(Image.new("RGB", (128, 64)))
    assert line.text == text
    assert line.corners[0].tolist() == start
    assert (line.confidence == 0) == (text == "")


@pytest.mark.parametrize(
    ("text", "confidence", "share", "read"),
    [
        ("summer sale", 0.55, 0.02, True),
        ("summer sale", 0.45, 0.02, False),
        ("summer sale", 0.8, 0.6, True),
        ("SALE", 0.75, 0.02, True),
        ("SALE", 0.65, 0.02, False),
        ("7", 0.93, 0.02, True),
        ("7", 0.8, 0.02, False),
        ("立", 0.945, 0.6, False),
        ("福", 0.99, 0.6, True),
        ("", 0.0, 0.02, False),
    ],
)
def test_texture_is_no_text(text: str, confidence: float, share: float, read: bool) -> None:
    side = 100 * share
    line = Line(text, (0, 0, 100, 0, 100, side, 0, side), confidence, "english", side)
    assert is_read(line, 10_000) is read
