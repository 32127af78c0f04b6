"""The light renderer's parts: theme colours, outlines, coverage, text settings, tables; and what it refuses."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("pptx")

from hypothesis import given
from hypothesis import strategies as st
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Emu, Inches, Pt

from synth.geometry import scaling
from synth.template.deck.canvas import Canvas, coverage, whole_slide
from synth.template.deck.colour import Palette, Tone
from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import _CLOSED, preset, text_box
from synth.template.deck.read import read_scene
from synth.template.deck.scene import Drawing, Gradient, Scene
from synth.template.deck.source import from_bytes
from synth.template.deck.strokes import dashed
from synth.template.deck.styles import style
from synth.template.deck.xml import A, etree, q

PALETTE = Palette({"dk1": (0, 0, 0), "lt1": (255, 255, 255), "accent1": (79, 129, 189)}, {"tx1": "dk1", "bg1": "lt1"})


def scene_of(deck: object) -> Scene:
    out = io.BytesIO()
    deck.save(out)  # type: ignore[attr-defined]
    return read_scene(from_bytes(out.getvalue(), "deck").sheets(0))


def blank() -> tuple[object, object]:
    deck = Presentation()
    return deck, deck.slides.add_slide(deck.slide_layouts[6])


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("", (79, 129, 189)),
        ('<a:lumMod val="75000"/>', (54, 96, 146)),  # PowerPoint's "darker 25 %" of its blue of 2007
        ('<a:lumMod val="40000"/><a:lumOff val="60000"/>', (185, 205, 229)),  # its "lighter 60 %"
        ('<a:shade val="100000"/>', (79, 129, 189)),
        ('<a:tint val="0"/>', (255, 255, 255)),
        ('<a:shade val="0"/>', (0, 0, 0)),
    ],
)
def test_theme_colours_are_changed_as_office_does(change: str, wanted: tuple[int, int, int]) -> None:
    fill = etree.fromstring(
        f'<a:solidFill xmlns:a="{A}"><a:schemeClr val="accent1">{change}</a:schemeClr></a:solidFill>'
    )
    tone = PALETTE.tone(fill)
    assert tone is not None
    assert np.abs(np.subtract(tone.rgb, wanted)).max() <= 1


def test_a_colour_that_is_not_in_the_theme_is_refused() -> None:
    fill = etree.fromstring(f'<a:solidFill xmlns:a="{A}"><a:schemeClr val="accent9"/></a:solidFill>')
    with pytest.raises(DeckError, match="broken theme"):
        PALETTE.tone(fill)


@given(
    st.sampled_from(sorted(set(_CLOSED) - {"wedgeRectCallout", "wedgeRoundRectCallout"})),
    st.floats(10, 1000),
    st.floats(10, 1000),
)
def test_shapes_lie_within_their_boxes_and_text_within_them(name: str, w: float, h: float) -> None:
    for path in preset(name, w, h, {}):
        assert path.points.min() >= -1e-6
        assert (path.points.max(axis=0) <= np.array([w, h]) + 1e-6).all()
    left, top, right, bottom = text_box(name, w, h, {})
    assert 0 <= left < right <= w
    assert 0 <= top < bottom <= h


@given(st.floats(1, 40), st.floats(1, 40), st.floats(2, 50), st.floats(2, 50))
def test_coverage_is_the_area(x: float, y: float, w: float, h: float) -> None:
    ring = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
    straight = coverage([ring], (0, 0, 100, 100)).astype(float).sum() / 255
    assert abs(straight - w * h) < 0.01 * w * h + 0.6
    diamond = np.array([(x + w / 2, y), (x + w, y + h / 2), (x + w / 2, y + h), (x, y + h / 2)])
    slanted = coverage([diamond], (0, 0, 100, 100)).astype(float).sum() / 255
    assert abs(slanted - w * h / 2) < 0.1 * 2 * np.hypot(w, h) + 0.5


def test_dashes_alternate_along_the_line() -> None:
    pieces = dashed(np.array([(0.0, 0.0), (10.0, 0.0)]), False, [2.0, 1.0])
    assert [(p[0, 0], p[-1, 0]) for p in pieces] == [(0, 2), (3, 5), (6, 8), (9, 10)]


def test_a_gradient_runs_from_its_first_colour_to_its_last() -> None:
    canvas = Canvas(100, 10, scaling(1, 1))
    canvas.draw(whole_slide(100, 10, Gradient(((0.0, Tone((255, 0, 0))), (1.0, Tone((0, 0, 255)))), 0.0)))
    row = canvas.pixels[5].astype(int)
    assert row[0, 0] > 250
    assert row[-1, 2] > 250
    assert (np.diff(row[:, 0]) <= 0).all()


def test_a_shape_over_text_is_refused() -> None:
    canvas = Canvas(50, 50, scaling(1, 1))
    canvas.ink[10:20, 10:20] = 255
    with pytest.raises(DeckError, match="text covered"):
        canvas.draw(whole_slide(50, 50, Tone((0, 0, 0))))
    canvas.draw(Drawing(5, 5, np.eye(3), preset("rect", 5, 5, {}), Tone((0, 0, 0))))


def test_placeholders_take_after_layout_and_master() -> None:
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "words"
    frames = {frame.role: frame for frame in scene_of(deck).frames}
    assert set(frames) == {"title", "body"}
    title = style(frames["title"].chain, frames["title"].body.find(q("a:p")))
    assert (title.size, title.align, title.bullet) == (44, "ctr", "")
    body = style(frames["body"].chain, frames["body"].body.find(q("a:p")))
    assert (body.size, body.align, body.bullet) == (32, "l", "•")
    assert body.margin == -body.indent == 342900
    assert frames["title"].anchor == "ctr"
    assert frames["title"].width == 8229600 - 2 * 91440


def test_a_turned_shape_turns_its_text() -> None:
    deck, slide = blank()
    shape = slide.shapes.add_shape(1, Inches(1), Inches(1), Inches(2), Inches(1))  # type: ignore[attr-defined]
    shape.text_frame.text = "words"
    shape.rotation = 90
    frame = scene_of(deck).frames[0]
    assert np.allclose(frame.matrix[:2, :2], [[0, -1], [1, 0]])


def test_groups_scale_what_is_in_them() -> None:
    deck, slide = blank()
    group = slide.shapes.add_group_shape()  # type: ignore[attr-defined]
    inner = group.shapes.add_shape(1, Inches(1), Inches(1), Inches(2), Inches(2))
    inner.fill.solid()
    inner.fill.fore_color.rgb = RGBColor(1, 2, 3)
    group.width, group.height = Inches(4), Inches(1)
    drawing = next(item for item in scene_of(deck).items if isinstance(item, Drawing))
    assert (drawing.width, drawing.height) == (Inches(4), Inches(1))
    assert drawing.fill == Tone((1, 2, 3))


def test_tables_become_cells_with_the_style_of_new_tables() -> None:
    deck, slide = blank()
    table = slide.shapes.add_table(3, 2, Inches(1), Inches(1), Inches(4), Inches(3)).table  # type: ignore[attr-defined]
    table.cell(0, 0).text = "head"
    scene = scene_of(deck)
    assert [frame.role for frame in scene.frames] == ["heading", "heading", "cell", "cell", "cell", "cell"]
    fills = [item.fill.rgb for item in scene.items if isinstance(item, Drawing) and isinstance(item.fill, Tone)]
    assert fills[0] == (79, 129, 189)
    assert fills[2] != fills[4]  # banded
    head = style(scene.frames[0].chain, scene.frames[0].body.find(q("a:p")))
    assert head.bold
    assert head.tone.rgb == (255, 255, 255)


def test_charts_are_refused_not_drawn_wrong() -> None:
    deck, slide = blank()
    data = CategoryChartData()
    data.categories = ["a", "b"]
    data.add_series("s", (1, 2))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, Inches(3), Inches(3), data)  # type: ignore[attr-defined]
    with pytest.raises(DeckError) as refused:
        scene_of(deck)
    assert (refused.value.reason, refused.value.detail) == ("cannot draw", "a chart")


def test_unknown_shapes_are_refused_by_name() -> None:
    deck, slide = blank()
    slide.shapes.add_shape(17, 0, 0, Inches(1), Inches(1))  # type: ignore[attr-defined]
    with pytest.raises(DeckError, match="shape smileyFace"):
        scene_of(deck)


def test_a_deck_without_slides_gives_one_of_each_layout_with_text() -> None:
    deck = Presentation()
    out = io.BytesIO()
    deck.save(out)
    source = from_bytes(out.getvalue(), "layouts")
    assert source.pages == 10  # of eleven, the blank one has no place for text
    assert source.layout_name(0) == "Title Slide"


def test_sizes_given_in_a_run_come_before_the_layouts() -> None:
    deck, slide = blank()
    box = slide.shapes.add_textbox(0, 0, Inches(3), Emu(400000))  # type: ignore[attr-defined]
    run = box.text_frame.paragraphs[0].add_run()
    run.text, run.font.size, run.font.color.rgb = "words", Pt(31), RGBColor(9, 8, 7)
    frame = scene_of(deck).frames[0]
    look = style(frame.chain, frame.body.find(q("a:p")))
    assert (look.size, look.tone.rgb) == (31, (9, 8, 7))
