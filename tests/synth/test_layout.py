"""Text into positions: measures are kept, nothing is lost, and what HarfBuzz says of a line is what stands in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import uharfbuzz as hb
from hypothesis import given, settings
from hypothesis import strategies as st
from typefaces import face

from synth.fonts.face import FaceKey, open_face
from synth.layout.block import Align, Block, LayoutError, OverflowingError, Setting, UndrawableError
from synth.layout.breaks import NO_LINE_END, NO_LINE_START
from synth.layout.columns import in_columns
from synth.layout.fit import fit
from synth.layout.paragraph import lay_out
from synth.layout.shape import FEATURES

POEM = "他说：“春眠不觉晓，处处闻啼鸟。”夜来风雨声，花落知多少？……《春晓》（孟浩然，689—740年），五绝。"
PROSE = "It is a truth universally acknowledged, that a single man in possession of a good fortune must want a wife."
ARABIC = "السلام عليكم ورحمة الله وبركاته، هذا نص طويل للتجربة"
HINDI = "हिन्दी में क्षत्रिय और विद्यार्थी की कहानी बहुत पुरानी है"
THAI = "ภาษาไทย เป็นภาษา ที่มีวรรณยุกต์ น้ำ กี่ ปู่"


def _lines(block: Block) -> list[str]:
    starts = [int(block.starts[block.lines == n].min()) for n in range(block.line_count)]
    return [block.text[a:b] for a, b in zip(starts, [*starts[1:], len(block.text)], strict=True)]


@pytest.mark.parametrize(
    ("name", "text", "language"), [("arabic", ARABIC, "ar"), ("devanagari", HINDI, "hi"), ("thai", THAI, "th")]
)
def test_lines_have_the_glyphs_and_places_that_harfbuzz_gives(name: str, text: str, language: str) -> None:
    key = face(name)
    block = lay_out(text, Setting((key,), 32.0, language=language, align="start"), 300)
    assert block.line_count > 1
    for n, line in enumerate(_lines(block)):
        ids, places = _by_harfbuzz(key, line.strip(" "), language, None)
        chosen = np.flatnonzero(block.lines[block.cluster] == n)
        chosen = chosen[np.argsort(block.x[chosen], kind="stable")]
        blank = open_face(key).hb_font.get_nominal_glyph(ord(" "))
        wanted = [(g, x, y) for g, (x, y) in zip(ids, places * 32.0, strict=True) if g != blank]
        assert sorted(block.glyph[chosen].tolist()) == sorted(g for g, _, _ in wanted)
        x = np.sort(block.x[chosen])
        # The line's start is put on a whole pixel, and right-to-left lines end at the right: compare what is between.
        expected = np.sort(np.array([place for _, place, _ in wanted]))
        assert np.allclose(x - x[0], expected - expected[0], atol=0.02)
        heights = block.y[chosen] - block.y[chosen].max()
        down = np.array([-y for _, _, y in wanted])
        assert np.allclose(np.sort(heights), np.sort(down - down.max()), atol=0.02)


def _by_harfbuzz(key: FaceKey, text: str, language: str, direction: str | None) -> tuple[list[int], np.ndarray]:
    """Glyph ids and pens (n, 2) in ems, y up, of a whole line by HarfBuzz alone."""
    opened = open_face(key)
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    if direction:
        buffer.direction = direction
    buffer.language = language
    hb.shape(opened.hb_font, buffer, FEATURES)
    pen, pens = np.zeros(2), []
    for place in buffer.glyph_positions:
        x_offset, y_offset, x_advance, y_advance = place.position
        pens.append(pen + np.array([x_offset, y_offset]))
        pen = pen + np.array([x_advance, y_advance])
    return [i.codepoint for i in buffer.glyph_infos], np.array(pens) / opened.upem


@pytest.mark.parametrize("name", ["sans-sc", "serif-sc", "kai"])
def test_vertical_columns_have_the_glyphs_and_places_that_harfbuzz_gives(name: str) -> None:
    key = face(name)
    text = "「春眠不觉晓，处处闻啼鸟。」（孟浩然）"
    size = 40.0
    block = lay_out(text, Setting((key,), size, direction="vertical", language="zh-Hans", leading=1.5), 8 * size)
    lines = _lines(block)
    assert len(lines) > 1
    assert block.width == pytest.approx(1.5 * size * len(lines))
    for n, line in enumerate(lines):
        ids, pens = _by_harfbuzz(key, line, "zh-Hans", "ttb")
        chosen = block.lines[block.cluster] == n
        assert block.glyph[chosen].tolist() == ids
        middle = round(block.width - 1.5 * size * (n + 0.5))
        assert np.allclose(block.x[chosen], middle + pens[:, 0] * size, atol=0.02)
        assert np.allclose(block.y[chosen], -pens[:, 1] * size, atol=0.02)


def test_latin_lies_on_its_side_in_vertical_columns_and_stands_in_the_middle() -> None:
    block = lay_out("见ABC字", Setting((face("sans-sc"),), 40.0, direction="vertical", language="zh-Hans"), 400)
    assert block.turned.tolist() == [False, True, True, True, False]
    assert (np.diff(block.y[block.turned]) > 20).all()
    assert np.allclose(block.x[block.turned], block.x[block.turned][0])


def test_right_to_left_lines_are_put_in_visual_order() -> None:
    """UAX 9: numbers and Latin inside stay left to right, and the line starts at the right."""
    key, latin = face("arabic"), face("sans")
    block = lay_out("مرحبا 2024 abc", Setting((key, latin), 30.0, language="ar"), 600)
    x = {block.text[s]: block.x[block.cluster == n].min() for n, s in enumerate(block.starts) if block.text[s] != " "}
    assert x["م"] > x["ا"] > x["4"] > x["2"] > x["c"] > x["b"] > x["a"]
    assert block.x.max() > 500


def test_right_to_left_in_vertical_columns_is_refused() -> None:
    with pytest.raises(LayoutError, match="right-to-left"):
        lay_out("مرحبا", Setting((face("arabic"),), 30.0, direction="vertical"), 300)


def test_a_character_that_no_face_draws_refuses_the_whole_paragraph() -> None:
    with pytest.raises(UndrawableError) as caught:
        lay_out("A 春 龘 B", Setting((face("serif"),), 20.0), 300)
    assert caught.value.characters == "春龘"


def test_a_character_that_a_font_only_claims_to_draw_counts_as_undrawable() -> None:
    """WQY Micro Hei maps ℃ and the vowels of pinyin with a caron to empty glyphs."""
    key = face("micro-hei")
    assert open_face(key).hb_font.get_nominal_glyph(ord("℃")) is not None
    with pytest.raises(UndrawableError, match="U\\+2103"):
        lay_out("今天20℃", Setting((key,), 20.0), 300)
    block = lay_out("今天20℃", Setting((key, face("sans-sc")), 20.0), 300)
    assert sorted(set(block.face.tolist())) == [0, 1]


def test_characters_outside_the_basic_plane_are_one_cluster_each() -> None:
    block = lay_out("a𠮷𫖯b", Setting((face("sans-sc"),), 20.0, language="zh-Hans"), 300)
    assert [block.text[s:e] for s, e in zip(block.starts, block.ends, strict=True)] == list("a𠮷𫖯b")


def test_latin_letters_keep_boxes_of_their_own_and_marks_stay_with_their_base() -> None:
    block = lay_out("office re\u0301sume\u0301", Setting((face("serif"),), 20.0, language="en"), 400)
    shown = [block.text[s:e] for s, e in zip(block.starts, block.ends, strict=True)]
    assert shown == [*"office ", "r", "e\u0301", "s", "u", "m", "e\u0301"]


@settings(max_examples=40, deadline=None)
@given(
    st.text(st.sampled_from(POEM + PROSE), min_size=1, max_size=120),
    st.integers(60, 500),
    st.sampled_from(["start", "center", "end", "justify"]),
)
def test_nothing_is_lost_and_lines_keep_their_measure_and_the_rules(text: str, width: int, align: Align) -> None:
    setting = Setting((face("sans-sc"),), 24.0, language="zh-Hans", align=align)
    try:
        block = lay_out(text, setting, width)
    except OverflowingError:
        return
    assert "".join(_lines(block)) == block.text == text
    for line in _lines(block)[1:]:
        assert line[0] not in NO_LINE_START, (text, line)
    for line in _lines(block)[:-1]:
        assert line.strip()[-1:] not in NO_LINE_END or not line.strip(), (text, line)
    assert not len(block.x) or (block.x.min() > -8 and block.x.max() < width + 8)


def test_a_thousand_paragraphs_without_a_forbidden_line_start_or_end() -> None:
    key = face("sans-sc")
    rng = np.random.default_rng(7)
    pool = [s for s in POEM.replace("。", "。\0").split("\0") if s]
    for _ in range(1000):
        text = "".join(rng.choice(pool, 4)) + "".join(rng.choice(list(POEM), 30))
        text = text.lstrip("".join(NO_LINE_START))
        try:
            block = lay_out(text, Setting((key,), 20.0, language="zh-Hans"), float(rng.integers(90, 400)))
        except OverflowingError:  # a run of marks longer than a narrow line
            continue
        for n, line in enumerate(_lines(block)):
            assert n == 0 or line[0] not in NO_LINE_START, (text, line)
            assert n + 1 == block.line_count or line[-1] not in NO_LINE_END, (text, line)


def test_justified_lines_end_at_the_margin_but_for_the_last() -> None:
    block = lay_out(PROSE, Setting((face("serif"),), 20.0, language="en", align="justify"), 420)
    right = [block.x[block.lines[block.cluster] == n].max() for n in range(block.line_count)]
    assert np.ptp(right[:-1]) < 16  # the last letters differ in width
    assert right[-1] < max(right) or block.line_count == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(80, 700), st.integers(60, 600), st.sampled_from([POEM, PROSE]))
def test_the_fitted_size_is_the_largest_that_fits(width: int, height: int, text: str) -> None:
    setting = Setting((face("sans-sc"),), 0.0, language="zh-Hans")
    try:
        block = fit(text, setting, width, height, 10, 80)
    except OverflowingError:
        with pytest.raises(OverflowingError):
            _at(text, setting, 10, width, height)
        return
    size = block.setting.size
    assert block.height <= height
    if size < 80:
        with pytest.raises(OverflowingError):
            _at(text, setting, size + 1, width, height)


def _at(text: str, setting: Setting, size: float, width: float, height: float) -> None:
    if lay_out(text, replace(setting, size=size), width).height > height:
        raise OverflowingError("too high")


def test_columns_hold_the_same_lines_side_by_side() -> None:
    block = lay_out(PROSE, Setting((face("serif"),), 16.0, language="en"), 200)
    two = in_columns(block, 2, 20)
    each = -(-block.line_count // 2)
    assert two.width == 420
    assert two.height == pytest.approx(each * 16 * 1.4)
    second = two.lines[two.cluster] >= each
    assert (two.x[second] >= 219).all()
    assert (two.x[~second] < 200).all()
    assert two.y[second].min() == pytest.approx(two.y[~second].min())
