"""Cutting a text to a wanted length where a reader would: at the end of a sentence, a clause, or at worst a word."""

from __future__ import annotations

import re
from bisect import bisect_right

import numpy as np

_CLOSERS = "”’」』）》】〉)\\]\"'"
_WIDE_STOP = f"[。！？…｡।؟۔።]+[{_CLOSERS}]*"
_NARROW_STOP = f"[.!?]+[{_CLOSERS}]*(?=\\s|$)"
_SENTENCE = re.compile(f"(?:{_WIDE_STOP}|{_NARROW_STOP})|\n")
_CLAUSE = re.compile(f"[，；：、—،؛]+[{_CLOSERS}]*|[,;:][{_CLOSERS}]*(?=\\s|$)|\\s[–—](?=\\s)")
_WORD = re.compile(r"\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(“\"'])(?:(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Col|Gen|Capt|Lt|Rev|Hon|vs|etc|No|Vol|p|pp|cf|e\.g|i\.e|a\.m|p\.m)"
    r"|[A-Z])\.$"
)
_TAIL = " \n\t,;:，；：、—–-(（《「『“‘【[،؛"
_HEAD = " \n\t,;:.!?，；：、。！？…)）》」』”】]،؛"
_PAIRS = {"“": "”", "‘": "’", "「": "」", "『": "』", "（": "）", "(": ")", "《": "》", "【": "】", "[": "]"}
_OPENERS = {'"': '"'} | {closer: opener for opener, closer in _PAIRS.items()}
_APOSTROPHE = re.compile(r"(?<=\w)[’'](?=\w)|(?<=s)’(?=\s)")


#: How roughly a text may be cut: between sentences only; between clauses too; between words where nothing else fits.
SENTENCES, CLAUSES, WORDS = range(3)


def cut(
    text: str, rng: np.random.Generator, shortest: int, longest: int, rough: int = WORDS, anywhere: bool = True
) -> str | None:
    """A stretch of the text of `shortest` to `longest` characters, or None where it has none.

    It begins where a sentence begins (`anywhere`: any of them; else the first), else where a clause does, and ends with
    one. Brackets and quotation marks that lose their other half are left out.
    """
    stops = _stops(text)
    found = _stretch(text, rng, [0, *stops[:-1]] if anywhere else [0], stops, shortest, longest)
    if found is None and rough >= CLAUSES:
        ends = sorted({*stops, *(m.end() for m in _CLAUSE.finditer(text))})
        found = _stretch(text, rng, [0, *ends[:-1]] if anywhere else [0], ends, shortest, longest)
    if found is None and rough >= WORDS:
        found = _stretch(text, rng, [0, *stops[:-1]] if anywhere else [0], _word_ends(text), shortest, longest)
    return found


def _stretch(
    text: str, rng: np.random.Generator, starts: list[int], ends: list[int], shortest: int, longest: int
) -> str | None:
    wanted = int(rng.integers(shortest, longest + 1))
    first = int(rng.integers(len(starts)))
    spare = None
    for start in starts[first:] + starts[:first]:
        last = bisect_right(ends, start + longest + 2)  # blanks and commas at the edges may still fall away
        near = bisect_right(ends, start + wanted)
        inside = [ends[i] for i in [*range(near - 1, -1, -1), *range(near, last)] if ends[i] >= start + shortest]
        for end in inside[:8]:
            whole = text[start:end].lstrip(_HEAD).rstrip(_TAIL)
            mended = paired(whole)
            if shortest <= len(mended) <= longest:
                if mended == whole:
                    return whole
                spare = spare or mended
    return spare


def sentences(text: str) -> list[str]:
    """The text in sentences; put together again they are the text."""
    ends = _stops(text)
    return [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _stops(text: str) -> list[int]:
    """Ends of sentences; the end of the text is one."""
    ends = [
        m.end()
        for m in _SENTENCE.finditer(text)
        if not (m.group()[0] == "." and _ABBREVIATION.search(text[max(0, m.start() - 6) : m.start() + 1]))
    ]
    return ends if ends and ends[-1] == len(text) else [*ends, len(text)]


def _word_ends(text: str) -> list[int]:
    """Where a line may be cut at worst: at blanks, and beside characters of scripts that are written without."""
    ends = {m.start() for m in _WORD.finditer(text)} | {len(text)}
    ends |= {m.end() for m in _UNSPACED.finditer(text)}
    return sorted(ends)


#: A character of Chinese, Japanese or Korean that no mark follows which may not begin a line.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U000323af](?![，。！？；：、）》」』”’…])")


def paired(text: str) -> str:
    """The text without the brackets and quotation marks that have lost their other half."""
    if not any(c in text for c in '"“”‘’「」『』（）()《》【】[]'):
        return text
    spared = {m.start() for m in _APOSTROPHE.finditer(text)}
    open_at: list[tuple[str, int]] = []
    lost: set[int] = set()
    for at, c in enumerate(text):
        if at in spared:
            continue
        if c in _PAIRS or (c == '"' and (at == 0 or text[at - 1].isspace() or text[at - 1] in _PAIRS)):
            open_at.append((c, at))
        elif c in _OPENERS:
            if open_at and open_at[-1][0] == _OPENERS[c]:
                open_at.pop()
            else:
                lost.add(at)
    lost |= {at for _, at in open_at}
    return "".join(c for at, c in enumerate(text) if at not in lost).strip() if lost else text
