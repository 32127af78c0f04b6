"""Text into positions: shaping, bidi, line breaking, fitting. No pixels."""
