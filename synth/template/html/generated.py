"""Small texts made from numbers: times, prices, shares, dates as a page shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator
WEEKDAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NUMERALS = "一二三四五六七八九十"


@dataclass(frozen=True)
class Item:
    """What a repeated part of a page is about: its number from 0, its value (0 to 100), where a series begins, and
    how many parts there are."""

    number: int = 0
    value: int = 50
    start: int = 0
    count: int = 1


Make = Callable[[Rng, str, Item], str]


def _number(rng: Rng, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def _price(rng: Rng, language: str, item: Item) -> str:
    whole = _number(rng, 8, 399)
    cents = (
        ("", ".5", ".90", ".00")[_number(rng, 0, 3)]
        if language == "zh"
        else (".00", ".50", ".95", ".99")[_number(rng, 0, 3)]
    )
    return f"{'¥' if language == 'zh' else '$'}{whole}{cents}"


def _date(rng: Rng, language: str, item: Item) -> str:
    month, day = _number(rng, 1, 12), _number(rng, 1, 28)
    return f"{month}月{day}日" if language == "zh" else f"{MONTHS[month - 1]} {day}"


def _dates(rng: Rng, language: str, item: Item) -> str:
    """A span of days that ends after it begins."""
    month, day, later = _number(rng, 1, 11), _number(rng, 1, 28), _number(rng, 1, 28)
    last = _number(rng, month + 1, 12)
    if language == "zh":
        return f"{month}月{day}日 – {last}月{later}日"
    return f"{MONTHS[month - 1]} {day} – {MONTHS[last - 1]} {later}"


def _minutes(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def _count(rng: Rng, language: str, item: Item) -> str:
    number = _number(rng, 12, 98) * 10 ** _number(rng, 0, 3)
    number += _number(rng, 0, 9)
    if language == "zh" and number > 20000:
        return f"{number / 10000:.1f}万"
    return f"{number:,}" if rng.random() < 0.6 or number < 1000 else f"{number / 1000:.1f}k"


#: What `data-text` may name besides lists of words and roles of phrases.
GENERATED: dict[str, Make] = {
    "clock": lambda rng, language, item: f"{_number(rng, 7, 22)}:{_number(rng, 0, 59):02d}",
    "elapsed": lambda rng, language, item: _minutes((150 + item.start % 180) * item.value // 100),
    "duration": lambda rng, language, item: _minutes(150 + item.start % 180),
    "dates": _dates,
    "price": _price,
    "percent": lambda rng, language, item: f"{item.value}%",
    "off": lambda rng, language, item: (
        f"{_number(rng, 2, 9)}折" if language == "zh" else f"{5 * _number(rng, 4, 14)}% off"
    ),
    "cost": lambda rng, language, item: f"{'¥' if language == 'zh' else '$'}{_number(rng, 6, 68)}",
    "day": _date,
    "year": lambda rng, language, item: str(_number(rng, 1986, 2029)),
    "years": lambda rng, language, item: str(item.start % 30 + 1980 + 6 * item.number + _number(rng, 0, 4)),
    "count": _count,
    "small": lambda rng, language, item: str(_number(rng, 2, 48)),
    "temperature": lambda rng, language, item: f"{item.start % 27 + 4 + _number(rng, -3, 3)}°",
    "rating": lambda rng, language, item: f"{_number(rng, 38, 50) / 10:.1f}",
    "index": lambda rng, language, item: str(item.number + 1),
    "numeral": lambda rng, language, item: NUMERALS[item.number % 10] if language == "zh" else f"{item.number + 1:02d}",
    "weekday": lambda rng, language, item: WEEKDAYS[language][(item.start + item.number) % 7],
    "hour": lambda rng, language, item: f"{(item.start % 12 + item.number) % 24:02d}:00",
    "phone": lambda rng, language, item: f"{_number(rng, 400, 899)}-{_number(rng, 1000, 9999)}",
    "weight": lambda rng, language, item: f"{_number(rng, 5, 50) * 10}{'克' if language == 'zh' else ' g'}",
    "issue": lambda rng, language, item: (
        f"第{_number(rng, 12, 999)}期" if language == "zh" else f"No. {_number(rng, 12, 999)}"
    ),
}
