"""Frames whose text runs out of their shape in every office program: without wrapping, or lower than a line."""

from __future__ import annotations

from dataclasses import replace

from synth.geometry import translation
from synth.template.deck.ask import marked, units
from synth.template.deck.scene import Frame
from synth.template.deck.styles import style
from synth.template.deck.xml import EMU_PER_POINT, q

_SHIFT = {"l": 0.0, "ctr": 0.5, "r": 1.0}
_DOWN = {"t": 0.0, "ctr": 0.5, "b": 1.0}
_LINE = 1.5  # ems of the one line that a low box must hold
_GLYPH = 0.62  # ems that half a hanzi or a letter takes at most


def roomy(frame: Frame, wraps: bool) -> Frame:
    """The frame, as wide as its words where it does not wrap, and at least a line high; it grows from its anchor."""
    paragraph = frame.body.find(q("a:p"))
    if paragraph is None or frame.direction != "horz":
        return frame
    look = style(frame.chain, paragraph)
    size = look.size * EMU_PER_POINT
    width, height = frame.width, frame.height
    if not wraps and frame.words.strip() and not marked(frame.words):
        longest = max(units(line) for line in frame.words.replace("\v", "\n").split("\n"))
        width = max(width, longest * size * _GLYPH)
    if height < _LINE * size:
        height = _LINE * size
    if width == frame.width and height == frame.height:
        return frame
    across = (frame.width - width) * _SHIFT.get(look.align, 0.0)
    down = (frame.height - height) * _DOWN.get(frame.anchor, 0.0)
    return replace(frame, width=width, height=height, matrix=frame.matrix @ translation(across, down))
