"""Reading order of lines, and what they cover, on boxes whose order is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.ocr.layout import Quad, covered, reading_order, sides, turned

Box = tuple[float, float, float, float]

TITLE: Box = (0, 0, 400, 40)
LEFT = [(0.0, 60.0 + 30 * i, 190.0, 80.0 + 30 * i) for i in range(4)]
RIGHT = [(210.0, 60.0 + 30 * i, 400.0, 80.0 + 30 * i) for i in range(5)]
FOOT: Box = (0, 240, 400, 260)


def quad(box: Box) -> Quad:
    left, top, right, bottom = box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def rotated(shape: Quad, degrees: float) -> Quad:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return ((shape - 200) @ turn.T + 200).astype(np.float32)


@given(st.permutations(range(11)), st.sampled_from([0, 1.5, -3, 90, 92, 180, 270]))
def test_title_columns_foot(order: list[int], degrees: float) -> None:
    boxes = [TITLE, *LEFT, *RIGHT, FOOT]
    shuffled = [rotated(quad(boxes[i]), degrees) for i in order]
    assert [order[i] for i in reading_order(shuffled)] == list(range(11))


def test_a_line_cut_in_two_is_read_from_its_left_part() -> None:
    boxes = [(0, 0, 400, 20), (0, 30, 150, 50), (180, 31, 400, 51), (0, 60, 400, 80)]
    assert reading_order([quad(boxes[i]) for i in (3, 2, 0, 1)]) == [2, 3, 1, 0]


def test_columns_of_vertical_chinese_are_read_from_the_right() -> None:
    columns = [turned(quad((100.0 * i, 0, 100.0 * i + 40, 400)), 1) for i in range(3)]
    assert reading_order(columns) == [2, 1, 0]


def test_every_line_comes_once_even_where_boxes_overlap() -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 40):
        corners = rng.uniform(0, 300, (count, 2))
        shapes = [quad((x, y, x + 120, y + 40)) for x, y in corners]
        assert sorted(reading_order(shapes)) == list(range(count))


def test_covered_counts_overlap_once() -> None:
    assert covered([quad((0, 0, 10, 10)), quad((5, 0, 15, 10)), quad((100, 100, 110, 110))]) == pytest.approx(250)
    assert covered([]) == 0


def test_sides_follow_the_reading_direction() -> None:
    line = quad((0, 0, 30, 10))
    assert sides(line) == (30, 10)
    assert sides(turned(line, 1)) == (10, 30)
    assert turned(line, 2)[0].tolist() == [30, 10]
