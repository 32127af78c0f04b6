"""How captions quote a text: on one line, between marks by which annotate/captions/quotes.py finds exactly it."""

from __future__ import annotations

from typing import Literal

from annotate.captions.quotes import quoted

Language = Literal["en", "zh"]

WHOLE = 300  # characters up to which a text among others is quoted whole
LONGEST = 360  # of one quotation: readers of captions find none beyond 400
MARKS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (("“", "”"), ('"', '"'), ("「", "」"), ("『", "』"), ("‘", "’")),
    "zh": (("“", "”"), ("「", "」"), ("『", "』"), ('"', '"'), ("‘", "’")),
}
#: Said before a quotation that is not all of the text.
BEGINS = {"en": "a long text that begins ", "zh": "开头为"}


def one_line(text: str) -> str:
    """Lines of Chinese are joined, those of other writing parted by a blank."""
    lines = [" ".join(line.split()) for line in text.split("\n") if line.strip()]
    joined = lines[0] if lines else ""
    for line in lines[1:]:
        joined += ("" if _wide(joined[-1]) and _wide(line[0]) else " ") + line
    return joined


def quotable(text: str) -> tuple[str, bool]:
    """What captions with many texts quote of one, and whether that is all of it: up to WHOLE characters all, of longer
    ones the beginning."""
    joined = one_line(text)
    if len(joined) <= WHOLE:
        return joined, True
    line = next(" ".join(line.split()) for line in text.split("\n") if line.strip())
    first = line[:120]
    if " " in first and len(line) > 120:
        first = first.rsplit(" ", 1)[0]
    return first.strip(), False


def quote(text: str, language: Language) -> str:
    """All of the text in quotation marks; a long one in several quotations one after the other."""
    return (" " if language == "en" else "").join(_marked(piece, language) for piece in _pieces(one_line(text)))


def quote_some(text: str, language: Language) -> str:
    """What is `quotable` of the text in quotation marks, told as a beginning where it is one."""
    words, whole = quotable(text)
    return ("" if whole else BEGINS[language]) + _marked(words, language)


def _marked(text: str, language: Language) -> str:
    """In the first marks that hold it; in the language's own where none does."""
    found = ((before, after) for before, after in MARKS[language] if text.strip() in quoted(f"{before}{text}{after}"))
    before, after = next(found, MARKS[language][0])
    return f"{before}{text}{after}"


def _pieces(text: str) -> list[str]:
    """Of at most LONGEST characters, cut after a sentence, else at a blank, else anywhere."""
    pieces = []
    while len(text) > LONGEST:
        head = text[:LONGEST]
        cut = max(head.rfind(mark) for mark in "。！？；.!?;") + 1 or head.rfind(" ") + 1 or LONGEST
        pieces.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*pieces, text]


def _wide(character: str) -> bool:
    return ord(character) >= 0x2E80
