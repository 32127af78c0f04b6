"""What is asked of characters before a font draws them: has it a picture, which script, which language's form."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import numpy as np
from fontTools.unicodedata import Scripts
from numpy.typing import NDArray

Codes = NDArray[np.uint32]

#: Unicode 16, Default_Ignorable_Code_Point: shaped away, in any font. First and last.
_IGNORABLE = np.array(
    [
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
        (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    ],
    dtype=np.uint32,
)  # fmt: skip

#: White_Space, and pictures that are blank by design: the empty braille cell, the null note head, the Khitan filler.
_BLANK = np.array(
    [
        (0x9, 0xD), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
        (0x202F, 0x202F), (0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000), (0x16FE4, 0x16FE4), (0x1D159, 0x1D159),
    ],
    dtype=np.uint32,
)  # fmt: skip

#: Set the lines of a text, and are no picture of it.
BREAKING = "\n\r\t\u2028\u2029"

_STARTS = np.array(Scripts.RANGES, dtype=np.uint32)

#: Punctuation and signs whose form and place within the square follow the language, as Han characters do.
_WIDE = re.compile("[\u2e80-\u2fdf\u2ff0-\u303e\u3100-\u312f\u31a0-\u31ef\ufe10-\ufe1f\ufe30-\ufe4f\uff01-\uff60]")


def codes(text: str) -> Codes:
    """Code points (n,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)


def ignorable(points: Codes) -> NDArray[np.bool_]:
    """(n,): drawn by nothing in every font: joiners, variation selectors, marks of direction."""
    return _within(points, _IGNORABLE)


def blank(points: Codes) -> NDArray[np.bool_]:
    """(n,): a picture without ink is right."""
    return _within(points, _BLANK)


def control(points: Codes) -> NDArray[np.bool_]:
    """(n,): controls and surrogates, which are not text; what a font maps there does not matter."""
    return (points < 0x20) | ((points >= 0x7F) & (points < 0xA0)) | ((points >= 0xD800) & (points < 0xE000))


def scripts_of(points: Codes) -> list[str]:
    """ISO 15924 codes (n,): Hani, Latn, Zyyy (common), Zinh (inherited) ..."""
    values = Scripts.VALUES
    return [values[i] for i in (np.searchsorted(_STARTS, points, side="right") - 1).tolist()]


@cache
def script_sizes() -> dict[str, int]:
    """How many code points Unicode gives each script."""
    ends = np.append(_STARTS[1:], 0x110000).astype(np.int64)
    sizes: dict[str, int] = {}
    for script, size in zip(Scripts.VALUES, (ends - _STARTS).tolist(), strict=True):
        sizes[script] = sizes.get(script, 0) + size
    return sizes


@lru_cache(maxsize=65536)
def script_of(character: str) -> str:
    """ISO 15924; Chinese and Japanese punctuation and full-width forms count as Han, which they are set with."""
    found = scripts_of(codes(character))[0]
    return "Hani" if found in ("Zyyy", "Bopo") and _WIDE.match(character) else found


def takes_form(text: str) -> bool:
    """Whether it has characters whose form depends on the language: Han, or the punctuation set with them."""
    return any(script_of(c) == "Hani" for c in set(text))


def form_language(text: str, language: str) -> str:
    """Whose forms a text's Han characters take: zh-Hans, zh-Hant, zh-Hant-HK, ja, ko. `language`: BCP 47; for what
    names none of them the text decides: kana, Hangul, traditional characters, and else simplified Chinese."""
    known = canonical(language)
    if known != "und":
        return known
    scripts = {script_of(c) for c in set(text)}
    if scripts & {"Hira", "Kana"}:
        return "ja"
    if "Hang" in scripts:
        return "ko"
    han = "".join(c for c in text if unicodedata.name(c, "").startswith("CJK UNIFIED"))
    return "zh-Hant" if not encodes(han, "gb2312") and encodes(han, "big5") else "zh-Hans"


@lru_cache(maxsize=256)
def canonical(language: str) -> str:
    """zh, zh-CN -> zh-Hans; zh-TW -> zh-Hant; zh-HK, zh-MO -> zh-Hant-HK; ja-JP -> ja; ko-KR -> ko; others -> und."""
    parts = language.replace("_", "-").lower().split("-")
    if parts[0] in ("ja", "ko"):
        return parts[0]
    if parts[0] not in ("zh", "cmn", "yue", "lzh"):
        return "und"
    if "hans" in parts:
        return "zh-Hans"
    if {"hk", "mo"} & set(parts) or parts[0] == "yue":
        return "zh-Hant-HK"
    return "zh-Hant" if {"hant", "tw"} & set(parts) else "zh-Hans"


def encodes(text: str, encoding: str) -> bool:
    """Whether an older character set has all of it."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _within(points: Codes, ranges: Codes) -> NDArray[np.bool_]:
    place = np.searchsorted(ranges[:, 0], points, side="right") - 1
    inside: NDArray[np.bool_] = (place >= 0) & (points <= ranges[place, 1])
    return inside
