"""Captions quote the text exactly, whatever it holds, in both languages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.captions.quotes import quoted
from synth.captions import WAYS, caption
from synth.naming import colour_names
from synth.quoting import MARKS, WHOLE, quotable

TEXTS = (
    "Hello",
    "请勿触摸展品",
    'He said "no" to me',
    "他说“好的”。",
    "O'Brien's “Bar & Grill”",
    "‘tis the season",
    "「引号」里的字",
    "what <> is this",
    "5' 10\" tall",
    "第一行\n第二行\nthird line",
    "{scene} {0} %s \\n",
    "A",
)


def made(text: str, language: str, seed: int = 0, **told: object) -> str:
    return caption(language, np.random.default_rng(seed), texts=[text], surface="a wooden board", **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_text_is_quoted_exactly(text: str, language: str) -> None:
    for seed in range(12):
        for stance in ("stands", "hangs", "lies", "near", "close", "direct"):
            for scene in ("", 'A dog sits by a sign that says "STOP".', "一只狗坐在写着“停”的牌子旁"):
                line = made(text, language, seed, stance=stance, scene=scene, colour=(200, 30, 30), letters="sans")
                wanted, whole = quotable(text)
                assert whole
                assert wanted in quoted(line), line
                assert "{" not in line.replace(wanted, "")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=60))
def test_any_text_is_quoted_or_refused(text: str) -> None:
    for language in ("en", "zh"):
        try:
            line = made(text, language)
        except ValueError:
            assert not text.strip() or all(any(c in text for c in pair) for pair in MARKS[language])
            continue
        assert quotable(text)[0].strip() in quoted(line)


def test_lines_are_joined_as_their_writing_is() -> None:
    assert quotable("床前明月光，\n疑是地上霜。") == ("床前明月光，疑是地上霜。", True)
    assert quotable("Open daily\n9 to 5") == ("Open daily 9 to 5", True)


def test_a_long_text_is_quoted_by_its_beginning() -> None:
    text = "The first line of it\n" + "word " * 100
    for language, told in (("en", "begins"), ("zh", "开头")):
        line = made(text, language)
        assert told in line
        assert "The first line of it" in quoted(line)
    endless, whole = quotable("word " * 100)
    assert not whole
    assert len(endless) <= WHOLE
    assert endless.endswith("word")


def test_every_text_is_told_of() -> None:
    line = caption("en", np.random.default_rng(3), texts=["Menu", "Soup", "Tea"], surface="a chalkboard")
    assert quoted(line) == ["Menu", "Soup", "Tea"]


def test_wording_varies() -> None:
    lines = {made("Tea", "en", seed, scene="A street.", letters="serif", colour=(0, 0, 0)) for seed in range(60)}
    assert len(lines) > 15


def test_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="wants a text"):
        made(" \n ", "en")


@pytest.mark.parametrize(("colour", "name"), [((0, 0, 0), "black"), ((255, 255, 255), "white"), ((210, 20, 30), "red")])
def test_colours_have_names(colour: tuple[int, int, int], name: str) -> None:
    assert colour_names(colour)["en"] == name


def test_ways_have_words_in_both_languages() -> None:
    assert all(en.isascii() and not zh.isascii() for en, zh in WAYS.values())
