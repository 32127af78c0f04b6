"""What a reader gives."""

from __future__ import annotations

from dataclasses import dataclass


def words(text: str) -> frozenset[str]:
    """The words of a text, once each: a set that is written as it is read."""
    return frozenset(text.split())


@dataclass(frozen=True)
class Document:
    """Paragraphs that belong together, as they stand in the file. `words`: it is a list of single words, by how often
    each is used (`counts`; a list without numbers has ones)."""

    paragraphs: tuple[str, ...]
    language: str | None = None
    words: bool = False
    counts: tuple[int, ...] = ()
