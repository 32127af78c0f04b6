"""Legibility: what was drawn against what OCR read, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from synth_lakes import HERE, ask, drawn
from synth_tiny import Tiny

from annotate.ocr.alphabet import alphabet
from pipelines.extractors.base import Described
from pipelines.extractors.legibility import EXTRACTOR, row, unreadable
from pipelines.inspect import inspect
from pipelines.recipe import load
from warehouse.lake import Lake


def told(lines: list[str] | None, read: list[str] | None) -> dict[str, object]:
    rows: dict[str, dict[str, object]] = {}
    if lines is not None:
        rows["synth_text"] = {"image_id": "a", "lines": lines}
    if read is not None:
        rows["ocr"] = {"ocr_lines": [{"text": line, "read": True} for line in read]}
    return row(Described("a", rows=rows))


def test_each_line_is_looked_for_in_any_order() -> None:
    found = told(["春江潮水连海平", "Moonlight"], ["MOONLIGHT", "春江湖水连海平"])
    assert (found["drawn_chars"], found["drawn_blind_chars"], found["undrawn_chars"]) == (16, 0, 0)
    assert found["legible_share"] == pytest.approx(15 / 16, abs=1e-4)


def test_what_the_ocr_cannot_write_is_not_asked() -> None:
    assert told(["مرحبا नमस्ते"], [""])["legible_share"] is None
    mixed = told(["你好 สวัสดี"], ["你好"])
    assert (mixed["drawn_chars"], mixed["legible_share"]) == (2, 1.0)
    assert mixed["drawn_blind_chars"] == len("สวัสดี")
    assert not {"Ａ", "é", "ﬁ", "门"} & unreadable(["Ａéﬁ门"])


def test_the_alphabet_is_that_of_the_network() -> None:
    known = alphabet()
    assert known is not None
    assert {"山", "A", "あ"} < known
    assert not {"ع", "अ", "한"} & known


def test_a_real_picture_is_asked_for_nothing() -> None:
    found = told(None, ["whatever", "shutterstock"])
    assert found["legible_share"] is None
    assert (found["drawn_chars"], found["undrawn_chars"], found["undrawn_mark"]) == (0, 0, False)
    assert told(None, None)["drawn_chars"] == 0


@pytest.mark.parametrize(
    ("read", "chars", "mark"),
    [
        (["A proof of love"], 0, False),  # drawn, and a word for a sample
        (["A proof of", "love", "HARBOUR ROAD"], 11, False),
        (["A proof of love", "© Jane Doe"], 7, True),
        (["A proof of love", "水印"], 2, True),
        (["A proof of love", "shutterstock"], 12, True),
    ],
)
def test_what_was_not_drawn_may_be_a_mark(read: list[str], chars: int, mark: bool) -> None:
    found = told(["A proof of love"], read)
    assert (found["undrawn_chars"], found["undrawn_mark"]) == (chars, mark)


def test_drawn_text_without_ocr_is_an_error() -> None:
    with pytest.raises(ValueError, match="OCR failed"):
        told(["text"], None)


def test_inspect_hands_it_the_truth(tmp_path: Path) -> None:
    """Blocks are no characters: none of what was drawn is read."""
    assert EXTRACTOR.missing() is None
    drawn(tmp_path / "lake", Tiny(), count=2)
    lake = Lake.open(tmp_path / "lake")
    ids = [image for (image,) in ask(lake.root, "SELECT image_id FROM synth_truth")]
    done = inspect(lake, load("starter"), engine=HERE, extractors=["legibility"], images=ids)
    assert (done.images, done.errors) == (2, {})
    rows = ask(lake.root, "SELECT drawn_chars, drawn_blind_chars, legible_share, status FROM signals_legibility")
    assert [row[0] + row[1] for row in rows] == [5, 5]
    assert all(share < 0.5 and status == "ok" for _, _, share, status in rows)
