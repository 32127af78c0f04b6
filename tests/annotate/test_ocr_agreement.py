"""Quoted text against what was read: recall by characters, whatever stands around, blind characters not asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.ocr.agreement import Agreement, agreement, fewest_edits, normalised

WORDS = st.text(alphabet="abc中文", max_size=8)


@pytest.mark.parametrize(
    ("quoted", "lines", "matched", "asked"),
    [
        (["Grand Opening"], ["GRAND", "OPENING", "Saturday"], 12, 12),
        (["欢迎光临"], ["热烈", "欢迎光临！", "本店"], 4, 4),
        (["欢迎光临"], ["欢迎", "光临"], 4, 4),  # over two lines
        (["ＳＡＬＥ　５０％"], ["sale 50%"], 6, 6),
        (["it's"], ["It’s"], 3, 3),
        (["ﬁsh"], ["fish"], 4, 4),
        (["hello"], ["hallo world"], 4, 5),
        (["hello"], ["helo"], 4, 5),
        (["hello"], ["he llo"], 5, 5),
        (["hello", "vivid"], ["hello"], 5, 10),
        (["hello"], [], 0, 5),
        (["hello"], ["zzz"], 0, 5),
        (["?!"], ["zzz"], 0, 0),
        ([], ["zzz"], 0, 0),
    ],
)
def test_characters_found(quoted: list[str], lines: list[str], matched: int, asked: int) -> None:
    assert agreement(quoted, lines) == Agreement(matched, asked, 0)


def test_blind_characters_are_counted_and_not_asked_for() -> None:
    blind = frozenset("犇㐀")
    assert agreement(["三犇牛肉"], ["三奔牛肉"], blind) == Agreement(3, 3, 1)
    assert agreement(["三犇牛肉"], ["三牛肉"], blind) == Agreement(3, 3, 1)
    assert agreement(["三犇牛肉"], ["三奔牛内"], blind) == Agreement(2, 3, 1)
    assert agreement(["犇"], [], blind) == Agreement(0, 0, 1)
    assert agreement(["三犇牛肉"], ["三奔牛肉"]) == Agreement(3, 4, 0)


def test_a_blind_character_vouches_for_no_other() -> None:
    assert agreement(["犇牛"], ["马羊"], frozenset("犇")) == Agreement(0, 1, 1)


def test_share_is_unknown_where_nothing_was_asked() -> None:
    assert agreement(["..."], ["text"]).share is None
    assert agreement(["abc"], ["abd"]).share == pytest.approx(2 / 3, abs=1e-4)


@given(WORDS, WORDS)
def test_fewest_edits_is_the_distance_to_the_nearest_stretch(wanted: str, text: str) -> None:
    stretches = {text[i:j] for i in range(len(text) + 1) for j in range(i, len(text) + 1)}
    assert fewest_edits(wanted, text) == min(_distance(wanted, part) for part in stretches)


@given(WORDS, WORDS, WORDS)
def test_a_text_is_found_wherever_it_stands(before: str, quote: str, after: str) -> None:
    found = agreement([quote], [before + quote + after])
    assert found.matched == found.asked == len(normalised(quote))


@given(WORDS, WORDS, st.sets(st.sampled_from("abc中文")))
def test_no_more_is_matched_than_asked(quote: str, text: str, blind: set[str]) -> None:
    found = agreement([quote], [text], blind)
    assert 0 <= found.matched <= found.asked
    assert found.asked + found.blind == len(normalised(quote))


@given(st.text(max_size=30))
def test_normalised_twice_is_normalised(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]
