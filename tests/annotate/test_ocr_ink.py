"""Height of characters: the ink of a line, measured on lines drawn at known sizes."""

from __future__ import annotations

import numpy as np
import ocr_pages
import pytest
from PIL import Image, ImageDraw

from annotate.ocr.ink import ink_height


@pytest.mark.parametrize("size", [10, 16, 24, 48, 90])
@pytest.mark.parametrize(("paper", "ink"), [("white", "black"), ("#102040", "#ffe080")])
@pytest.mark.parametrize("text", ["高山流水", "Typography", "HELLO"])
def test_height_is_that_of_the_ink(size: int, paper: str, ink: str, text: str) -> None:
    font = ocr_pages.load(ocr_pages.chinese_font(), size)
    left, top, right, bottom = font.getbbox(text)
    space = size // 4
    image = Image.new("RGB", (round(right - left) + 2 * space, round(bottom - top) + 2 * space), paper)
    ImageDraw.Draw(image).text((space - left, space - top), text, font=font, fill=ink)
    assert ink_height(np.asarray(image)) == pytest.approx(bottom - top, rel=0.12, abs=1.5)


def test_the_foot_of_the_line_above_does_not_count() -> None:
    strip = np.full((40, 200, 3), 255, np.uint8)
    strip[:3, 20:60] = 0
    strip[12:32, 10:190:4] = 0
    assert ink_height(strip) == pytest.approx(20, abs=1.5)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_strip_of_one_colour_has_the_height_it_has(level: int) -> None:
    assert ink_height(np.full((12, 30, 3), level, np.uint8)) == 12
