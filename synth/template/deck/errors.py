"""Decks and slides that are not drawn, with the reason."""

from __future__ import annotations

from warehouse.errors import GlyphmillError


class DeckError(GlyphmillError):
    """A deck, or one of its slides, that is not drawn. `reason`: a short code to count by; `detail`: what it was."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail
