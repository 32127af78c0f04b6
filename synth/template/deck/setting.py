"""Paragraphs set in their box: our own layout decides every line, so that what is written is known to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synth.fonts.face import FaceKey, open_face
from synth.layout.block import Align, Block, OverflowingError, Setting
from synth.layout.paragraph import lay_out
from synth.template.deck.styles import Style

_ALIGN: dict[str, Align] = {"l": "start", "ctr": "center", "r": "end", "just": "justify", "dist": "justify"}
ROUNDING = 1.0  # pixels by which lines may be higher than their box: what rounding to whole pixels adds


@dataclass(frozen=True)
class Written:
    """A paragraph to be set. `size`: em in pixels. `marker`: its bullet or number, empty for none."""

    text: str
    style: Style
    role: str
    language: str
    face: FaceKey
    size: float
    marker: str = ""
    marker_face: FaceKey | None = None  # where the main face lacks the bullet


@dataclass(frozen=True)
class Line:
    """A paragraph as set: the top left of its block, and of its marker's, in pixels of the frame's box."""

    written: Written
    block: Block
    x: float
    y: float
    marker: Block | None = None
    marker_x: float = 0.0


def natural_leading(face: FaceKey) -> float:
    """Ems from line to line that the font itself asks for."""
    opened = open_face(face)
    extents = opened.hb_font.get_font_extents("ltr")
    return float(opened.ascent + opened.descent + max(extents.line_gap, 0) / opened.upem)


def leading_of(written: Written, scale: float) -> float:
    """Ems from line to line. `scale`: pixels to the EMU."""
    spacing = written.style.spacing
    if spacing < 0:
        return -spacing * 12700 * scale / written.size
    return natural_leading(written.face) * spacing


def set_frame(
    paragraphs: Sequence[Written], width: float, height: float, scale: float, anchor: str, vertical: bool
) -> tuple[Line, ...]:
    """Set paragraphs below each other, or from the right in vertical writing, in a box of `width` x `height` pixels.

    Raises OverflowingError where they do not fit, UndrawableError.
    """
    measure, room = (height, width) if vertical else (width, height)
    placed: list[tuple[Written, Block, float, Block | None, float]] = []
    along, after = 0.0, 0.0
    for written in paragraphs:
        block, margin, marker, marker_x = _set(written, measure, scale, vertical)
        gap = max(after, _gap(written, written.style.before, scale)) if placed else 0.0
        along += gap
        placed.append((written, block, along, marker, marker_x))
        along += block.width if vertical else block.height
        after = _gap(written, written.style.after, scale)
        if along > room + ROUNDING:
            raise OverflowingError(f"{len(paragraphs)} paragraphs do not fit {width:.0f}x{height:.0f} pixels")
    start = {"ctr": (room - along) / 2, "b": room - along}.get(anchor, 0.0)
    out = []
    for written, block, at, marker, marker_x in placed:
        margin = written.style.margin * scale
        if vertical:
            out.append(Line(written, block, round(width - start - at - block.width), round(margin)))
        else:
            out.append(Line(written, block, round(margin), round(start + at), marker, round(marker_x)))
    return tuple(out)


def _set(written: Written, measure: float, scale: float, vertical: bool) -> tuple[Block, float, Block | None, float]:
    style = written.style
    margin = max(style.margin * scale, 0.0)
    setting = Setting(
        (written.face,),
        written.size,
        direction="vertical" if vertical else "horizontal",
        align=_ALIGN.get(style.align, "start"),
        leading=leading_of(written, scale),
        tracking=style.tracking * 12700 * scale / written.size,
        language=written.language,
    )
    if measure - margin < written.size:
        raise OverflowingError("a box narrower than a character")
    marker, marker_x = None, 0.0
    if written.marker and not vertical:
        marker_x = max((style.margin + style.indent) * scale, 0.0)
        mark = Setting(
            (written.marker_face or written.face,), written.size, leading=setting.leading, language=written.language
        )
        marker = lay_out(written.marker, mark)
        if style.align != "l" or marker_x + marker.width > margin:
            raise OverflowingError("a bullet without room before its text")
    return lay_out(written.text, setting, measure - margin), margin, marker, marker_x


def _gap(written: Written, spacing: float, scale: float) -> float:
    """Room before or after a paragraph in pixels: a share of a line, or points."""
    return -spacing * 12700 * scale if spacing < 0 else spacing * 1.2 * written.size
