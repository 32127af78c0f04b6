"""From bytes to text, strictly: UTF-8, UTF-16 and UTF-32 with their mark, GB18030 and Big5 where they plainly are."""

from __future__ import annotations

import codecs
import re
from functools import cache
from pathlib import Path

from annotate.captions.language import HAN
from warehouse.errors import UsageError

_MARKS = (  # the longer first: one begins with another
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Characters that any Chinese text is full of, old or new, in both forms.
_FREQUENT = frozenset(
    "的一是不了在人有我他这这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過发發后後作里"
    "裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心她本前开開但因只从從想实實日"
    "何无無山风風水花月春云雲者曰夫君与與乎矣此相若"
)
_SAMPLE = 20_000
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_KANA = re.compile("[\u3041-\u30fa]")
_HAN = re.compile(f"[{HAN}]")
_SEVEN_BIT = re.compile(r"\x1b[$(]|~\{(?:[!-}]{2})+~\}")  # ISO-2022, HZ
_UTF_7 = re.compile(r"(?<![A-Za-z])\+(?=[0-9/A-Z]*[a-z])(?=[0-9/a-z]*[A-Z])[A-Za-z0-9/]{3,}-?")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_BETWEEN_LETTERS = re.compile(f"(?<=[A-Za-z])[{HAN}]+(?=[A-Za-z])|\\b[{HAN}](?=[a-z]{{2}})|(?<=[a-z]{{2}})[{HAN}]\\b")
_FEWEST = 32  # Chinese characters; in fewer it cannot be told what they are
_MARK_CHARACTERS = frozenset("　、。，；：？！“”‘’（）《》「」『』【】—…·～")


def decode(data: bytes, name: str | Path) -> str:
    """The text of a file. Raises UsageError, with the byte that is no UTF-8, where its encoding is not plain to see."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _strict(data, codec, name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _legacy(data, error.start, name)
    sample = text[:_SAMPLE]
    found = _SEVEN_BIT.search(sample)
    for unreadable, share in ((_CONTROLS, 0.01), (_UTF_7, 0.3)):
        if found is None and sum(len(part) for part in unreadable.findall(sample)) > share * len(sample):
            found = unreadable.search(sample)
    if found is not None:
        at = len(text[: found.start()].encode("utf-8"))
        raise UsageError(
            f"{name}: byte {at} (0x{data[at]:02x}) begins what is no plain text: UTF-16 without its mark, "
            f"ISO-2022, HZ, UTF-7 or no text at all; save it as UTF-8: iconv -f ENCODING -t UTF-8 FILE > NEW"
        )
    return text


def _strict(data: bytes, codec: str, name: str | Path) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: byte {error.start} is no {codec.removesuffix('-sig').upper()}, which the file's mark says it is "
            f"({error.reason}); save it again as UTF-8"
        ) from error


def _legacy(data: bytes, wrong: int, name: str | Path) -> str:
    """GB18030 or Big5, taken only where all of it decodes and it reads as Chinese of that code set and not the other:
    both accept most bytes of one another and of Korean and Japanese code sets, and give other characters for them."""
    texts: dict[str, str] = {}
    for known, variants in (("GB18030", ("gb18030",)), ("Big5", ("big5", "cp950", "big5hkscs"))):
        for codec in variants:
            try:
                texts[known] = data.decode(codec)
                break
            except UnicodeDecodeError:
                continue
    likely = {known: _likeness(text) for known, text in texts.items()}
    best = max(likely, key=lambda known: likely[known], default=None)
    others = [score for known, score in likely.items() if known != best]
    if best is not None and likely[best] >= 0.9 and all(score < likely[best] - 0.1 for score in others):
        return texts[best]
    raise UsageError(
        f"{name}: byte {wrong} (0x{data[wrong]:02x}) is no UTF-8, and the file is not plainly GB18030 or Big5; "
        f"save it as UTF-8: iconv -f ENCODING -t UTF-8 FILE > NEW"
    )


def _likeness(text: str) -> float:
    """0 to 1: share of the characters that common Chinese texts are written with; 0 for what no Chinese text is like:
    few characters, few different ones (letters of another script), hardly a frequent one, many within Latin words."""
    sample = text[:_SAMPLE]
    seen = _NON_ASCII.findall(sample)
    han = [c for c in seen if _HAN.match(c)]
    if len(han) < _FEWEST or len(set(han)) < 3 * len(han) ** 0.5:
        return 0.0
    frequent = [c for c in han if c in _FREQUENT]
    if len(frequent) < 0.08 * len(han) or len(set(frequent)) < 3:
        return 0.0
    within = sum(map(len, _BETWEEN_LETTERS.findall(sample)))
    if within > 0.1 * len(han) or sum(bool(_KANA.match(c)) for c in seen) > 0.1 * len(seen):
        return 0.0
    usual = sum(c in _common() or c in _MARK_CHARACTERS or "\uff01" <= c <= "\uff5e" for c in seen)
    return float(usual / len(seen))


@cache
def _common() -> frozenset[str]:
    """The first level of both old code sets: the characters of daily use in either form."""
    simplified = (bytes((lead, trail)) for lead in range(0xB0, 0xD8) for trail in range(0xA1, 0xFF))
    traditional = (bytes((lead, trail)) for lead in range(0xA4, 0xC7) for trail in range(0x40, 0xFF))
    found = "".join(pair.decode("gb2312", errors="ignore") for pair in simplified)
    found += "".join(pair.decode("big5", errors="ignore") for pair in traditional)
    return frozenset(c for c in found if _HAN.match(c))
