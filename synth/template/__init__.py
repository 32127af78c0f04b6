"""Slides and pages that are filled with text: decks and HTML."""
