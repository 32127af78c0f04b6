"""Watermarks, pseudo-text, borders and mosaic: by hand where it can be, and on photographs marred on purpose.

Thresholds were calibrated on one half of the photographs; those measured here are of the other half. The whole
measurement is bench/abnormal.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_marks import BORDERED, WATERMARKED
from marred_pictures import as_jpeg, half, pixelated, with_border, with_mosaic, with_watermark
from pictures import encoded, photo
from PIL import Image, ImageDraw, ImageFilter

from pipelines.extractors.abnormal import COLUMNS, EXTRACTOR, measure, pseudo_text_share, row
from pipelines.extractors.base import Sample
from pipelines.header import read_header
from pipelines.visual import borders, mosaic, watermark
from pipelines.visual.repetition import strength
from pipelines.visual.views import luma

pytest.importorskip("cv2")


def sample(image: Image.Image, ocr: dict[str, Any] | None) -> Sample:
    data = encoded(image, "PNG")
    return Sample("0" * 32, data, read_header(data), image=image, rows={} if ocr is None else {"ocr": ocr})


def line(text: str, box: Sequence[float], *, read: bool = True, char_px: float = 20) -> dict[str, Any]:
    left, top, right, bottom = box
    quad = [left, top, right, top, right, bottom, left, bottom]
    return {"text": text, "quad": quad, "confidence": 0.99, "script": "english", "char_px": char_px, "read": read}


def held_out(photos: Path, count: int, without: frozenset[str] = frozenset()) -> Iterator[tuple[int, Image.Image]]:
    """Number and picture of `count` photographs of the half that nothing was calibrated on."""
    paths = [p for p in sorted(photos.glob("*.jpg")) if half(p.name) == "hold-out" and p.name not in without]
    for i, path in enumerate(islice(paths, 0, None, len(paths) // count)):
        yield i, Image.open(path).convert("RGB")


# --- the row -------------------------------------------------------------------------------------------------------


def test_every_column_is_filled_and_a_plain_picture_has_nothing() -> None:
    (found,) = measure([sample(photo(), {"ocr_lines": []})])
    assert set(found) == {c.name for c in COLUMNS}
    assert found["watermark_kind"] == found["border_kind"] == "none"
    assert (found["pseudo_text_share"], found["border_width"], found["mosaic_share"]) == (0, 0, 0)
    EXTRACTOR.table.from_rows([{**found, "image_id": "0" * 32, "version": "1", "status": "ok", "error": None}])


def test_what_needs_ocr_is_missing_where_ocr_failed_and_the_rest_is_there() -> None:
    framed = Image.new("RGB", (700, 500), "white")
    framed.paste(photo(), (50, 50))
    (found,) = measure([sample(framed, None)])
    assert (found["watermark_score"], found["watermark_kind"], found["pseudo_text_share"]) == (None, None, None)
    assert (found["border_kind"], found["mosaic_share"]) == ("frame", 0)


def test_a_row_does_not_depend_on_the_batch() -> None:
    marked, _ = with_watermark(photo(), 0)
    one, two = sample(marked, {"ocr_lines": []}), sample(photo(seed=3), {"ocr_lines": []})
    assert measure([one, two]) == [*measure([one]), *measure([two])]


# --- pseudo-text ---------------------------------------------------------------------------------------------------


def test_pseudo_text_is_what_is_large_enough_and_not_read() -> None:
    lines = [
        line("Welcome", (0, 0, 100, 20)),
        line("", (0, 40, 100, 60), read=False),
        line("~", (0, 50, 100, 70), read=False),  # overlaps the one before
        line("", (0, 80, 100, 84), read=False, char_px=4),  # small print
        line("", (0, 0, 200, 190), read=False, char_px=150),  # a whole scene
    ]
    assert pseudo_text_share(lines, (200, 200)) == pytest.approx(100 * 30 / 40_000)
    assert pseudo_text_share(lines[:1], (200, 200)) == 0


# --- watermarks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["shutterstock", "GETTY IMAGES", "getty imaqes", "Sample", "WATERM", "TERMARK", "水印", "仅供预览", "Do not copy"],
)
def test_words_that_only_watermarks_say(text: str) -> None:
    assert watermark.says_watermark(text)


@pytest.mark.parametrize(
    "text", ["WATER", "Review", "for example", "Stock exchange", "Images", "Milk", "waterproof", "图书馆"]
)
def test_words_that_others_say_too(text: str) -> None:
    assert not watermark.says_watermark(text)


@pytest.mark.parametrize(
    "text",
    [
        "www.fotos.es",
        "anna-photo.net",
        "© 2021 J. Moreau",
        "(c) Smith",
        "Photo by Ann",
        "Photographed by W. Murphy",
        "@kate",
    ],
)
def test_words_that_name_an_owner(text: str) -> None:
    assert watermark.says_owner(text)


@pytest.mark.parametrize("text", ["Main Street", "Mon-Fri 9.30 am", "version 2.0", "mail@home", "bus stop 12"])
def test_words_that_name_no_owner(text: str) -> None:
    assert not watermark.says_owner(text)


def test_an_owner_counts_in_small_print_at_the_edge_and_not_on_a_page() -> None:
    image = photo(800, 600)
    corner, middle = line("© Ann Lee", (640, 570, 790, 592)), line("© Ann Lee", (300, 290, 450, 312))
    assert watermark.judge(image, [corner]).kind == "corner"
    assert watermark.judge(image, [middle]).kind == "none"
    texts = (
        "Cameras of the last century",
        "were heavier than those of today",
        "and could do one thing each",
    )
    page = [line(text * 2, (50, 40 + 40 * i, 700, 60 + 40 * i)) for i, text in enumerate(texts)]
    assert watermark.judge(image, [*page, corner]).kind == "none"


def test_one_text_read_all_over_is_tiled_and_a_table_is_not() -> None:
    image = photo(800, 600)
    marks = [
        line("Studio", (20 + 260 * x, 30 + 180 * y, 120 + 260 * x, 50 + 180 * y)) for x in range(3) for y in range(3)
    ]
    found = watermark.judge(image, marks)
    assert (found.kind, found.score) == ("tiled", 1.0)
    cells = [
        line(text, (50 + 90 * i, 80, 120 + 90 * i, 100))
        for i, text in enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    ]
    assert (
        watermark.judge(
            image, [*cells, *(line("closed", (50, 200 + 50 * i, 120, 220 + 50 * i)) for i in range(3))]
        ).kind
        == "none"
    )


def test_unread_lines_say_nothing() -> None:
    assert watermark.judge(photo(), [line("shutterstock", (0, 0, 300, 30), read=False)]).kind == "none"


def test_print_that_shows_the_picture_through_is_an_overlay_and_opaque_print_is_not() -> None:
    pixels = np.random.default_rng(0).integers(30, 190, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((800, 600), Image.Resampling.BICUBIC)
    kinds = []
    for opacity in (0.35, 1.0):
        layer = Image.new("L", image.size)
        for x in range(210, 590, 20):  # strokes of a wide word
            ImageDraw.Draw(layer).rectangle((x, 270, x + 6, 330), fill=round(255 * opacity))
        marked = Image.composite(Image.new("RGB", image.size, "white"), image, layer)
        kinds.append(watermark.judge(marked, [line("NORTHERN", (205, 262, 600, 338))]).kind)
    assert kinds == ["overlay", "none"]


def test_ordinary_lines_of_text_are_left_out_of_the_repetition() -> None:
    page = photo(640, 640)
    boxes = [(40 + 200 * x, 30 + 60 * y, 120 + 200 * x, 46 + 60 * y) for x in range(3) for y in range(10)]
    for box in boxes:
        ImageDraw.Draw(page).text(box[:2], "item no. 7", fill="black")
    assert strength(page) > 8
    assert strength(page, [(a, b, c, b, c, d, a, d) for a, b, c, d in boxes]) < 5


def test_what_is_left_of_a_blank_page_is_not_all_over_it() -> None:
    page = Image.new("RGB", (640, 640), "white")
    for y in range(80, 640, 160):
        ImageDraw.Draw(page).line((60, y, 560, y), fill="black")
    assert strength(page) == 0


def test_a_small_picture_repeats_nothing() -> None:
    assert strength(Image.new("RGB", (60, 500), "white")) == 0


def test_watermarks_on_photographs(shared_data: Path) -> None:
    """OCR included, as inspect runs it."""
    pytest.importorskip("rapidocr")
    from annotate.ocr import reader as ocr
    from pipelines.extractors import ocr as signals

    reader = ocr.reader()

    def found(image: Image.Image) -> bool:
        lines: Any = signals.row(reader.read(image), image.size)["ocr_lines"]
        return watermark.judge(image, lines).score >= watermark.SURE

    right = there = wrong = 0
    for i, image in held_out(shared_data / "photos_captioned" / "images", 30, WATERMARKED):
        marked, _ = with_watermark(image, i)
        there, right = there + 1, right + found(marked)
        wrong += i % 2 == 0 and found(image)
    assert right / there >= 0.8
    assert right / (right + wrong) >= 0.9


# --- borders -------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.tuples(*[st.integers(0, 60)] * 2), st.sampled_from([(0, 0, 0), (255, 255, 255), (200, 30, 60)]))
def test_bars_are_measured(bars: tuple[int, int], colour: tuple[int, int, int]) -> None:
    top, left = (bar if bar > 5 else 0 for bar in bars)
    inner = photo(500, 400)
    whole = Image.new("RGB", (500 + 2 * left, 400 + 2 * top), colour)
    whole.paste(inner, (left, top))
    found = borders.find(whole)
    kinds = {(False, False): "none", (True, False): "letterbox", (False, True): "pillarbox", (True, True): "frame"}
    assert found.kind == kinds[top > 0, left > 0]
    expected = (top / whole.height, left / whole.width, top / whole.height, left / whole.width)
    assert found.widths == pytest.approx(expected, abs=0.012)
    assert found.share == pytest.approx(1 - 500 * 400 / (whole.width * whole.height), abs=0.03)


def test_a_plain_ground_that_ends_at_the_motif_is_no_border() -> None:
    studio = Image.new("RGB", (600, 600), "white")
    ImageDraw.Draw(studio).ellipse((150, 120, 480, 520), fill=(120, 60, 20))
    assert borders.find(studio).kind == "none"
    assert borders.find(Image.new("RGB", (600, 400), "white")).kind == "none"
    sky = np.tile(np.linspace(220, 120, 300)[:, None, None], (1, 600, 3)).astype(np.uint8)
    scene = Image.new("RGB", (600, 600))
    scene.paste(Image.fromarray(sky), (0, 0))
    scene.paste(photo(600, 300), (0, 300))
    assert borders.find(scene).kind == "none"


def test_blurred_copies_at_the_sides() -> None:
    inner = photo(400, 500)
    whole = inner.resize((800, 1000)).filter(ImageFilter.GaussianBlur(14)).crop((0, 250, 800, 750))
    whole.paste(inner, (200, 0))
    found = borders.find(whole)
    assert found.kind == "blurred_bars"
    assert found.widths == pytest.approx((0, 0.25, 0, 0.25), abs=0.02)


def test_borders_on_photographs(shared_data: Path) -> None:
    right = there = wrong = 0
    for i, image in held_out(shared_data / "photos_captioned" / "images", 33, BORDERED):
        framed, _ = with_border(image, i)
        there, right = there + 1, right + (borders.find(framed).kind != "none")
        wrong += borders.find(image).kind != "none"
    assert right / there >= 0.9
    assert right / (right + wrong) >= 0.9


# --- mosaic --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [7, 10, 16, 24])
def test_a_pixelated_region_is_found_where_it_is(block: int) -> None:
    image = photo(900, 700, seed=block)
    (first, *_) = mosaic.regions(luma(pixelated(image, (200, 150, 200 + 14 * block, 150 + 12 * block), block)))
    assert first.period == pytest.approx(block, abs=0.6)
    assert first.box == pytest.approx((200, 150, 14 * block, 12 * block), abs=2 * block + 16)


def test_chessboards_codes_and_ruled_paper_are_no_mosaic() -> None:
    board = Image.fromarray(np.kron(np.indices((30, 30)).sum(0) % 2, np.ones((14, 14))).astype(np.uint8) * 200)
    code = np.random.default_rng(0).integers(0, 2, (40, 40)).astype(np.uint8) * 255
    modules = Image.fromarray(np.kron(code, np.ones((10, 10), np.uint8)))
    ruled = Image.new("L", (600, 600), 230)
    for at in range(0, 600, 15):
        ImageDraw.Draw(ruled).line((at, 0, at, 600), fill=60)
        ImageDraw.Draw(ruled).line((0, at, 600, at), fill=60)
    for picture in (board, modules, ruled):
        assert mosaic.regions(luma(picture)) == []


def test_heavy_jpeg_is_no_mosaic(shared_data: Path) -> None:
    for _, image in held_out(shared_data / "photos_captioned" / "images", 8):
        found = mosaic.regions(luma(as_jpeg(image, 20)))
        assert mosaic.share(found, (image.height, image.width)) < 0.01


@pytest.mark.parametrize("size", [(1, 1), (20, 600), (33, 33)])
def test_tiny_pictures_have_no_mosaic_and_no_border(size: tuple[int, int]) -> None:
    found = row(Image.new("RGB", size, (10, 20, 30)), {"ocr_lines": []})
    assert (found["mosaic_share"], found["border_kind"], found["watermark_score"]) == (0, "none", 0)


def test_mosaics_on_photographs(shared_data: Path) -> None:
    right = there = wrong = 0

    def found(image: Image.Image) -> bool:
        return mosaic.share(mosaic.regions(luma(image)), (image.height, image.width)) >= mosaic.LEAST_SHARE

    for i, image in held_out(shared_data / "photos_captioned" / "images", 22):
        there, right, wrong = there + 1, right + found(with_mosaic(image, i)), wrong + found(image)
    assert right / there >= 0.9
    assert right / (right + wrong) >= 0.9
