"""Positions into pixels: glyph bitmaps, ink, paint."""
