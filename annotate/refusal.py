"""Refusals: answers that say why there is none, bare or dressed up as a valid annotation."""

from __future__ import annotations

from collections.abc import Iterable

from annotate.captions.phrases import REFUSALS
from annotate.captions.quotes import without_quotes

#: Characters in which a refusal shows itself. The same words further on may well be a part of a description.
OPENING = 240


def is_refusal(text: str) -> bool:
    """Whether the text opens as a refusal. Quoted words do not count: a picture may show a sign that says sorry."""
    opening = " ".join(without_quotes(text[: 2 * OPENING])[:OPENING].split())
    return any(pattern.search(opening) for pattern in REFUSALS)


def any_refusal(texts: Iterable[str]) -> bool:
    return any(is_refusal(text) for text in texts)
