"""What a caption quotes, in every kind of quotation mark and without."""

from __future__ import annotations

import pytest

from annotate.captions.quotes import quoted, without_quotes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('A sign that reads "FRESH BREWS" and below it "since 1998"', ["FRESH BREWS", "since 1998"]),
        ("A card with the words “I'm sorry” on it", ["I'm sorry"]),
        ("A mug labelled 'don't panic' on the dogs' shelf", ["don't panic"]),
        ("Posters of the '70s and '80s in the boys' room", []),
        ('A board of 5" by 7" on the wall', []),
        ("the baker's dozen and the butcher's block", []),
        ("店门口写着“今日休息”和「明天见」", ["今日休息", "明天见"]),
        ("横幅上印着'福'字", ["福"]),
        ("书的封面写着《红楼梦》", ["红楼梦"]),
        ("《红楼梦》插图，黛玉葬花", []),
        ("A red octagonal sign saying STOP at the crossing", ["STOP"]),
        ("A cake with the words Happy Birthday Anna in icing", ["Happy Birthday Anna"]),
        ("a man who says the word of the day is patience", []),
        ("门上贴着一张纸，写着请勿打扰字样", ["请勿打扰"]),
        ("木牌上写着欢迎光临。", ["欢迎光临"]),
        ("黑板上写着几个英文单词", []),
        ("车身上印着网址和电话号码", []),
        ('the word "LOVE" next to the word "LOVE"', ["LOVE"]),
        ("nothing is quoted here", []),
    ],
)
def test_quoted(text: str, found: list[str]) -> None:
    assert quoted(text) == found


def test_what_is_left_says_nothing_of_the_quotes() -> None:
    assert "sorry" not in without_quotes("a card that says “sorry” to you")
    assert without_quotes("the dogs' bowls") == "the dogs' bowls"
