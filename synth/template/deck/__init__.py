"""Slides of PowerPoint decks, our own and any user's, filled with text and drawn with its truth."""
