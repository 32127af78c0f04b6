"""Pure pages: exact truth, captions that quote it, the same bytes in any order, and clear words for what cannot be."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from typefaces import face

from annotate.captions.quotes import quoted
from annotate.ocr.agreement import agreement
from synth.chance import chance
from synth.encode import encode
from synth.fonts.book import open_book
from synth.naming import colour_names
from synth.palettes import PLAIN, READABLE, contrast
from synth.pure.design import choose_design
from synth.pure.page import draw_page
from synth.pure.strategy import Pure
from synth.quoting import quote
from synth.sample import Rejected, Sample
from warehouse.errors import UsageError

SMALL = Pure(longest=(256, 512))


def _samples(strategy: Pure, count: int, seed: int = 1) -> list[Sample]:
    drawn = [strategy.draw(seed, i) for i in range(count)]
    rejected = [s for s in drawn if isinstance(s, Rejected)]
    assert len(rejected) <= 0.05 * count, rejected[:3]
    return [s for s in drawn if isinstance(s, Sample)]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    face("sans-sc")
    SMALL.check()
    return _samples(SMALL, 80)


def test_every_character_with_ink_has_a_box_inside_the_picture(samples: list[Sample]) -> None:
    for sample in samples:
        (placed,) = sample.texts
        height, width = sample.image.shape[:2]
        quads = placed.character_quads()
        assert len(quads) == sum(not c.isspace() for c in placed.text) - _combining(placed.text)
        assert quads.min() > -1
        assert (quads[..., 0] < width + 1).all()
        assert (quads[..., 1] < height + 1).all()


def _combining(text: str) -> int:
    import unicodedata

    return sum(bool(unicodedata.combining(c)) for c in text)


def test_captions_quote_the_text_and_tell_its_look(samples: list[Sample]) -> None:
    for sample in samples:
        text = " ".join(sample.texts[0].text.split())
        for language in ("en", "zh"):
            caption = sample.captions[language]
            told = quoted(caption)
            assert "".join(told).replace(" ", "") == text.replace(" ", ""), caption
            assert len(text) > 360 or told == [text]


def test_ink_stands_out_from_its_ground(samples: list[Sample]) -> None:
    for palette in PLAIN:
        assert max(contrast(ink, palette.ground) for ink in palette.inks) >= READABLE
    for sample in samples:
        if sample.facts["degrees"] == 0:
            x0, y0, x1, y1 = sample.texts[0].boxes[0].astype(int)
            assert np.ptp(sample.image[y0:y1, x0:x1].astype(int).sum(axis=-1)) > 150


def test_pages_differ_in_everything_that_chance_decides(samples: list[Sample]) -> None:
    for name in ("kind", "ground", "effect", "align", "size"):
        assert len({sample.facts[name] for sample in samples}) >= 3, name
    assert {placed.direction for sample in samples for placed in sample.texts} == {"horizontal", "vertical"}
    assert len({sample.texts[0].fonts for sample in samples}) > 8
    assert len({sample.texts[0].text for sample in samples}) > 60


def test_the_same_seed_and_index_give_the_same_bytes_in_any_order() -> None:
    forwards = {i: encode(s.image) for i, s in enumerate(_samples(SMALL, 8, seed=5))}
    again = pickle.loads(pickle.dumps(SMALL))
    for i in reversed(range(8)):
        sample = again.draw(5, i)
        assert isinstance(sample, Sample)
        assert encode(sample.image) == forwards[i]
    other = SMALL.draw(6, 0)
    assert isinstance(other, Sample)
    assert encode(other.image) != forwards[0]


def test_the_fingerprint_tells_settings_apart(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("一只橘猫睡在窗台上。\n" * 3, encoding="utf-8")
    own = Pure(corpora=(str(tmp_path),), languages=(("zh", 1.0),))
    prints = {SMALL.fingerprint(), Pure().fingerprint(), own.fingerprint()}
    assert len(prints) == 3
    before = own.fingerprint()
    assert pickle.loads(pickle.dumps(own)).fingerprint() == before


def test_layout_centred_keeps_the_text_in_the_middle() -> None:
    for sample in _samples(Pure(longest=(256, 512), layout="centred", lengths=(2, 12)), 12):
        height, width = sample.image.shape[:2]
        x, y = sample.texts[0].quad().mean(axis=0)
        assert abs(y - height / 2) < 0.06 * height
        assert sample.facts["degrees"] == 0
        assert x < 0.6 * width


def test_a_text_that_no_font_draws_is_rejected_whole(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("埃及圣书字\U00013000\U00013001写在墙上已经很久了。", encoding="utf-8")
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    (fonts / "one.ttf").write_bytes(Path(face("kai").path).read_bytes())
    strategy = Pure(
        corpora=(str(tmp_path / "own.txt"),),
        fonts=(str(fonts),),
        system_fonts=False,
        languages=(("zh", 1.0),),
        lengths=(5, 40),
    )
    found = strategy.draw(1, 0)
    assert isinstance(found, Rejected)
    assert found.reason == "undrawable"


def test_a_corpus_of_a_few_short_lines_is_enough(tmp_path: Path) -> None:
    (tmp_path / "signs.txt").write_text("出口\n请勿吸烟\n图书馆\nPush\nMind the gap\n", encoding="utf-8")
    strategy = Pure(corpora=(str(tmp_path / "signs.txt"),), longest=(256, 320))
    strategy.check()
    for sample in _samples(strategy, 20):
        assert sample.texts[0].text.strip()


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (Pure(longest=(900, 300)), "longer side"),
        (Pure(languages=()), "language"),
        (Pure(languages=(("tlh", 1.0),)), "tlh"),
        (Pure(corpora=("/nowhere",)), "/nowhere"),
        (Pure(fonts=("/nowhere",)), "/nowhere"),
    ],
)
def test_what_cannot_be_drawn_is_told_before_anything_is(strategy: Pure, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        strategy.check()


def test_a_font_folder_without_chinese_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin.ttf").write_bytes(Path(face("serif").path).read_bytes())
    with pytest.raises(UsageError, match="zh"):
        Pure(fonts=(str(tmp_path),), system_fonts=False).check()


def test_quotation_marks_give_way_to_the_texts_own() -> None:
    for text in ("plain", "say “hi”", 'say "hi"', "他说“好”"):
        for language in ("en", "zh"):
            assert text in quoted(f"The text {quote(text, language)} here")


def test_colours_are_named_in_both_languages() -> None:
    assert colour_names((255, 255, 255)) == {"en": "white", "zh": "白色"}
    assert colour_names((200, 40, 30))["zh"] == "红色"


def test_ocr_reads_what_is_drawn() -> None:
    """A few pages in the suite; bench/synth_legible.py reads hundreds."""
    pytest.importorskip("rapidocr")
    from PIL import Image

    from annotate.ocr.reader import reader

    key = face("sans-sc")
    book = open_book()
    matched = asked = 0
    for index, text in enumerate(
        ("春眠不觉晓处处闻啼鸟夜来风雨声花落知多少", "It is a truth universally acknowledged")
    ):
        rng = chance(3, "test", index)
        design = choose_design(rng, len(text), "zh-Hans", (448, 448), centred=True)
        image, placed = draw_page(text, "zh-Hans", (key, *book.fall_backs(key, text)), design)
        lines = [line.text for line in reader().read(Image.fromarray(image))]
        found = agreement([placed.text], lines)
        matched, asked = matched + found.matched, asked + found.asked
    assert matched / asked > 0.95
