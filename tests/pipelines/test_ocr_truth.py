"""The OCR's truth: pages whose words are known are read right, and the rules on text agree with what was drawn.

A sample; bench/ocr.py measures the same at full size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import ocr_pages
import pytest
from ocr_pages import Score, Script

from annotate.ocr import reader as ocr
from pipelines.extractors.ocr import row

SCRIPTS: tuple[Script, ...] = ("english", "chinese", "mixed")
PAGES = 2
RULE_PAGES = 24
SMALL = 12.0
DENSE = 5


def read(drawn: ocr_pages.DrawnPage) -> Mapping[str, object]:
    return row(ocr.reader().read(drawn.image), drawn.image.size)


@pytest.mark.parametrize(("noisy", "least"), [(False, 0.995), (True, 0.97)], ids=["clean", "noisy"])
def test_characters_are_read_right_and_in_order(noisy: bool, least: float) -> None:
    total = Score()
    for script in SCRIPTS:
        for seed in range(PAGES):
            drawn = ocr_pages.page(100 + seed, script, size=(540, 420 + 80 * seed), most=8)
            if noisy:
                drawn = replace(drawn, image=ocr_pages.spoiled(drawn.image, seed))
            total += ocr_pages.score(drawn.text, str(read(drawn)["ocr_text"]))
    assert total.characters > 500
    assert total.accuracy >= least


def test_rules_agree_with_what_was_drawn() -> None:
    agreed = {"small": 0, "dense": 0, "script": 0}
    answers: list[set[bool]] = [set(), set(), set()]
    for seed in range(RULE_PAGES):
        drawn = ocr_pages.rule_page(seed, longest=560, most=10)
        known, told = ocr_pages.truth(drawn), read(drawn)
        smallest, lines = told["smallest_char_px"], told["text_lines"]
        assert isinstance(lines, int)
        is_small = isinstance(smallest, float) and smallest < SMALL
        agreed["small"] += is_small == (known.smallest_px < SMALL)
        agreed["dense"] += (lines > DENSE) == (known.lines > DENSE)
        agreed["script"] += told["text_script"] == known.script
        truths = (known.smallest_px < SMALL, known.lines > DENSE, known.script == "chinese")
        for seen, answer in zip(answers, truths, strict=True):
            seen.add(answer)
    assert answers == [{False, True}] * 3  # the sample asks each rule for both
    assert min(agreed.values()) >= 0.95 * RULE_PAGES, agreed
