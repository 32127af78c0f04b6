"""Positions into pixels: boxes are the bounds of what was drawn, also after a perspective."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from typefaces import face

from synth.draw.ink import ink, ink_bounds
from synth.draw.paint import Gradient, Outline, Paint, Shadow, layer, on_plain, over, paint
from synth.geometry import apply, corners, homography, rotation, translation
from synth.layout.block import OverflowingError, Setting
from synth.layout.paragraph import lay_out

TEXTS = {
    "sans-sc": ("zh-Hans", "春眠不觉晓，处处闻啼鸟。Spring 2024 (A)"),
    "kai": ("zh-Hans", "夜来风雨声，花落知多少"),
    "arabic": ("ar", "السلام عليكم ورحمة الله"),
    "devanagari": ("hi", "हिन्दी में क्षत्रिय"),
    "thai": ("th", "น้ำ กี่ ปู่ ภาษา"),
    "serif": ("en", "The quick brown fox jumps"),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("size", [14.0, 37.0])
def test_a_box_bounds_the_ink_of_its_character(name: str, size: float) -> None:
    language, text = TEXTS[name]
    block = lay_out(text, Setting((face(name),), size, language=language), 360)
    mask, placed = ink(block, (400, 400), (20, 20))
    assert mask.max() > 200
    assert len(placed.boxes) == len({*range(len(block.starts))}) - text.count(" ")
    whole = placed.boxes.astype(int)
    covered = np.zeros_like(mask)
    for x0, y0, x1, y1 in whole:
        assert mask[y0:y1, x0:x1].max() > 60
        covered[y0:y1, x0:x1] = 255
    assert not mask[covered == 0].any()


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_redrawn_alone_every_character_fills_its_quadrilateral_also_in_perspective(direction: str) -> None:
    """The bar: mean IoU of quadrilateral and ink at least 0.9, measured in the frame of the unwarped character."""
    block = lay_out(
        "春眠不觉晓处处闻啼鸟ABC夜来风雨声，花落知多少",
        Setting((face("sans-sc"),), 36.0, direction=direction, language="zh-Hans"),  # type: ignore[arg-type]
        300,
    )
    mask, placed = ink(block, (360, 360), (24, 24))
    target = np.array([[60.0, 40.0], [430.0, 90.0], [400.0, 420.0], [30.0, 380.0]])
    matrix = homography(corners(np.array([[0, 0, 360, 360]]))[0], target)
    moved = placed.moved(matrix)
    overlaps = []
    for n, quad in enumerate(moved.character_quads()):
        x0, y0, x1, y1 = placed.boxes[n].astype(int)
        alone = np.zeros_like(mask)
        alone[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
        warped = cv2.warpPerspective(alone, matrix, (480, 480), flags=cv2.INTER_LINEAR)
        ys, xs = np.nonzero(warped > 40)
        back = apply(np.linalg.inv(matrix), np.stack([xs + 0.5, ys + 0.5], axis=-1))
        seen = np.array([*back.min(axis=0), *back.max(axis=0)])
        told = apply(np.linalg.inv(matrix), quad)
        overlaps.append(_iou(seen, np.array([*told.min(axis=0), *told.max(axis=0)])))
    assert np.mean(overlaps) >= 0.9, np.mean(overlaps)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    side = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    both = float(side.prod())
    return both / (float((a[2:] - a[:2]).prod()) + float((b[2:] - b[:2]).prod()) - both)


def test_words_and_lines_are_around_their_characters() -> None:
    block = lay_out("Hello wide world", Setting((face("serif"),), 30.0, language="en"), 180)
    _, placed = ink(block, (200, 200), (5, 5))
    assert len(placed.word_quads()) == 3
    assert len(placed.line_quads()) == block.line_count == 2
    row = placed.row()
    assert [row["text"][w["start"] : w["end"]] for w in row["words"]] == ["Hello", "wide", "world"]
    assert len(row["characters"]) == len("Hellowideworld")
    assert np.allclose(np.array(row["quad"]).reshape(4, 2), placed.quad(), atol=0.01)


def test_ink_that_leaves_the_picture_is_refused() -> None:
    block = lay_out("春眠", Setting((face("sans-sc"),), 40.0), 300)
    with pytest.raises(OverflowingError):
        ink(block, (60, 60), (0, 0))
    x0, y0, x1, y1 = ink_bounds(block)
    mask, _ = ink(block, (y1 - y0, x1 - x0), (-x0, -y0))
    assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def test_the_table_of_mixtures_is_the_blend() -> None:
    block = lay_out("春眠", Setting((face("sans-sc"),), 40.0), 300)
    mask, _ = ink(block, (80, 120), (10, 4))
    quick = on_plain(mask, (250, 240, 230), (20, 60, 110))
    slow = np.full((80, 120, 3), (250, 240, 230), np.uint8)
    paint(slow, mask, Paint((20, 60, 110)))
    assert np.abs(quick.astype(int) - slow).max() <= 1


def test_a_layer_laid_over_is_what_was_painted() -> None:
    block = lay_out("春眠", Setting((face("sans-sc"),), 40.0), 300)
    mask, _ = ink(block, (100, 140), (20, 10))
    how = Paint(Gradient((200, 30, 30), (30, 30, 200), 30), Outline(2, (255, 255, 255)), Shadow(3, 3, 2.0))
    ground = np.full((100, 140, 3), (90, 130, 90), np.uint8)
    painted, laid = ground.copy(), ground.copy()
    paint(painted, mask, how)
    over(laid, layer(mask, how))
    assert np.abs(painted.astype(int) - laid).max() <= 3
    assert (painted != ground).any(axis=-1).sum() > (mask > 0).sum()


def test_quadrilaterals_follow_a_rotation() -> None:
    block = lay_out("春", Setting((face("sans-sc"),), 40.0), 300)
    _, placed = ink(block, (80, 80), (10, 10))
    turned = placed.moved(translation(5, 0) @ rotation(90, 40, 40))
    (x, y), *_ = placed.quad()
    assert np.allclose(turned.quad()[0], (80 - y + 5, x))
