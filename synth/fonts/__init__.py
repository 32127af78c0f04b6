"""Fonts: which there are, what each truly draws, and which may draw a text."""
