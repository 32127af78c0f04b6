"""Caption rules on a labelled list, a third of which was not looked at while the rules were made; and one by one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.captions.language import contradicts, detect
from annotate.captions.rules import REASONS, count_tokens, invalid

LABELLED = Path(__file__).parent / "data" / "captions_labelled.jsonl"


def labelled(*, held_out: bool) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    return [r for r in rows if (hashlib.sha256(r["text"].encode()).digest()[0] % 3 == 0) is held_out]


@pytest.mark.parametrize("held_out", [False, True], ids=["seen", "held out"])
def test_precision_and_recall_on_the_labelled_list(held_out: bool) -> None:
    rows = labelled(held_out=held_out)
    found = [(invalid(r["text"], r["declared"]), r["invalid"]) for r in rows]
    both = sum(bool(got) and bool(want) for got, want in found)
    assert both / sum(bool(got) for got, _ in found) >= 0.95
    assert both / sum(bool(want) for _, want in found) >= 0.95
    assert sum(got == want for got, want in found) / len(found) >= 0.95  # the reason is right too


def test_the_list_is_what_it_is_said_to_be() -> None:
    rows = labelled(held_out=False) + labelled(held_out=True)
    bad = [r for r in rows if r["invalid"]]
    chinese = [r for r in rows if detect(r["text"]) == "zh"]
    assert len(rows) >= 300
    assert len({r["text"] for r in rows}) == len(rows)
    assert 0.4 <= len(bad) / len(rows) <= 0.6
    assert {r["invalid"] for r in bad} == set(REASONS)
    assert len(chinese) / len(rows) >= 0.25
    assert sum(r["invalid"] is None for r in chinese) >= 60


def test_human_captions_are_valid(shared_data: Path) -> None:
    lines = (shared_data / "photos_captioned" / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [(t, lang) for r in map(json.loads, lines) for lang in ("en", "zh") for t in r[f"captions_{lang}"]]
    wrong = [(t, reason) for t, lang in texts if (reason := invalid(t, lang))]
    assert len(texts) > 500
    assert len(wrong) <= 0.01 * len(texts), wrong


def test_long_prompts_of_benchmarks_are_valid(shared_data: Path) -> None:
    texts = []
    for name in ("text_prompts.jsonl", "text_prompts_zh.jsonl"):
        lines = (shared_data / "bench_prompts" / "longtext_bench" / name).read_text(encoding="utf-8").splitlines()
        texts += [json.loads(line)["prompt"] for line in lines]
    assert len(texts) == 160
    assert [t for t in texts if invalid(t)] == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("一只猫", 3), ("a cat", 2), ("photographers", 3), ("42 cats.", 4), ("猫 and 狗", 3)],
)
def test_tokens_are_counted_by_character_and_by_piece_of_word(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@given(st.text(max_size=60), st.text(max_size=60))
def test_tokens_add_up_over_lines(a: str, b: str) -> None:
    assert count_tokens(f"{a}\n{b}") == count_tokens(a) + count_tokens(b)


@given(st.text(max_size=200), st.sampled_from([None, "en", "zh", "und", "fr"]))
def test_every_text_gets_a_known_answer(text: str, declared: str | None) -> None:
    assert invalid(text, declared) in (None, *REASONS)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A cat on a mat", "en"),
        ("sunset", "en"),
        ("一只猫", "zh"),
        ("iPhone 15 放在木桌上", "zh"),
        ("A red neon sign with the characters 火锅 above a door", "en"),
        ("犬が公園で走っています", "other"),
        ("바닷가에서 노는 아이들", "other"),
        ("Женщина на мосту", "other"),
        ("Un homme et une femme dans la rue", "other"),
        ("123 !!", "und"),
        ("", "und"),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert detect(text) == language


def test_a_language_nobody_told_contradicts_nothing() -> None:
    assert not contradicts("und", "一只猫")
    assert not contradicts(None, "a cat on the mat")
    assert not contradicts("fr", "a cat on the mat")
    assert not contradicts("en", "12:30")
    assert contradicts("en", "一只猫在睡觉")
    assert contradicts("zh_Hans", "a cat on the mat")


@pytest.mark.parametrize(("unit", "times"), [("na", 3), ("one two", 3), ("up and down", 2)])
def test_a_refrain_is_no_loop(unit: str, times: int) -> None:
    assert invalid("They sing " + f"{unit} " * times + "in the old barn by the lake") is None
    assert invalid("They sing " + f"{unit} " * (times + 3) + "in the old barn by the lake") == "repeated"


@pytest.mark.parametrize(
    "bad", ["I'm sorry, I cannot describe this image.", "点击查看大图", "Lorem ipsum dolor sit amet"]
)
def test_what_a_caption_quotes_is_not_held_against_it(bad: str) -> None:
    assert invalid(bad) is not None
    assert invalid(f"A billboard in the desert that reads “{bad}” in red letters") is None
    assert invalid(f"沙漠中的广告牌上写着「{bad}」") is None
