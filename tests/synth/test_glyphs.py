"""Glyphs: equally often, where their layout says, with captions that quote them and tell the truth about the place."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typefaces import face

from annotate.captions.quotes import quoted
from synth.encode import encode
from synth.glyphs.characters import CHINESE, DEFAULT, read_characters
from synth.glyphs.look import FREE_EM, JITTER
from synth.glyphs.strategy import Glyphs
from synth.sample import Rejected, Sample
from warehouse.errors import UsageError

FEW = tuple("AQ8中国水")
MIDDLE = {"top": 0, "left": 0, "centre": 1, "bottom": 2, "right": 2}


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    face("sans-sc")


def _samples(strategy: Glyphs, count: int, seed: int = 1) -> list[Sample]:
    strategy.check()
    drawn = [strategy.draw(seed, index) for index in range(count)]
    rejected = [sample for sample in drawn if isinstance(sample, Rejected)]
    assert not rejected, rejected[:3]
    return [sample for sample in drawn if isinstance(sample, Sample)]


def test_ours_are_86_of_which_50_are_chinese() -> None:
    assert len(set(DEFAULT)) == 86
    assert len(set(CHINESE)) == 50


def test_each_character_is_drawn_equally_often() -> None:
    texts = Counter(sample.texts[0].text for sample in _samples(Glyphs(FEW), 60))
    assert texts == dict.fromkeys(FEW, 10)


@pytest.mark.parametrize("side", [64, 128])
def test_centred_ink_is_in_the_middle_within_two_pixels_of_64(side: int) -> None:
    offsets = set()
    for sample in _samples(Glyphs(FEW, longest=(side, side)), 240):
        assert sample.image.shape == (side, side, 3)
        x0, y0, x1, y1 = sample.texts[0].boxes[0]
        off = ((x0 + x1) / 2 - side / 2, (y0 + y1) / 2 - side / 2)
        assert max(map(abs, off)) <= round(JITTER * side) + 0.5
        offsets.add(off)
        assert sample.facts["position"] == "in the centre"
    assert len(offsets) >= 20


def test_centred_pictures_differ_until_all_were_drawn() -> None:
    few = tuple("水A")
    strategy = Glyphs(few, faces=_two_names())
    seen = [encode(sample.image) for sample in _samples(strategy, 100)]
    assert len(set(seen)) == 100  # two characters, two faces, 25 places
    again = strategy.draw(1, 100)
    assert isinstance(again, Sample)
    assert encode(again.image) in seen


def _two_names() -> tuple[str, ...]:
    names = tuple(info.name for info in Glyphs(FEW)._faces())
    if len(names) < 2:
        pytest.skip("one sans-serif font only that draws them all")
    return names[:2]


def test_free_ink_is_where_the_facts_and_the_caption_say() -> None:
    side = 64
    places, sizes = set(), set()
    for sample in _samples(Glyphs(FEW, layout="free"), 240):
        (placed,) = sample.texts
        x0, y0, x1, y1 = placed.boxes[0]
        assert min(x0, y0) >= 0
        assert max(x1, y1) <= side
        assert round(FREE_EM[0] * side) <= placed.size <= round(FREE_EM[1] * side)
        where = str(sample.facts["position"])
        room_x, room_y = (x0 - 2) / (side - 4 - (x1 - x0)), (y0 - 2) / (side - 4 - (y1 - y0))
        for word in where.replace("in the ", "").replace("at the ", "").split():
            share = room_y if word in ("top", "bottom") else room_x
            if word != "centre":
                assert abs(share - (MIDDLE[word] / 2)) <= 0.4, (where, share)
        captions = sample.facts["placed_captions"]
        assert isinstance(captions, dict)
        assert where in str(captions["en"])
        assert str(sample.facts["size"]) in str(captions["en"])
        for caption in (*captions.values(), *sample.captions.values()):
            assert quoted(str(caption)) == [placed.text]
        assert where not in sample.captions["en"]
        column, row = str(captions["exact"]).split()[-2:]
        assert (ord(column) - ord("a"), int(row) - 1) == (int((x0 + x1) / 8), int((y0 + y1) / 8))
        places.add(where)
        sizes.add(sample.facts["size"])
    assert len(places) == 9
    assert sizes == {"small", "medium", "large"}


def test_short_strings_begin_with_the_character_whose_turn_it_is() -> None:
    samples = _samples(Glyphs(FEW, longest_text=3), 60)
    assert {len(sample.texts[0].text) for sample in samples} == {1, 2, 3}
    for index, sample in enumerate(samples):
        text = sample.texts[0].text
        assert text[0] == FEW[index % len(FEW)]
        assert set(text) <= set(FEW)
        assert quoted(sample.captions["en"]) == [text]


def test_colours_are_told_when_they_are_not_black_on_white() -> None:
    for sample in _samples(Glyphs(FEW, colours="several"), 60):
        told = str(sample.facts["ink"]) in sample.captions["en"]
        assert told == (sample.facts["ink"] != "black")
        ink = sample.image.astype(int).sum(axis=-1)
        assert np.ptp(ink) > 300


@given(seed=st.integers(0, 9), index=st.integers(0, 500), layout=st.sampled_from(["centred", "free"]))
def test_a_sample_depends_on_seed_and_index_alone(seed: int, index: int, layout: str) -> None:
    strategy = Glyphs(FEW, layout="free" if layout == "free" else "centred")
    copy: Glyphs = pickle.loads(pickle.dumps(strategy))
    copy.draw(seed + 1, index + 1)
    one, two = strategy.draw(seed, index), copy.draw(seed, index)
    assert isinstance(one, Sample)
    assert isinstance(two, Sample)
    assert np.array_equal(one.image, two.image)
    assert (one.captions, one.facts) == (two.captions, two.facts)


def test_what_changes_a_picture_changes_the_fingerprint() -> None:
    prints = {
        strategy.fingerprint()
        for strategy in (
            Glyphs(),
            Glyphs(FEW),
            Glyphs(layout="free"),
            Glyphs(colours="several"),
            Glyphs(longest_text=2),
        )
    }
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (Glyphs(("中", "“")), "quotation mark"),
        (Glyphs(("中国",)), "single characters"),
        (Glyphs(()), "name characters"),
        (Glyphs(FEW, faces=("No Such Font",)), "no font called No Such Font"),
        (Glyphs(("\U0001f980", "\u0950", "中")), "no one font"),
        (Glyphs(FEW, longest_text=9), "1 to 8"),
        (Glyphs(FEW, longest=(64, 5000)), "64 to 1024"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(strategy: Glyphs, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        strategy.check()


def test_characters_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "chars.txt"
    file.write_text("\ufeffAB 中\n中国A\n", encoding="utf-8")
    assert read_characters(file) == ("A", "B", "中", "国")
    file.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UsageError, match="UTF-8"):
        read_characters(file)
    file.write_text(" \n")
    with pytest.raises(UsageError, match="no characters"):
        read_characters(file)
