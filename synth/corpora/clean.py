"""A paragraph as it may be drawn and labelled, or the reason why it may not."""

from __future__ import annotations

import re
import unicodedata

_GONE = re.compile(  # controls, and what has no width, save the joiners, which letters are shaped by
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
_BLANKS = re.compile("[\t\r\n\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_LOOSE_JOINER = re.compile("(?<![^\x00-\u02af])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u02af])")
_SPACES = re.compile("  +")
_BROKEN = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\ud800-\udfff]")
_GARBLED = re.compile("锟斤拷|烫烫烫|(?:[ÃÂ][\u0080-\u00bf]){2}")  # of a text that was decoded wrongly and saved
_GAPS = re.compile("[□■▢▯〓\u2ff0-\u2fff]|\\?{3}|？{3}")  # for characters that were lost, or could not be typed
_PRESENTED = re.compile("[\ufb50-\ufd3d\ufd50-\ufdff\ufe70-\ufefc]")
_ADDRESS = re.compile(r"\.(?:com|org|net|edu|gov|cn|io)\b", re.I)
_MARKUP = re.compile(
    r"</?[A-Za-z][^<>]*>|\{\{|\}\}|\[\[|\]\]|&[a-z]+;|&#\d+;|\\[a-z]+\{|^[|{}\[\]<>]|=>|\$\{|^//|[\w)]\(\);|;$"
)
_MARKING = re.compile(r"[<>{}|&\\$=/\[\]]|;$")  # what all markup has one of; looked for first
_BOILERPLATE = (
    *(
        "版权所有",
        "转载请",
        "未经许可",
        "阅读原文",
        "扫码关注",
        "公众号",
        "点击下载",
        "最新章节",
        "手机阅读",
        "加入书签",
        "本书由",
        "免责声明",
    ),
    *(
        "all rights reserved",
        "project gutenberg",
        "terms of use",
        "terms of service",
        "privacy policy",
        "cookie policy",
    ),
    *("subscribe to our", "click here", "copyright ©", "copyright (c)", "table of contents", "©"),
)
_REPEATED = re.compile(r"(.)\1{5,}|(.{2,6}?)\2{4,}")
_LOOKED_AT = 120  # characters in which repetition is looked for; it is slow to look for


def clean(text: str) -> tuple[str, str | None]:
    """The text in NFC with plain single blanks and nothing unseen, and None; or the reason that it is left out."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        text = _LOOSE_JOINER.sub("", _GONE.sub("", text))
    elif not text.isprintable():
        text = _GONE.sub("", text)
    text = _SPACES.sub(" ", _BLANKS.sub(" ", text)).strip()
    return text, _fault(text)


def _fault(text: str) -> str | None:
    if not any(c.isalpha() for c in text[:200]):
        return "no letters"
    if not text.isascii():
        if _BROKEN.search(text) or _GARBLED.search(text):
            return "broken characters"
        if _GAPS.search(text):
            return "gaps"
        if _PRESENTED.search(text):
            return "Arabic presentation forms"
    if "://" in text or "www." in text or "@" in text or _ADDRESS.search(text):
        return "an address"
    if _MARKING.search(text) and _MARKUP.search(text):
        return "markup"
    small = text.lower()
    if any(phrase in small for phrase in _BOILERPLATE):
        return "boilerplate"
    if _REPEATED.search(text, 0, _LOOKED_AT):
        return "repeated characters"
    return None
