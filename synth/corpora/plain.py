"""Plain text, lists of words, and subtitles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from synth.corpora.source import Document

_LISTED = re.compile(r"(\S+)[ \t]+(\d+)(?:[ \t]\S+)?")
_ENDS = re.compile('[。！？…；.!?;:：”"’」』）)]$')
_CUE = re.compile(r"(?:\d+\s*\n)?\s*[\d:.,]+\s*-->\s*[\d:.,]+[^\n]*\n")
_TAG = re.compile(r"</?[a-z][^>]*>|\{\\[^}]*\}")


def text_documents(text: str, name: str) -> Iterator[Document]:
    """One document a file: paragraphs between blank lines, or a line each; a list of words where every line is one."""
    lines = text.split("\n")
    listed = _word_list(lines)
    if listed is not None:
        yield listed
        return
    paragraphs: list[str] = []
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line.strip())
        elif block:
            paragraphs += unwrapped(block)
            block = []
    yield Document(tuple(paragraphs))


def subtitle_documents(text: str, name: str) -> Iterator[Document]:
    """The cues of .srt and .vtt, a paragraph each, without their times and tags."""
    cues = [" ".join(_TAG.sub("", cue.split("\n\n")[0]).split("\n")) for cue in _CUE.split(text)[1:]]
    yield Document(tuple(cue.strip() for cue in cues if cue.strip()))


def unwrapped(block: Sequence[str]) -> list[str]:
    """The paragraphs of lines without a blank one between: a line each, or one where lines were broken to a width."""
    longest = max(map(len, block))
    body = block[:-1]
    broken = len(block) > 1 and longest >= 30 and all(len(line) >= 0.7 * longest for line in body)
    if not broken or sum(bool(_ENDS.search(line)) for line in body) > 0.5 * len(body):
        return list(block)
    joined = block[0]
    for line in block[1:]:
        joined += line if joined[-1] > "\u2e7f" and line[0] > "\u2e7f" else f" {line}"
    return [joined]


def _word_list(lines: Sequence[str]) -> Document | None:
    held = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    numbered = [_LISTED.fullmatch(line) for line in held]
    if held and all(numbered):
        found = [(m.group(1), int(m.group(2))) for m in numbered if m]
        return Document(tuple(word for word, _ in found), None, True, tuple(count for _, count in found))
    if len(held) >= 20 and all(len(line) <= 4 and " " not in line and line.isalpha() for line in held):
        return Document(tuple(held), None, True, (1,) * len(held))
    return None
