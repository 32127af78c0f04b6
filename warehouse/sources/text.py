"""Text as it comes in deliveries: bytes to str, the language a script gives away, values that JSON can hold."""

from __future__ import annotations

import base64
import codecs
import datetime
import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache


class NotTextError(ValueError):
    """Bytes that are neither UTF-8, UTF-16 with a mark, nor GB18030."""


def decode_text(data: bytes) -> tuple[str, str | None]:
    """(text, encoding where it is not UTF-8). A byte order mark is dropped.

    GB18030 accepts nearly any bytes, so it counts only where most of its characters lie in the GB2312 plane, as Chinese
    text does and accented Latin-1 does not. Raises NotTextError.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as e:
            raise NotTextError(f"broken UTF-16: {e.reason}") from e
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError as e:
        raise NotTextError("neither UTF-8 nor GB18030 text") from e
    codes = [c.encode("gb18030") for c in text if c > "\x7f"]
    common = sum(len(c) == 2 and c[0] <= 0xF7 and c[1] >= 0xA1 for c in codes)
    if common * 2 <= len(codes):
        raise NotTextError("neither UTF-8 nor GB18030 text")
    return text, "gb18030"


def storable(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 can hold, as U+FFFD; any other text is returned as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # A pair of surrogate escapes is one character; only what stays alone is replaced.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_SCRIPTS = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "THAI": "th",
    "HEBREW": "he",
    "GREEK": "el",
    "LATIN": "und",
}


@lru_cache(maxsize=65536)
def _script(char: str) -> str:
    return _SCRIPTS.get(unicodedata.name(char, "").split(" ")[0], "other") if char.isalpha() else ""


def guess_language(text: str) -> str:
    """Language that the script gives away: zh ja ko ru ar hi th he el; "und" for Latin letters, other scripts and none.

    One Han, kana or Hangul character says about as much as two Latin letters, and kana among Han mean Japanese.
    """
    if text.isascii():
        return "und"
    count = Counter(_script(c) for c in text[:4096])
    if count["ja"] and count["ja"] * 10 >= count["zh"]:
        count["ja"] += count.pop("zh", 0)
    for dense in ("zh", "ja", "ko"):
        count[dense] *= 2
    del count[""]
    best = max(sorted(count), key=lambda k: count[k], default="und")
    return "und" if best == "other" or count[best] == 0 else best


def describe_bytes(data: bytes) -> dict[str, object]:
    """What stands in `extra` for bytes: their number and SHA-256, and themselves in base64 up to 64 bytes."""
    told: dict[str, object] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return told | {"base64": base64.b64encode(data).decode()} if len(data) <= 64 else told


def json_value(value: object) -> object:
    """The value as strict JSON holds it: NaN and infinities as strings, times in ISO 8601, bytes described."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, bytes | bytearray | memoryview):
        return describe_bytes(bytes(value))
    if isinstance(value, Mapping):
        return {storable(str(k)): json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(v) for v in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return storable(str(value))
