"""Colours of our own decks: twelve of a theme each, chosen so that every text role can be read on its ground."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Colours:
    """`paper` and `ink` are ground and text; `deep` a strong dark, `soft` a pale panel; `accents` six.

    `dark`: text is light on dark, the master's colour map says so. `words`: what captions say, English and Chinese.
    """

    name: str
    paper: str
    ink: str
    deep: str
    soft: str
    accents: tuple[str, str, str, str, str, str]
    words: tuple[str, str]
    serif: tuple[bool, bool] = (False, False)  # headings, body
    dark: bool = False


THEMES = (
    Colours(
        "harbour",
        "FFFFFF",
        "1F2A37",
        "123B5D",
        "E8F0F6",
        ("1B6CA8", "E07A3F", "2A9D8F", "7A5195", "C0392B", "5F6C7B"),
        ("blue and white", "蓝白"),
    ),
    Colours(
        "pine",
        "FBFAF5",
        "24302A",
        "1E4D3B",
        "E7EFE6",
        ("2F6F4F", "B5651D", "4A7C9D", "8A6D3B", "A23E48", "6B705C"),
        ("green and ivory", "绿色与米白"),
        (True, False),
    ),
    Colours(
        "brick",
        "FFFDFA",
        "33241F",
        "7A2E22",
        "F6E9E2",
        ("A63D2F", "2F5D62", "C27A1A", "6A4C93", "3A7D44", "7D6B62"),
        ("brick red", "砖红"),
        (True, True),
    ),
    Colours(
        "plum",
        "FFFFFF",
        "2B2233",
        "46275E",
        "F1EAF6",
        ("6B3FA0", "D1495B", "2E86AB", "C97B12", "3C7A5A", "6F6679"),
        ("purple", "紫色"),
    ),
    Colours(
        "night",
        "F4F6FB",
        "141B2B",
        "F4F6FB",
        "25324A",
        ("6FB1FC", "FFC15E", "6EDCB4", "F58FA0", "C4A7FF", "A9B6CC"),
        ("dark navy", "深蓝"),
        dark=True,
    ),
    Colours(
        "charcoal",
        "F7F3EA",
        "22201E",
        "F7F3EA",
        "3A3632",
        ("F2B84B", "E98A6B", "8CC7A1", "8FB8DE", "D9A5C7", "BDB3A4"),
        ("charcoal and gold", "炭黑与金色"),
        (True, False),
        True,
    ),
    Colours(
        "paper",
        "FFFCF3",
        "2D2A26",
        "5A4632",
        "F3EBDA",
        ("8C5A2B", "4F6D7A", "A8503A", "6A7B3C", "7B4B6B", "8A7F70"),
        ("warm paper", "米黄"),
        (True, True),
    ),
    Colours(
        "teal",
        "FFFFFF",
        "16302F",
        "0B4F4A",
        "E2F2F0",
        ("0F766E", "D9772B", "33658A", "9A4C95", "B23A48", "5B7370"),
        ("teal", "青绿"),
    ),
    Colours(
        "rose",
        "FFFAFA",
        "3A2530",
        "7B2D4A",
        "FBE9EE",
        ("B23A62", "4D7298", "C9822B", "5B8E7D", "7D5BA6", "86707A"),
        ("rose", "玫瑰粉"),
        (True, False),
    ),
    Colours(
        "slate",
        "FFFFFF",
        "20262E",
        "2F3B47",
        "EDF0F3",
        ("455A6E", "D65A31", "3B8686", "8E6C8A", "B08C2E", "78838F"),
        ("grey and orange", "灰色与橙色"),
    ),
    Colours(
        "festive",
        "FFF9EE",
        "4A1512",
        "9E1B1B",
        "FBE8C8",
        ("B3261E", "A9741B", "7A1F1F", "2F6B4F", "35557A", "8A5A44"),
        ("red and gold", "红色与金色"),
        (True, True),
    ),
    Colours(
        "sky",
        "FFFFFF",
        "1D2B3A",
        "1D5F8A",
        "E6F4FB",
        ("1F7FB8", "E2711D", "4C9F70", "C8553D", "5C4D9B", "64788A"),
        ("sky blue", "天蓝"),
    ),
)
