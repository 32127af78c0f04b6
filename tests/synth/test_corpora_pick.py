"""Texts and phrases by chance: within the limits, cut where a reader would, the same for the same generator."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.chance import chance
from synth.corpora.corpus import Corpus, open_corpus
from synth.corpora.cut import CLAUSES, SENTENCES, WORDS, cut, paired, sentences
from synth.corpora.lengths import STRATA, stratum
from synth.corpora.phrases import phrases_of
from warehouse.errors import UsageError

ROLES = (
    *("title", "subtitle", "heading", "name", "place", "date", "price", "dish", "slogan", "sign", "button", "sentence"),
    *("bullet", "label", "organisation", "greeting"),
)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Corpus:
    folder = shared_data / "text_corpora"
    return open_corpus((str(folder / "poems_zh"), str(folder / "sentences"), str(folder / "books")))


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", STRATA)
def test_every_stratum_is_met(language: str, name: str) -> None:
    corpus = open_corpus(())
    shortest, longest = STRATA[name]
    if name == "document" and language == "zh":
        shortest = 1500
    for i in range(20):
        text = corpus.pick(chance(3, name, i), language, shortest, longest, breaks=bool(i % 2))
        assert shortest <= len(text.text) <= longest
        assert text.language == {"zh": "zh-Hans", "en": "en"}[language]
        assert "\n" not in text.text or i % 2


@settings(max_examples=60)
@given(
    st.sampled_from(["zh-Hans", "zh-Hant", "en"]),
    st.integers(1, 400),
    st.integers(0, 200),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_limits_hold_or_there_is_none(real: Corpus, language: str, low: int, more: int, seed: int, flat: bool) -> None:
    choose = real.flattened if flat else real.pick
    try:
        text = choose(chance(seed, "t", 0), language, low, low + more, breaks=seed % 2 == 0)
    except UsageError as error:
        assert more < 4, error  # a length to the character may be nowhere  # noqa: PT017
    else:
        assert low <= len(text.text) <= low + more
        assert text.language == language
        assert text.text == text.text.strip()


def test_texts_of_sentences_are_whole(real: Corpus) -> None:
    ends = Counter(real.pick(chance(5, "t", i), "zh-Hans", 20, 120).text[-1] for i in range(300))
    assert sum(ends[c] for c in "。！？；”…") > 0.8 * 300, ends  # songs among them have no marks at the ends of lines


def test_picks_are_spread_and_depend_on_the_generator_alone(real: Corpus) -> None:
    def drawn() -> list[str]:
        return [real.pick(chance(9, "t", i), "zh", 10, 60).text for i in range(300)]

    assert drawn() == drawn()
    assert len(set(drawn())) > 290


def test_languages_without_texts_are_told(real: Corpus) -> None:
    with pytest.raises(UsageError, match=r"no text in 'th' of 5 to 9 characters; it has "):
        real.pick(chance(0, "t", 0), "th", 5, 9)
    with pytest.raises(UsageError, match="no text in 'en' of 999999 to 999999"):
        real.pick(chance(0, "t", 0), "en", 999_999, 999_999)
    with pytest.raises(UsageError, match="1 <= shortest <= longest"):
        real.pick(chance(0, "t", 0), "en", 5, 4)


def test_words_come_only_where_no_text_fits(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("harbour 3\nquay 2\n", encoding="utf-8")
    (tmp_path / "t.txt").write_text("A boat came in.", encoding="utf-8")
    corpus = open_corpus((str(tmp_path),))
    assert {corpus.pick(chance(0, "t", i), "en", 4, 9).text for i in range(30)} <= {"A boat", "came in."}
    alone = open_corpus((str(tmp_path / "w.txt"),))
    found = {alone.pick(chance(0, "t", i), "en", 4, 9) for i in range(30)}
    assert {text.text for text in found} == {"harbour", "quay"}
    assert {text.stratum for text in found} == {"word"}


def test_flattened_texts_have_flatter_characters(real: Corpus) -> None:
    def gini(texts: list[str]) -> float:
        counts = np.sort(np.array(list(Counter(c for t in texts for c in t if c.isalpha()).values()), float))
        n = len(counts)
        return float(2 * (np.arange(1, n + 1) * counts).sum() / (n * counts.sum()) - (n + 1) / n)

    picked = gini([real.pick(chance(1, "t", i), "zh-Hans", 30, 100).text for i in range(600)])
    flat = gini([real.flattened(chance(1, "t", i), "zh-Hans", 30, 100).text for i in range(600)])
    assert flat < picked - 0.01


def test_digest_is_of_the_texts_not_of_where_they_are(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("The first text of all.", encoding="utf-8")
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "b.txt").write_text("The first text of all!", encoding="utf-8")
    one, two, three = (open_corpus((str(tmp_path / name),)).digest for name in ("one", "two", "three"))
    assert one == two != three


def test_another_process_picks_the_same() -> None:
    code = (
        "from synth.chance import chance; from synth.corpora.corpus import open_corpus; c = open_corpus(());"
        "print(c.digest, [c.pick(chance(4, 't', i), 'zh', 5, 50).text for i in range(20)],"
        "[c.flattened(chance(4, 't', i), 'en', 5, 90).text for i in range(20)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(Path(__file__).parents[2])},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_sentences_are_found_and_put_together_again() -> None:
    text = "“Mr. Hale came at 3.5 miles an hour,” she said. Then J. R. left! 他说：“走吧。”然后走了。"
    assert sentences(text) == [
        "“Mr. Hale came at 3.5 miles an hour,” she said.",
        " Then J. R. left!",
        " 他说：“走吧。”",
        "然后走了。",
    ]


@given(st.text("ab 。，.,“”（）\n中文字", max_size=80), st.integers(1, 20), st.integers(0, 20), st.integers(0, 1000))
def test_cuts_are_within_limits_and_parts(text: str, low: int, more: int, seed: int) -> None:
    for rough in (SENTENCES, CLAUSES, WORDS):
        found = cut(text, chance(seed, "t", 0), low, low + more, rough)
        if found is not None:
            assert low <= len(found) <= low + more
            assert re.sub("[“”（）\\s]", "", found) in re.sub("[“”（）\\s]", "", text)
    assert "".join(sentences(text)) == text


def test_marks_that_lost_their_half_go() -> None:
    assert paired("“走吧。他说：“好。”") == "走吧。他说：“好。”"
    assert paired("It’s the boys’ house”") == "It’s the boys’ house"
    assert paired('He said "no" and "yes') == 'He said "no" and yes'
    assert paired("（一）二）") == "（一）二"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_sixty_phrases(language: str, role: str) -> None:
    corpus = open_corpus(())
    assert len(phrases_of(language).roles[role]) >= 60
    drawn = {corpus.phrase(chance(1, role, i), language, role) for i in range(400)}
    assert len(drawn) >= 55
    assert all(text and text == text.strip() and not set("{}") & set(text) for text in drawn)


def test_own_texts_are_rich() -> None:
    corpus = open_corpus(())
    for language in ("zh", "en"):
        held = [text.text for text in corpus.paragraphs(language)]
        assert len(held) >= 130
        assert sum(stratum(text) == "paragraph" or len(text) > 75 for text in held) >= 30
    assert corpus.skipped == {}


def test_slots_are_filled() -> None:
    corpus = open_corpus(())
    dates = {corpus.phrase(chance(2, "d", i), "zh", "date") for i in range(300)}
    assert any(re.fullmatch(r"20\d\d\.[01]\d\.[0-2]\d", text) for text in dates)
    with pytest.raises(UsageError, match="no phrases for 'song'; roles are title"):
        corpus.phrase(chance(0, "d", 0), "en", "song")
    with pytest.raises(UsageError, match="phrases in en and zh, none in 'fr'"):
        corpus.phrase(chance(0, "d", 0), "fr", "title")
