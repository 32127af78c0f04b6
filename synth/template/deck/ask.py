"""What is to be written where: asked for by a template's own marks, or guessed from what stands there.

A text box may say what it wants: `{dish}`, `{name} · {place}`, `{sentence*3-5}` for three to five such paragraphs, and
`{=Opening hours|营业时间}` for fixed words in English and Chinese.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from synth.template.deck.words import WORDS

PHRASES = ("title", "subtitle", "heading", "name", "place", "date", "price", "dish", "slogan", "sign", "button",
           "sentence")  # fmt: skip
_MARK = re.compile(r"\{(?:=(?P<en>[^|{}]*)\|(?P<zh>[^|{}]*)|(?P<role>[a-z]+)(?::(?P<low>\d+)-(?P<high>\d+))?"
                   r"(?:\*(?P<few>\d+)-(?P<many>\d+))?)\}")  # fmt: skip
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
SHORT = 14  # units: smaller places want a word, not a phrase
_END = re.compile(r"[。！？；.!?;…]$")


class Texts(Protocol):
    """Of the corpus: a text of so many characters, and a short phrase by what it is for."""

    def pick(self, rng: np.random.Generator, language: str, shortest: int, longest: int) -> str: ...

    def phrase(self, rng: np.random.Generator, language: str, role: str) -> str: ...


@dataclass(frozen=True)
class Ask:
    """One paragraph: `pattern` with marks, or empty; then `role` and `units` (hanzi 2, letter 1) say what to find."""

    pattern: str
    role: str
    units: int


def marked(words: str) -> bool:
    return _MARK.search(words) is not None


def repeats(words: str, rng: np.random.Generator) -> int:
    """How many paragraphs a pattern asks for."""
    found = next((m for m in _MARK.finditer(words) if m["few"]), None)
    return int(rng.integers(int(found["few"]), int(found["many"]) + 1)) if found else 1


def role_of(pattern: str, default: str) -> str:
    found = next((m for m in _MARK.finditer(pattern) if m["role"]), None)
    return found["role"] if found else "label" if marked(pattern) else default


def is_fixed(pattern: str) -> bool:
    """Whether another try would give the same words."""
    return all(m["role"] is None or m["role"] == "page" for m in _MARK.finditer(pattern))


def units(text: str) -> int:
    """Width in half ems: a hanzi counts two, a letter one."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def answer(ask: Ask, rng: np.random.Generator, language: str, texts: Texts, page: int) -> str:
    """The paragraph's text."""
    if not ask.pattern:
        return by_role(ask.role, ask.units, rng, language, texts, page)
    said = "zh" if language.startswith("zh") else "en"

    def found(match: re.Match[str]) -> str:
        if match["role"] is None:
            return str(match[said])
        if match["role"] == "era":
            return _era(rng, int(match["low"] or 1))
        limit = min(int(match["high"]) * 2, ask.units) if match["high"] else ask.units
        return by_role(match["role"], limit, rng, language, texts, page)

    return _MARK.sub(found, ask.pattern).strip()


def by_role(role: str, limit: int, rng: np.random.Generator, language: str, texts: Texts, page: int) -> str:
    """A text for a role of about `limit` units at most."""
    chinese = language.startswith("zh")
    if role in _NUMBERS:
        return _NUMBERS[role](rng, page)
    if role in WORDS:
        return str(rng.choice(WORDS[role]["zh" if chinese else "en"]))
    if role == "day":
        return _day(rng, chinese)
    if role == "cost":
        return _cost(rng, chinese)
    if role == "heading" and limit < SHORT:
        return _short(rng, chinese, limit)
    if role in ("title", "subtitle", "heading", "slogan", "name", "place", "date", "price", "dish", "sign", "button"):
        return texts.phrase(rng, language, role)
    if role == "footer":
        return texts.phrase(rng, language, ("heading", "name", "place")[int(rng.integers(3))])
    longest = max(limit // 2 if chinese else limit, 4 if chinese else 12)
    if role == "sentence" and longest >= (16 if chinese else 40) and rng.random() < 0.5:
        return texts.phrase(rng, language, "sentence")
    shortest = max(longest // 2, 2 if chinese else 8)
    return _cut(texts.pick(rng, language, shortest, longest), role)


def _cut(text: str, role: str) -> str:
    """Points on a slide end without a full stop as often as with one; a text stands on one line of source."""
    text = " ".join(text.split())
    return text.rstrip("。.；;，,") if role == "point" and len(_END.findall(text)) else text


def _figure(rng: np.random.Generator, page: int) -> str:
    kinds = (
        f"{rng.integers(1, 100)}%", f"{rng.integers(100, 999)}", f"{rng.integers(1, 99)},{rng.integers(100, 999)}",
        f"{rng.integers(1, 10)}.{rng.integers(0, 10)}", f"{rng.integers(2, 10)}×", f"+{rng.integers(1, 60)}%",
    )  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))]


def _clock(rng: np.random.Generator, page: int) -> str:
    hour, minute = int(rng.integers(8, 20)), int(rng.integers(0, 4)) * 15
    return f"{hour:02d}:{minute:02d}"


def _span(rng: np.random.Generator, page: int) -> str:
    first = int(rng.integers(2005, 2022))
    return f"{first} – {first + int(rng.integers(1, 5))}"


def _era(rng: np.random.Generator, back: int) -> str:
    """Years of the `back`-th entry of a career, the latest first."""
    first = 2024 - 3 * back + int(rng.integers(2))
    return f"{first} – {first + 2}"


def _short(rng: np.random.Generator, chinese: bool, limit: int) -> str:
    """A word for a small box, or a letter where no word is short enough."""
    known = [w for role in ("subject", "course") for w in WORDS[role]["zh" if chinese else "en"] if units(w) <= limit]
    return str(rng.choice(known)) if known else "ABCDEFGHKMNPRSTVXYZ"[int(rng.integers(19))]


def _day(rng: np.random.Generator, chinese: bool) -> str:
    year, month, day = int(rng.integers(2019, 2030)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    if chinese:
        return (f"{year}年{month}月{day}日", f"{year}.{month:02d}.{day:02d}")[int(rng.integers(4)) // 3]
    return (f"{day} {_MONTHS[month - 1]} {year}", f"{_MONTHS[month - 1]} {day}, {year}")[int(rng.integers(2))]


def _cost(rng: np.random.Generator, chinese: bool) -> str:
    if chinese:
        return (f"¥{rng.integers(6, 199)}", f"{rng.integers(6, 199)}元")[int(rng.integers(4)) // 3]
    cents = ("00", "50", "95", "75")[int(rng.integers(4))]
    return f"{('$', '£', '€')[int(rng.integers(3))]}{rng.integers(3, 60)}.{cents}"


def _mail(rng: np.random.Generator, page: int) -> str:
    who = ("hello", "anna", "office", "wang.lei", "info", "li.na", "post", "chen")[int(rng.integers(8))]
    where = ("harbour", "lantern", "qinghe", "meadow", "yunling", "bluebird")[int(rng.integers(6))]
    return f"{who}@{where}.example"


_NUMBERS: dict[str, Callable[[np.random.Generator, int], str]] = {
    "page": lambda rng, page: str(page + 1),
    "number": lambda rng, page: f"{rng.integers(1, 100):,}",
    "figure": _figure,
    "clock": _clock,
    "span": _span,
    "mail": _mail,
    "code": lambda rng, page: f"{'GDKZ'[int(rng.integers(4))]}{rng.integers(100, 1000)}",
    "phone": lambda rng, page: f"{rng.integers(100, 1000)} {rng.integers(1000, 10000)} {rng.integers(1000, 10000)}",
}
