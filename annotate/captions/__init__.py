"""Captions as text: what is none, in which language, what they quote, and fusing raw facts with recaptions."""
