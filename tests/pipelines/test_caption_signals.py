"""Captions' own signals and their agreement with OCR: rows of the extractors, and what a recipe makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from annotate.ocr import blind as ocr_blind
from pipelines.extractors import agreement, captions
from pipelines.extractors.base import CaptionText, Described, Extractor
from pipelines.signals import known_signals, relation
from warehouse.schema import CAPTIONS, INPUTS

TEXTS = {
    "good": "A street sign that reads “Main Street” above a parked car",
    "zh": "店门口写着“今日休息”",
    "refusal": "I'm sorry, I cannot describe this image.",
    "file": "IMG_1234.JPG",
    "plain": "Two dogs on a beach",
}


def described(*names: str, lines: list[str] | None = None) -> Described:
    told = tuple(CaptionText(name, "raw", TEXTS[name], "und") for name in names)
    rows = {} if lines is None else {"ocr": {"ocr_lines": [{"text": line} for line in lines]}}
    return Described("image", captions=told, rows=rows)


@pytest.fixture(autouse=True)
def no_blind_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_blind, "blind_characters", frozenset)


def test_a_row_for_each_caption() -> None:
    (rows,) = captions.measure([described("good", "zh", "refusal", "file")])
    assert [(r["caption_id"], r["caption_lang"], r["invalid"]) for r in rows] == [
        ("good", "en", None),
        ("zh", "zh", None),
        ("refusal", "en", "refusal"),
        ("file", "en", "file_name"),
    ]
    assert [r["quoted"] for r in rows] == [["Main Street"], ["今日休息"], [], []]
    assert rows[0]["caption_tokens"] == 13
    assert all(set(r) == {"caption_id", *(c.name for c in captions.COLUMNS)} for r in rows)


def test_agreement_asks_for_what_is_quoted_and_for_nothing_else() -> None:
    (rows,) = agreement.measure([described("good", "zh", "plain", lines=["MAIN STREET", "one way"])])
    assert [(r["quoted_chars"], r["agreement"]) for r in rows] == [(10, 1.0), (4, 0.0), (0, None)]
    (rows,) = agreement.measure([described("good", lines=["MAIM STREET"])])
    assert rows[0]["agreement"] == 0.9


def test_a_picture_without_text_agrees_with_no_quote() -> None:
    (rows,) = agreement.measure([described("good", lines=[])])
    assert rows[0]["agreement"] == 0.0


def test_without_ocr_only_captions_that_quote_nothing_can_be_judged() -> None:
    (rows,) = agreement.measure([described("plain")])
    assert rows[0]["agreement"] is None
    with pytest.raises(ValueError, match="OCR failed"):
        agreement.measure([described("plain", "good")])


def signals(extractor: Extractor, rows: list[dict[str, Any]], told: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """The extractor's image signals by image, as decide reads them. `told`: caption names of each image."""
    con = duckdb.connect()
    inputs = INPUTS.from_rows([{"image_id": name, "status": "ok"} for name in told])
    said = CAPTIONS.from_rows(
        [
            {"image_id": i, "caption_id": c, "kind": "recaption" if c == "zh" else "raw", "text": TEXTS[c]}
            for i, cs in told.items()
            for c in cs
        ]
    )
    tables = {"inputs": inputs, "captions": said, extractor.table.name: extractor.table.from_rows(rows)}
    for name, table in tables.items():
        con.register("given", table)
        con.execute(f"CREATE TABLE {name} AS FROM given")
        con.unregister("given")
    asked = [s for s in known_signals([extractor.table]).values() if s.table == extractor.table.name]
    found = con.execute(relation(asked)).to_arrow_table().to_pylist()
    con.close()
    return {row.pop("image_id"): row for row in found}


def measured(extractor: Extractor, told: dict[str, list[str]], lines: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [
        {**row, "image_id": image, "version": "1", "status": "ok"}
        for image, names in told.items()
        for row in extractor.fn([described(*names, lines=lines.get(image, []))])[0]
    ]


def test_signals_of_captions() -> None:
    told = {"two": ["good", "zh"], "bad": ["refusal", "file"], "mixed": ["plain", "file"], "none": []}
    found = signals(captions.EXTRACTOR, measured(captions.EXTRACTOR, told, {}), told)
    assert {name: (row["valid_captions"], row["invalid_captions"]) for name, row in found.items()} == {
        "two": (2, 0),
        "bad": (0, 2),
        "mixed": (1, 1),
        "none": (0, 0),
    }
    assert {name: row["longest_valid_caption_tokens"] for name, row in found.items()} == {
        "two": 13,
        "bad": 0,
        "mixed": 5,
        "none": 0,
    }
    assert (found["two"]["valid_recaptions"], found["two"]["chinese_captions"]) == (1, 1)
    assert (found["mixed"]["valid_recaptions"], found["mixed"]["chinese_captions"]) == (0, 0)


def test_a_caption_that_came_later_makes_the_signal_missing() -> None:
    told = {"two": ["good", "zh"]}
    rows = [r for r in measured(captions.EXTRACTOR, told, {}) if r["caption_id"] == "good"]
    assert set(signals(captions.EXTRACTOR, rows, told)["two"].values()) == {None}


def test_signals_of_agreement() -> None:
    told = {"quotes": ["good", "zh", "plain"], "plain": ["plain"], "none": []}
    rows = measured(agreement.EXTRACTOR, told, {"quotes": ["Main Street"]})
    found = signals(agreement.EXTRACTOR, rows, told)
    assert found["quotes"] == {
        "quotes_text": True,
        "quoted_text_agreement": 0.0,
        "best_quoted_text_agreement": 1.0,
    }
    passing = {"quotes_text": False, "quoted_text_agreement": 1.0, "best_quoted_text_agreement": 1.0}
    assert found["plain"] == passing
    assert found["none"] == passing


def test_a_failure_is_never_a_pass() -> None:
    told = {"quotes": ["good"]}
    error = [{"image_id": "quotes", "caption_id": "good", "version": "1", "status": "error", "error": "extractor: no"}]
    assert set(signals(agreement.EXTRACTOR, error, told)["quotes"].values()) == {None}
    counted = signals(captions.EXTRACTOR, error, told)["quotes"]
    assert (counted["valid_captions"], counted["longest_valid_caption_tokens"]) == (0, 0)


def test_a_recipe_may_ask_for_them(tmp_path: Path) -> None:
    from pipelines.recipe import loads

    text = """
name = "captions"
store_from = 1
scales = [256]
[[stage]]
number = 3
name = "image-text alignment"
rules = [ { name = "a caption", when = "valid_captions >= 1 AND longest_valid_caption_tokens BETWEEN 3 AND 2048" } ]
"""
    (rule,) = loads(text, "test", [captions.EXTRACTOR.table]).rules
    assert rule.stored_names == {"valid_captions", "longest_valid_caption_tokens"}
