"""Captions of plain pages: what is written, in which type and colours, and where."""

from __future__ import annotations

import numpy as np

from synth.fonts.facts import FontInfo
from synth.naming import LETTERS, colour_names
from synth.placed import Placed
from synth.pure.design import Design
from synth.quoting import quote

_PLACES = {
    (0, 0): ("in the upper left", "左上方"),
    (1, 0): ("at the top", "上方"),
    (2, 0): ("in the upper right", "右上方"),
    (0, 1): ("on the left", "左侧"),
    (1, 1): ("in the centre", "中央"),
    (2, 1): ("on the right", "右侧"),
    (0, 2): ("in the lower left", "左下方"),
    (1, 2): ("at the bottom", "下方"),
    (2, 2): ("in the lower right", "右下方"),
}
_ENGLISH = (
    "A plain {ground} page with the text {text} in {ink} {kind}{how}.",
    "{text}, set in {ink} {kind} on a {ground} background{how}.",
    "A clean {ground} background. {place} stands the text {text} in {ink} {kind}{how}.",
    "The words {text} in {ink} {kind}{how}, printed on {ground}.",
)
_CHINESE = (
    "{ground}的纯色页面上，用{ink}{kind}{how}写着{text}。",
    "一张干净的{ground}背景图，{place}是{ink}{kind}{how}文字：{text}。",
    "{ground}背景，{place}以{ink}{kind}{how}排印着{text}。",
    "画面为{ground}底，文字内容是{text}，字体为{ink}{kind}{how}。",
)


def page_captions(rng: np.random.Generator, placed: Placed, design: Design, font: FontInfo) -> dict[str, str]:
    """One caption in English and one in Chinese; both quote the whole text."""
    which = int(rng.integers(len(_ENGLISH)))
    place = _PLACES[_ninth(placed, design)]
    ink = colour_names(design.ink)
    letters, how = LETTERS[font.kind], _how(design)
    said_en = _ENGLISH[which].format(
        ground=design.palette.name["en"],
        text=quote(placed.text, "en"),
        ink=ink["en"],
        kind=f"{letters['en']} type",
        how=how[0],
        place=place[0].capitalize(),
    )
    said_zh = _CHINESE[which].format(
        ground=design.palette.name["zh"],
        text=quote(placed.text, "zh"),
        ink=ink["zh"],
        kind=letters["zh"],
        how=how[1],
        place=place[1],
    )
    return {"en": said_en, "zh": said_zh}


def _how(design: Design) -> tuple[str, str]:
    english, chinese = [], []
    if design.direction == "vertical":
        english.append("in vertical columns")
        chinese.append("竖排")
    if design.columns > 1:
        english.append(f"in {design.columns} columns")
        chinese.append(f"分{'零一二三四'[design.columns]}栏")
    if design.degrees:
        english.append("slightly tilted")
        chinese.append("略微倾斜")
    if design.effect == "outline":
        english.append("with an outline")
        chinese.append("带描边")
    elif design.effect == "shadow":
        english.append("with a soft shadow")
        chinese.append("带阴影")
    return (", " + ", ".join(english) if english else ""), "".join(f"（{'，'.join(chinese)}）" if chinese else "")


def _ninth(placed: Placed, design: Design) -> tuple[int, int]:
    x, y = placed.quad().mean(axis=0)
    return min(2, int(3 * x / design.width)), min(2, int(3 * y / design.height))
