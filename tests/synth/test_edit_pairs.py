"""Edit pairs: nothing outside the quadrilateral differs, and the instruction names what did change."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotate.captions.quotes import quoted
from synth.edits.phrases import draw_phrase, patterns
from synth.edits.strategy import CHANGES, Edits
from synth.sample import Rejected
from synth.strategy import EditPair
from warehouse.errors import UsageError

PAIRS = 1000 if os.environ.get("GLYPHMILL_SOAK") else 60


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for n in range(3):
        coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f"{n}.jpg"), cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC))
    return str(folder)


def _edits(photos: str) -> Edits:
    return Edits(photos=(photos,), longest=(256, 512))


def _pairs(strategy: Edits, count: int) -> list[tuple[int, EditPair]]:
    drawn = [(i, strategy.draw_pair(11, i)) for i in range(count)]
    rejected = [pair for _, pair in drawn if isinstance(pair, Rejected)]
    assert len(rejected) < 0.05 * count, rejected[:3]
    return [(i, pair) for i, pair in drawn if isinstance(pair, EditPair)]


def test_pixels_outside_the_quadrilateral_are_identical_and_the_change_is_the_one_named(photos: str) -> None:
    """The bar is a thousand pairs: so many in a soak run."""
    seen = set()
    for index, pair in _pairs(_edits(photos), PAIRS):
        one, other = pair.reference.image, pair.target.image
        assert one.shape == other.shape
        differs = (one != other).any(axis=-1)
        assert differs.any(), index
        inside = np.zeros_like(differs)
        corners = np.array(pair.quad).reshape(4, 2)
        (x0, y0), (x1, y1) = corners[0].astype(int), corners[2].astype(int)
        inside[y0:y1, x0:x1] = True
        assert not differs[~inside].any(), index
        _check_names(pair)
        seen.add(pair.kind)
    assert seen == set(CHANGES)


def _check_names(pair: EditPair) -> None:
    """What the instruction quotes stands in the pictures: the old text in the reference, the new one in the target."""
    before = [placed.text for placed in pair.reference.texts]
    after = [placed.text for placed in pair.target.texts]
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    for language in ("en", "zh"):
        quotes = quoted(pair.instruction[language])
        assert quotes, pair.instruction
        assert any(quote in text for quote in quotes for text in before)
        if pair.kind in ("word", "language"):
            ((old, new),) = changed
            assert old in quotes
            assert any(quote in new for quote in quotes if quote not in old), pair.instruction
        else:
            assert not changed
    moved = [
        (a, b)
        for a, b in zip(pair.reference.texts, pair.target.texts, strict=True)
        if (a.text, a.colour, a.fonts, a.quad().tolist()) != (b.text, b.colour, b.fonts, b.quad().tolist())
    ]
    assert len(moved) == 1
    ((one, other),) = moved
    if pair.kind == "colour":
        assert one.colour != other.colour
        assert one.fonts == other.fonts
    if pair.kind == "font":
        assert one.fonts != other.fonts
    if pair.kind == "position":
        assert np.abs(one.quad() - other.quad()).max() > 20


def test_boards_in_photographs_keep_their_light_and_grain(shared_data: Path) -> None:
    """What is put up in a photograph a second time differs where its writing does and nowhere else."""
    strategy = Edits(photos=(str(shared_data / "photos_captioned" / "images"),), longest=(384, 512))
    pairs = [pair for _, pair in _pairs(strategy, 24) if pair.reference.template != "edit:poster"]
    assert len(pairs) > 6
    for pair in pairs:
        x0, y0, x1, y1 = (int(v) for v in (*pair.quad[:2], *pair.quad[4:6]))
        height, width = pair.target.image.shape[:2]
        assert (x1 - x0) * (y1 - y0) < 0.5 * width * height
        quads = np.concatenate([text.quad() for s in (pair.reference, pair.target) for text in s.texts])
        assert quads[:, 0].min() > x0 - 12
        assert quads[:, 1].max() < y1 + 12
        _check_names(pair)


def test_the_same_index_gives_the_same_pair_in_any_order(photos: str) -> None:
    strategy = _edits(photos)
    forwards = {i: strategy.draw_pair(2, i) for i in range(8)}
    again = pickle.loads(pickle.dumps(strategy))
    for i in reversed(range(8)):
        one, other = forwards[i], again.draw_pair(2, i)
        assert type(one) is type(other)
        if isinstance(one, EditPair) and isinstance(other, EditPair):
            assert np.array_equal(one.target.image, other.target.image)
            assert one.instruction == other.instruction


def test_phrases_say_the_same_in_both_languages_with_the_same_slots() -> None:
    for role in ("title", "line"):
        for pattern in patterns(role):
            assert sorted(pattern.slots) == sorted(replace(pattern, en=pattern.zh).slots), pattern
    rng = np.random.default_rng(0)
    for _ in range(200):
        phrase = draw_phrase(rng, "line")
        other, slot = phrase.with_other_word(rng)
        assert phrase.text("en") != other.text("en")
        assert phrase.text("zh") != other.text("zh")
        assert phrase.words("zh")[slot] in phrase.text("zh")
        assert "{" not in phrase.text("en") + phrase.text("zh")


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match="en and zh"):
        Edits(languages=(("fr", 1.0),)).check()
    with pytest.raises(UsageError, match="changes are"):
        Edits(kinds=("size",)).check()  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Edits(photos=("/nowhere",)).check()
