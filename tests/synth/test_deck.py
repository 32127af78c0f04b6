"""Decks as a strategy: every design of our own is filled, drawn, told of, and the same each time."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pptx")

from pptx import Presentation

from annotate.captions.quotes import quoted
from synth.chance import chance
from synth.corpora.corpus import open_corpus
from synth.fonts.book import open_book
from synth.quoting import quotable
from synth.sample import Rejected, Sample
from synth.template.deck import choose
from synth.template.deck.ask import Ask, answer, units
from synth.template.deck.cast import choose_cast, families
from synth.template.deck.choose import deck_files
from synth.template.deck.deck import Deck
from synth.template.deck.designs.catalogue import KINDS, one_page, whole_deck
from synth.template.deck.designs.themes import THEMES
from synth.template.deck.fill import Filler
from synth.template.deck.read import read_scene
from synth.template.deck.texts import CorpusTexts
from warehouse.errors import UsageError

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
COUNT = 500 if SOAK else 14


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    deck = Deck()
    deck.check()
    drawn = [deck.draw(3, index) for index in range(COUNT)]
    refused = [s for s in drawn if isinstance(s, Rejected)]
    assert len(refused) <= COUNT // 50, refused
    return [s for s in drawn if isinstance(s, Sample)]


def filled(kind: int, page: int, aspect: str, language: str, scale: float = 1440 / 12192000):  # type: ignore[no-untyped-def]
    source = one_page(kind, page, aspect, 0, 0)
    sheets = source.sheets(0)
    scene = read_scene(sheets)
    rng = chance(5, "deck", kind * 100 + page)
    book = open_book()
    cast = choose_cast(rng, families(book, language), language, None, None)
    lines = Filler(book, cast, CorpusTexts(open_corpus()), scale, 0).fill(scene, rng)
    return scene, lines


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=[k.name for k in KINDS])
def test_every_page_is_filled_in_both_languages(kind: int) -> None:
    for page in range(len(KINDS[kind].pages)):
        for language, aspect in zip(("zh-Hans", "en"), (KINDS[kind].aspects[0], KINDS[kind].aspects[-1]), strict=True):
            if language == "en" and KINDS[kind].pages[page][0] == "upright":
                continue
            long = 1440 / (12192000 if aspect == "16:9" else 9699000)
            scene, lines = filled(kind, page, aspect, language, long)
            assert len(lines) == len(scene.frames) > 0
            for one in lines:
                for line in one.lines:
                    assert line.written.text.strip()
                    assert "{" not in line.written.text
                    assert "lick to" not in line.written.text


def test_what_is_written_into_the_xml_is_what_was_set() -> None:
    """Sizes explicit, autofit off, both typefaces named: any office program shows the same."""
    for language in ("zh-Hans", "en"):
        _, lines = filled(0, 3, "16:9", language)
        scale = 1440 / 12192000
        for one in lines:
            settings = one.frame.body.find("{http://schemas.openxmlformats.org/drawingml/2006/main}bodyPr")
            assert [e.tag.rsplit("}", 1)[-1] for e in settings] == ["noAutofit"]
            paragraphs = one.frame.body.findall("{http://schemas.openxmlformats.org/drawingml/2006/main}p")
            for paragraph, line in zip(paragraphs, one.lines, strict=True):
                run = paragraph.find("{http://schemas.openxmlformats.org/drawingml/2006/main}r")
                properties = run.find("{http://schemas.openxmlformats.org/drawingml/2006/main}rPr")
                assert round(int(properties.get("sz")) / 100 * 12700 * scale) == line.written.size
                names = {e.tag.rsplit("}", 1)[-1]: e.get("typeface") for e in properties if e.get("typeface")}
                assert names["latin"] == names["ea"] == open_book().info(line.written.face).family
                texts = list(paragraph.iter("{http://schemas.openxmlformats.org/drawingml/2006/main}t"))
                assert [t.text for t in texts] == [line.written.text]


def test_lines_stand_within_their_boxes() -> None:
    _, lines = filled(0, 3, "16:9", "zh-Hans")
    scale = 1440 / 12192000
    for one in lines:
        for line in one.lines:
            assert line.y >= -1
            assert line.y + line.block.height <= one.frame.height * scale + 2
            assert line.x + line.block.width <= one.frame.width * scale + 2


def test_our_decks_open_anywhere() -> None:
    """python-pptx reads them back: true placeholders by role, one layout a page, colours by theme alone."""
    for kind in range(len(KINDS)):
        data = whole_deck(kind, KINDS[kind].aspects[0], kind, 0)
        deck = Presentation(io.BytesIO(data))
        assert [layout.name for layout in deck.slide_layouts] == [name for name, _ in KINDS[kind].pages]
        for slide in deck.slides:
            assert len(slide.placeholders) >= 1 or slide.slide_layout.name == "quote"
            assert b"srgbClr" not in slide.part.blob


def test_every_theme_can_be_read() -> None:
    from synth.palettes import contrast, parsed

    for theme in THEMES:
        ground = theme.ink if theme.dark else theme.paper
        ink = theme.paper if theme.dark else theme.ink
        assert contrast(parsed(ground), parsed(ink)) > 7, theme.name
        for panel in (theme.accents[0], theme.deep) if not theme.dark else (theme.accents[0],):
            assert contrast(parsed(panel), parsed(ground)) > 4, theme.name


def test_the_same_seed_gives_the_same_bytes(samples: list[Sample]) -> None:
    choose.own_source.cache_clear()
    for index in (4, 1, 7):
        one, two = Deck().draw(3, index), Deck().draw(3, index)
        assert isinstance(one, Sample)
        assert isinstance(two, Sample)
        assert np.array_equal(one.image, two.image)
        assert one.captions == two.captions
        assert [t.row() for t in one.texts] == [t.row() for t in two.texts]
        assert any(np.array_equal(one.image, s.image) for s in samples)


def test_truth_is_where_the_ink_is(samples: list[Sample]) -> None:
    """Within each character's box there is its colour, and boxes lie on the picture."""
    for sample in samples:
        h, w = sample.image.shape[:2]
        for text in sample.texts:
            quads = text.character_quads()
            assert quads.min() >= -1
            assert (quads.reshape(-1, 2).max(axis=0) <= np.array([w, h]) + 1).all()
            rgb = np.array([int(text.colour[i : i + 2], 16) for i in (1, 3, 5)])  # type: ignore[index]
            for quad in quads[:40]:
                (x0, y0), (x1, y1) = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
                near = np.abs(sample.image[y0:y1, x0:x1].astype(int) - rgb).max(axis=2)
                assert near.min() <= 80, (text.text, sample.template)


def test_texts_neither_overlap_nor_hide_and_are_large_enough(samples: list[Sample]) -> None:
    for sample in samples:
        boxes = [(*q.min(axis=0), *q.max(axis=0)) for t in sample.texts for q in t.line_quads()]
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]), sample.template
        for text in sample.texts:
            assert text.size >= (15 if text.language.startswith("zh") else 17)


def test_captions_quote_the_texts(samples: list[Sample]) -> None:
    for sample in samples:
        for language in ("en", "zh"):
            caption = sample.captions[language]
            found = quoted(caption)
            titles = [t.text for t in sample.texts if t.role == "title"]
            for title in titles:
                assert quotable(title)[0] in found, caption
            assert found, caption
        assert sample.template.startswith("deck:")


def test_no_character_is_drawn_by_a_font_that_lacks_it(samples: list[Sample]) -> None:
    book = open_book()
    known = {info.name: info for info in book.fonts}
    for sample in samples:
        for text in sample.texts:
            for name in text.fonts:
                if name in known:
                    assert book.draws(known[name].key, text.text), (name, text.text)


def test_marks_in_a_template_ask_for_texts() -> None:
    texts, rng = CorpusTexts(open_corpus()), chance(1, "deck", 1)
    assert answer(Ask("{=Menu|菜单}", "label", 9), rng, "zh-Hans", texts, 0) == "菜单"
    assert answer(Ask("{=Menu|菜单}", "label", 9), rng, "en", texts, 0) == "Menu"
    assert answer(Ask("{page}", "page", 9), rng, "en", texts, 4) == "5"
    both = answer(Ask("{name} · {place}", "name", 40), rng, "en", texts, 0)
    assert " · " in both
    assert "{" not in both
    assert units("中文ab") == 6


def test_a_users_deck_is_used_and_bad_ones_are_counted(tmp_path: Path) -> None:
    (tmp_path / "good.pptx").write_bytes(whole_deck(2, "16:9", 0, 0))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.pptx").write_bytes(b"no deck")
    deck = Deck(decks=(str(tmp_path),))
    deck.check()
    drawn = [deck.draw(1, index) for index in range(8)]
    assert {s.template.split("/")[0] for s in drawn if isinstance(s, Sample)} == {"deck:good"}
    assert {s.reason for s in drawn if isinstance(s, Rejected)} == {"broken zip"}
    assert deck.fingerprint() != Deck().fingerprint()


def test_wrong_settings_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        deck_files((str(tmp_path / "none"),))
    with pytest.raises(UsageError, match=r"no \.pptx"):
        Deck(decks=(str(tmp_path),)).check()
    (tmp_path / "bad.pptx").write_bytes(b"x")
    with pytest.raises(UsageError, match="none of the decks"):
        Deck(decks=(str(tmp_path / "bad.pptx"),)).check()
    with pytest.raises(UsageError, match="not in ja"):
        Deck(languages=(("ja", 1.0),)).check()
    with pytest.raises(UsageError, match="longer side"):
        Deck(longest=(900, 800)).check()
