"""Where lines may end: kinsoku, whole words, and nothing torn apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.layout import breaks


def _marked(text: str) -> str:
    kinds = np.array([breaks.break_class(c) for c in text], np.int8)
    may = breaks.may_break_after(kinds)
    return "".join(c + "|" * bool(b) for c, b in zip(text, may, strict=True))[:-1]


@pytest.mark.parametrize(
    "marked",
    [
        "他|说：|“你|好，|世|界！”",
        "（一）|第|二|行……|然|后——|走|了。",
        "Hello, |well-|known |world",
        "don't |pay |$3.50",
        "价|格|￥35.50，|打|八|折|（八|成）。",
        "中|文 |and |English|混|排",
        "カ|ラー|テ|レ|ビ|を|買っ|た。",
        'say |"yes" |now',
        "100% |of |20℃",
    ],
)
def test_lines_may_end_here_and_nowhere_else(marked: str) -> None:
    assert _marked(marked.replace("|", "")) == marked


ALPHABET = "春眠不觉晓abcXYZ0129 ，。！？；：“”‘’（）《》「」【】…—ー々っャ%℃￥$-/\"'.,()\u00a0"


@given(st.text(ALPHABET, min_size=2, max_size=60))
def test_no_break_before_what_may_not_begin_a_line_nor_after_what_may_not_end_one(text: str) -> None:
    kinds = np.array([breaks.break_class(c) for c in text], np.int8)
    for n in np.flatnonzero(breaks.may_break_after(kinds)[:-1]):
        assert text[n + 1] not in breaks.NO_LINE_START, text
        end = text[: n + 1].rstrip(" ")
        assert not end or end[-1] not in breaks.NO_LINE_END, text


def test_words() -> None:
    text = "Don't 春眠 well-known 3.14!"
    kinds = np.array([breaks.break_class(c) for c in text], np.int8)
    han = np.array(["\u4e00" <= c <= "\u9fff" for c in text])
    numbers = breaks.words(kinds, han)
    found = ["".join(text[i] for i in np.flatnonzero(numbers == n)) for n in range(numbers.max() + 1)]
    assert found == ["Don't", "春", "眠", "well-known", "3.14"]
