"""Expert rules: measured facts override what was said, nothing else changes, and every rule that acted is named."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from answering_server import annotation
from hypothesis import given
from hypothesis import strategies as st

from annotate.backends.base import Request, Status
from annotate.backends.rules import RulesBackend, describe
from annotate.expert_rules import DOUBT, RULES, contradictions, correct, language_of
from annotate.facts import Facts, KnownCaption, ReadLine
from annotate.judge import judge
from annotate.schema import Annotation, Box, json_schema

ID = "0" * 32
HERE = {"left": 100, "top": 100, "right": 500, "bottom": 160}
THERE = {"left": 100, "top": 700, "right": 500, "bottom": 760}


def said(**changed: Any) -> Annotation:
    return Annotation(**annotation(2, **changed))


def line(text: str, box: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    return {"text": text, "language": "en", "box": box or HERE, "legible": True, **more}


def read(text: str, box: dict[str, int] | None = None, confidence: float = 0.98) -> ReadLine:
    return ReadLine(text, Box(**(box or HERE)), confidence)


def texts(found: Annotation) -> list[str]:
    return [one.text for one in found.text_lines]


@pytest.mark.parametrize(
    ("told", "ocr", "expected"),
    [
        ([line("GRAND OPENNING")], [read("GRAND OPENING")], ["GRAND OPENING"]),
        ([line("盛大开张")], [read("盛大开业")], ["盛大开业"]),
        ([line("SALE")], [read("SALE 50%", confidence=0.6)], ["SALE"]),  # not sure enough
        ([line("grand opening")], [read("GRAND  OPENING")], ["grand opening"]),  # the same words
        ([line("one two three")], [read("one two", HERE), read("three", HERE)], ["one two three"]),  # read in two
        ([line("page 1"), line("page 2", THERE)], [read("page 2", THERE), read("page 1")], ["page 1", "page 2"]),
        ([line("left")], [read("wholly other words", THERE)], ["left", "wholly other words"]),
        ([], [read("EXIT"), read(" ")], ["EXIT"]),
        ([line("EXIT")], [], ["EXIT"]),
    ],
)
def test_confident_ocr_comes_before_the_annotators_reading(
    told: list[dict[str, Any]], ocr: list[ReadLine], expected: list[str]
) -> None:
    found, _ = correct(said(text_lines=told), Facts(ID, text=tuple(ocr)))
    assert texts(found) == expected


def test_lines_stay_within_the_schema() -> None:
    crowd = tuple(read(f"line number {n}", THERE) for n in range(200))
    found, _ = correct(said(text_lines=[]), Facts(ID, text=crowd))
    assert len(found.text_lines) == 60


def test_codes_are_as_many_as_were_decoded() -> None:
    found, names = correct(said(), Facts(ID, qr_codes=2, barcodes=0))
    assert "qr_code" in found.abnormal
    assert [(o.name, o.count) for o in found.objects if "QR" in o.name] == [("QR code", 2)]
    assert names == ("code_counts",)
    two = [{"name": "二维码", "attributes": [], "count": 1, "position": "top"}]
    found, _ = correct(said(objects=two, abnormal=["qr_code"]), Facts(ID, qr_codes=3))
    assert [(o.name, o.count) for o in found.objects] == [("二维码", 3)]
    # one more than was decoded may be a damaged one
    three = [{"name": "QR code", "attributes": [], "count": 3, "position": "top"}]
    found, names = correct(said(objects=three, abnormal=["qr_code"]), Facts(ID, qr_codes=2))
    assert found.objects[0].count == 3
    assert names == ()


def test_measured_elements_are_told_once_and_in_order() -> None:
    found, names = correct(said(abnormal=["border", "watermark", "border"]), Facts(ID, mosaic=True, watermark=False))
    assert found.abnormal == ["watermark", "mosaic", "border"]
    assert names == ("measured_abnormal", "abnormal_once")


def test_boxes_are_turned_the_right_way_and_twins_merged() -> None:
    crossed = {"left": 500, "top": 160, "right": 100, "bottom": 100}
    twins = [{"name": n, "attributes": ["red"], "count": c, "position": "top"} for n, c in (("Cup", 1), ("cup", 2))]
    found, names = correct(said(text_lines=[line("x", crossed)], objects=twins), Facts(ID))
    assert found.text_lines[0].box == Box(**HERE)
    assert [(o.name, o.count) for o in found.objects] == [("cup", 2)]
    assert names == ("box_edges", "objects_once")


def _caption(short: str) -> list[dict[str, str]]:
    return [{"language": "en", "short": short, "long": short}]


@pytest.mark.parametrize(
    ("changed", "facts", "expected"),
    [
        ({}, Facts(ID), []),
        ({"text_lines": [line("SALE")]}, Facts(ID), []),  # nobody asked OCR
        ({"text_lines": [line("SALE")]}, Facts(ID, text=()), ["text"]),
        ({"text_lines": [line("SALE", legible=False)]}, Facts(ID, text=()), []),
        ({}, Facts(ID, text=(read("EXIT"), read("ONLY", THERE))), ["text"]),
        ({}, Facts(ID, text=(read("EXIT"),)), []),
        ({"abnormal": ["qr_code"]}, Facts(ID, qr_codes=0), ["codes"]),
        ({"abnormal": ["qr_code", "barcode"]}, Facts(ID, qr_codes=0, barcodes=0), ["codes", "codes"]),
        ({"abnormal": ["qr_code"]}, Facts(ID), []),
        ({}, Facts(ID, faces=3), ["faces"]),
        ({"captions": _caption("Two women laugh.")}, Facts(ID, faces=3), []),
        ({"captions": _caption("Two squares on a wall.")}, Facts(ID), ["count"]),
        ({"captions": _caption("One square on a wall.")}, Facts(ID), []),
        ({"captions": _caption("画面中有3个square")}, Facts(ID), ["count"]),
    ],
)
def test_contradictions_lower_the_confidence(changed: dict[str, Any], facts: Facts, expected: list[str]) -> None:
    told = said(**changed)
    assert contradictions(told, facts) == expected
    found, names = correct(told, facts)
    assert found.confidence == pytest.approx(told.confidence * DOUBT ** len(expected), abs=1e-4)
    assert ("doubt" in names) == bool(expected)


def _pairs(box: dict[str, int]) -> list[int]:
    return [*sorted((box["left"], box["right"])), *sorted((box["top"], box["bottom"]))]


words = st.text(alphabet="ab 猫X9", min_size=1, max_size=6).filter(str.strip)
boxes = st.builds(lambda a, b, c, d: {"left": a, "top": b, "right": c, "bottom": d}, *[st.integers(0, 1000)] * 4)
upright = boxes.map(lambda b: dict(zip(("left", "right", "top", "bottom"), _pairs(b), strict=True)))
facts = st.builds(
    Facts,
    st.just(ID),
    text=st.none() | st.lists(st.builds(read, words, upright, st.floats(0, 1)), max_size=5).map(tuple),
    qr_codes=st.none() | st.integers(0, 3),
    barcodes=st.none() | st.integers(0, 3),
    faces=st.none() | st.integers(0, 3),
    watermark=st.none() | st.booleans(),
    pseudo_text=st.none() | st.booleans(),
)


@given(st.lists(st.builds(line, words, boxes), max_size=5), facts)
def test_what_the_rules_make_is_valid_and_settled(told: list[dict[str, Any]], facts: Facts) -> None:
    once, names = correct(said(text_lines=told), facts)
    Annotation.model_validate(once.model_dump())
    assert set(names) <= RULES.keys()
    twice, again = correct(once, facts)
    # doubt speaks of what the annotator said; the other rules leave what they made as it is
    assert set(again) <= {"doubt"}
    assert twice.model_copy(update={"confidence": once.confidence}) == once


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("SALE", "en"),
        ("开业大吉", "zh"),
        ("50%", "none"),
        ("Café", "other"),
        ("さくら", "other"),
        ("第3层 Floor", "zh"),
    ],
)
def test_the_language_of_a_line(text: str, language: str) -> None:
    assert language_of(text) == language


RICH = Facts(
    ID,
    captions=(
        KnownCaption("raw", "A red bus stops in front of the old town hall. Two people wait.", "en"),
        KnownCaption("raw", "IMG_2041.jpg", "en"),
        KnownCaption("recaption", "A much longer caption that a model made of it, which does not count here.", "en"),
    ),
    text=(read("TOWN HALL"), read("公交车站", THERE), read("   ")),
    qr_codes=1,
    watermark=True,
)


def test_rules_make_an_annotation_of_what_is_known() -> None:
    found = describe(RICH, ("en", "zh"))
    english, chinese = found.captions
    assert english.short == "A red bus stops in front of the old town hall"
    assert english.long == RICH.captions[0].text
    assert "“公交车站”" in chinese.long
    assert "二维码" in chinese.short
    assert [(one.text, one.language) for one in found.text_lines] == [("TOWN HALL", "en"), ("公交车站", "zh")]
    assert {"qr_code", "watermark"} <= set(found.abnormal)
    assert found.category == []
    assert found.confidence < describe(RICH, ("en",)).confidence < 0.5


@given(facts, st.sampled_from([("en",), ("zh",), ("zh", "en")]))
def test_the_rules_answer_is_valid_whatever_is_known(facts: Facts, languages: tuple[str, ...]) -> None:
    asked = Request(facts, "", "", json_schema(languages), languages, 100)

    async def ask() -> Any:
        return await RulesBackend().answer([asked], None)  # type: ignore[arg-type]

    (answer,) = asyncio.run(ask())
    assert judge(answer, asked).status is Status.SUCCESS
    assert (answer.input_tokens, answer.output_tokens, answer.sends) == (0, 0, 0)
