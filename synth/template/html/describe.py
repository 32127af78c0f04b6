"""Captions of pages, in English and Chinese: what it is, its colours, and its texts in reading order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synth.fonts.facts import Kind
from synth.naming import LETTERS
from synth.placed import Placed
from synth.quoting import Language, quote_some

MOST = 1400  # characters of a caption; headlines come first, what is left over is told of, not quoted

_ROLES: dict[str, tuple[str, str]] = {
    "title": ("the headline reads {}", "标题写着{}"), "subtitle": ("below it, {}", "副标题是{}"),
    "heading": ("headings say {}", "小标题有{}"), "label": ("labels read {}", "标签文字有{}"),
    "body": ("the running text is {}", "正文是{}"), "button": ("buttons say {}", "按钮上写着{}"),
    "speech": ("speech balloons say {}", "对话框里写着{}"), "caption": ("captions read {}", "说明文字是{}"),
    "number": ("figures shown are {}", "数字有{}"), "date": ("the date given is {}", "日期是{}"),
    "place": ("the place is {}", "地点是{}"), "name": ("names shown are {}", "名字有{}"),
    "price": ("prices are {}", "价格是{}"), "item": ("items are {}", "列出的有{}"),
    "message": ("messages say {}", "消息内容是{}"), "slogan": ("the slogan is {}", "标语是{}"),
    "dish": ("the dishes are {}", "菜名有{}"), "quote": ("the quotation reads {}", "引文写着{}"),
}  # fmt: skip
_OPEN = {
    "en": ("{Scene} in {palette}", "{Scene}, designed in {palette}", "An image of {scene}; its colours are {palette}",
           "{Scene}, with a palette of {palette}"),
    "zh": ("{scene}，配色为{palette}", "{scene}，{palette}色调", "图中是{scene}，以{palette}为主色",
           "{palette}配色的{scene}"),
}  # fmt: skip


def describe(
    rng: np.random.Generator, language: Language, scene: str, palette: str, letters: Kind, texts: Sequence[Placed]
) -> str:
    """`scene`, `palette`: in the language; `letters`: the kind of the title's face."""
    english = language == "en"
    opening = _OPEN[language][int(rng.integers(len(_OPEN[language])))]
    said = opening.format(scene=scene, Scene=scene[:1].upper() + scene[1:], palette=palette)
    if letters in LETTERS and rng.random() < 0.5:
        kind = LETTERS[letters][language]
        said += f", its headline set in {kind} letters" if english else f"，标题用{kind}"
    upright = any(t.direction == "vertical" for t in texts)
    if upright:
        said += ", partly written in vertical lines" if english else "，部分文字竖排"
    said += ". " if english else "。"
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text.role if text.role in _ROLES else "label", []).append(quote_some(text.text, language))
    left_out = False
    sentences = []
    used = len(said)
    for role in sorted(groups, key=lambda r: list(_ROLES).index(r) if r in ("title", "subtitle") else 2):
        kept = []
        for quote in dict.fromkeys(groups[role]):
            if used + len(quote) > MOST:
                left_out = True
                continue
            used += len(quote) + 3
            kept.append(quote)
        if kept:
            joined = (", " if english else "、").join(kept)
            sentence = _ROLES[role][0 if english else 1].format(joined)
            sentences.append(sentence[:1].upper() + sentence[1:])
    said += (". " if english else "；").join(sentences) + ("." if english else "。")
    if left_out:
        said += " There is more small text." if english else "其余为小字。"
    return said
