"""The language of a short text: by its script, and in Latin script by small words. No model, no dictionary.

Enough to tell English from Chinese and both from the rest, which is what captions need; it does not name the rest.
"""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh", "other", "und"]

#: Code points of Chinese characters: unified ideographs with extension A, compatibility forms, extensions B to H.
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_HAN = re.compile(f"[{HAN}]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]")
_KANA_HANGUL = re.compile("[\u3041-\u3096\u30a1-\u30fa\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH = _set(
    "a an the of in on at by to from with without and or but is are was were be been being has have had do does this "
    "that these those it its his her their there here who which what where when while as into onto over under between "
    "behind beside before after near next up down out off through during for he she they him them i you we not no one "
    "two three four five six seven eight nine ten some several many each all both other another very"
)
#: Small words of other languages in Latin script that are no English words.
ELSEWHERE = _set(
    "un une le les des du dans avec et est sur sa son ses aux au qui que pour par pas "  # French
    "ein eine einem einer eines der die das den dem des und mit auf ist im vor zu von nicht neben kleines "  # German
    "el los las una con en y por para se su del lo es como "  # Spanish
    "il gli della nel con di che per una sul delle degli "  # Italian
    "um uma os na no em com do da dos das ao pelo "  # Portuguese
    "een het van met op de aan voor niet zijn "  # Dutch
    "och med på en ett som av att til og på der"  # Scandinavian
) - _set("no do as die per son sur van met")


def words(text: str) -> list[str]:
    """The words of letters in it, in small letters; a run of Chinese characters is one."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def count_han(text: str) -> int:
    """Chinese characters in it."""
    return len(_HAN.findall(text))


def detect(text: str) -> Language:
    """Language of a text: `en`, `zh`, `other`, or `und` where no letter tells, or too few Latin words do.

    Latin text is English unless small words of other languages outnumber the English ones; a word or a name alone,
    which could be of any language, counts as English. A Chinese character tells as much as two Latin letters.
    """
    han, latin, kana = count_han(text), len(_LATIN.findall(text)), len(_KANA_HANGUL.findall(text))
    others = sum(c.isalpha() for c in text) - han - latin - kana
    if kana and kana * 8 >= han + kana and 2 * (kana + han) >= latin:
        return "other"
    if others > max(2 * han, latin):
        return "other"
    if 2 * han >= latin:
        return "zh" if han else "und"
    found = words(text)
    english = sum(word in ENGLISH for word in found)
    foreign = sum(word in ELSEWHERE for word in found)
    return "other" if foreign > english and foreign >= 2 else "en"


def contradicts(declared: str | None, text: str) -> bool:
    """Whether a text is plainly not in the language that it is declared to be in (`en`, `zh-CN` ...).

    Says nothing of languages other than English and Chinese, nor of texts whose language cannot be told.
    """
    told = (declared or "und").lower().replace("_", "-").split("-")[0]
    if told not in ("en", "zh"):
        return False
    found = detect(text)
    if found == "en" and count_han(text) > 2:
        return False  # Chinese among the names of products
    return found not in ("und", told)
