"""Pages that differ in a word are not duplicates, whatever their hashes say; copies of them are. No text is known here.

A small set; `bench/text_duplicates.py` does the same with 1,000 of each and shows where the limit lies.
"""

from __future__ import annotations

from itertools import combinations

import drawn_pages as drawn
import pytest
from drawn_pages import Kind, Look

from pipelines.near.pairs import MAX_DISTANCE, MAX_TILE_DISTANCE

KINDS: tuple[Kind, ...] = ("page", "slide", "poster")


def marked(a: Look, b: Look) -> bool:
    bits, tiles = drawn.distances(a, b)
    return bits <= MAX_DISTANCE and tiles <= MAX_TILE_DISTANCE


@pytest.mark.parametrize("saved", ["PNG", "JPEG"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_word_makes_another_picture(kind: Kind, saved: str) -> None:
    nominated = 0
    for seed in range(8):
        one, other, _ = drawn.edit_pair(kind, seed)
        a, b = drawn.look(drawn.encode(one, saved)), drawn.look(drawn.encode(other, saved))
        nominated += drawn.distances(a, b)[0] <= MAX_DISTANCE
        assert not marked(a, b), f"{kind} {seed}: {drawn.distances(a, b)}"
    assert nominated, "the hash alone would have told them apart: this test proves nothing"


@pytest.mark.parametrize("kind", ["page", "slide"])
def test_other_words_in_one_layout_make_another_picture(kind: Kind) -> None:
    for seed in range(3):
        looks = [drawn.look(drawn.encode(image)) for image in drawn.pages_of_one_layout(kind, seed, 5)]
        assert not any(marked(a, b) for a, b in combinations(looks, 2))


def test_copies_of_pages_are_duplicates() -> None:
    found = []
    for kind in KINDS:
        for seed in range(10):
            page = drawn.layout(kind, seed)
            image = drawn.draw(page, drawn.words_for(page, 0))
            original = drawn.look(drawn.encode(image))
            found += [marked(original, drawn.look(copy)) for _, copy in drawn.copies(image, seed, 4)]
    assert sum(found) >= 0.99 * len(found)


def test_a_copy_of_an_edit_is_a_copy_of_the_edit_alone() -> None:
    one, other, _ = drawn.edit_pair("poster", 3)
    copy = drawn.look(drawn.encode(other.resize((other.width // 2, other.height // 2)), "JPEG", 80))
    assert marked(drawn.look(drawn.encode(other)), copy)
    assert not marked(drawn.look(drawn.encode(one)), copy)
