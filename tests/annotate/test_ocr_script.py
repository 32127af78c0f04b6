"""Scripts: by the room that letters take, Han characters Chinese unless kana stand beside them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.ocr.script import Script, script_of, shares


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Open 24 hours", "english"),
        ("Ça vous change la vie", "english"),
        ("ＳＡＬＥ", "english"),
        ("本店营业时间", "chinese"),
        ("繁體中文", "chinese"),
        ("本店营业 9:00 open", "chinese"),
        ("WiFi 密码 guest network", "english"),
        ("東京のカフェへようこそ", "other"),
        ("Славянские языки", "other"),
        ("한국어 안내", "other"),
        ("1984", "other"),
        ("!?", "other"),
        ("", "none"),
        ("  ", "none"),
    ],
)
def test_script_of_a_line(text: str, script: Script) -> None:
    assert script_of(text) == script


def test_a_chinese_character_takes_the_room_of_two_letters() -> None:
    found = shares(["中文", "abcd"])
    assert (found.english, found.chinese, found.other) == (0.5, 0.5, 0)
    assert found.dominant == "english"  # of equals
    assert shares(["中文", "abc"]).dominant == "chinese"


def test_japanese_is_told_line_by_line() -> None:
    found = shares(["東京のカフェ", "北京欢迎您"])
    assert found.chinese == pytest.approx(10 / 22, abs=1e-4)
    assert found.dominant == "other"


@given(st.lists(st.text(max_size=20), max_size=5))
def test_shares_add_up_to_one_or_to_nothing(lines: list[str]) -> None:
    found = shares(lines)
    total = found.english + found.chinese + found.other
    assert total == 0 or total == pytest.approx(1, abs=2e-4)
    assert (total == 0) == (not any(c.isalpha() for c in "".join(lines)) or (found.dominant == "other" and total == 0))
