"""Places for text: the box within a shape's insets, and all that its text takes after."""

from __future__ import annotations

from synth.geometry import Floats, rotation, translation
from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import text_box
from synth.template.deck.placeholders import ROLES, kind
from synth.template.deck.places import geometry_of
from synth.template.deck.room import roomy
from synth.template.deck.scene import Frame
from synth.template.deck.sheets import Sheets
from synth.template.deck.styles import Chain
from synth.template.deck.xml import Element, child, local, q, whole

_INSETS = (("lIns", 91440), ("tIns", 45720), ("rIns", 91440), ("bIns", 45720))


def frame_of(
    sheets: Sheets,
    shape: Element,
    body: Element,
    above: tuple[Element, ...],
    ph: Element | None,
    size: tuple[float, float],
    matrix: Floats,
    geometry: Element | None,
) -> Frame | None:
    """The place for text of a shape of `size` (EMU) that `matrix` puts on the slide; None where it has no text."""
    bodies = [body, *(b for s in above if (b := child(s, "p:txBody")) is not None)]
    settings = [e for e in (child(b, "a:bodyPr") for b in bodies) if e is not None]
    words = text_of(body)
    if not words.strip() and ph is None:
        return None
    name, adjust = geometry_of(geometry)
    left, top, right, bottom = text_box(name or "rect", *size, adjust)
    insets = [next((whole(e, k) for e in settings if e.get(k)), default) for k, default in _INSETS]
    left, top, right, bottom = left + insets[0], top + insets[1], right - insets[2], bottom - insets[3]
    anchor = next((e.get("anchor") for e in settings if e.get("anchor")), "t")
    direction = next((e.get("vert") for e in settings if e.get("vert")), "horz")
    _refuse_text(settings, direction)
    if any(whole(e, "rot") for e in settings[:1]):
        matrix = matrix @ rotation(whole(settings[0], "rot") / 60000, size[0] / 2, size[1] / 2)
    role = ROLES.get(kind(ph), "body") if ph is not None else "text"
    font = child(shape, "p:style", "a:fontRef")
    fallback = sheets.theme.palette.tone(font) if font is not None else None
    lists = tuple(e for e in (child(b, "a:lstStyle") for b in bodies) if e is not None)
    title = child(sheets.master.root, "p:txStyles", "p:titleStyle" if role == "title" else "p:bodyStyle")
    below = (title,) if ph is not None and title is not None and role in ("title", "subtitle", "body") else ()
    head = next((e for e in shape if local(e).startswith("nv")), None)
    known = child(head, "p:cNvPr")
    frame = Frame(
        body=body,
        chain=Chain(sheets.theme, lists, fallback, below + sheets.styles()),
        width=right - left,
        height=bottom - top,
        matrix=matrix @ translation(left, top),
        role=role,
        words=words,
        name=known.get("name", "") if known is not None else "",
        anchor=str(anchor),
        direction=str(direction),
    )
    wraps = next((e.get("wrap") for e in settings if e.get("wrap")), "square") != "none"
    return roomy(frame, wraps)


def text_of(body: Element) -> str:
    """The paragraphs of a text body, a line each; a vertical tab for line breaks within one."""
    lines = []
    for paragraph in body.iterfind(q("a:p")):
        parts = []
        for run in paragraph:
            if local(run) in ("r", "fld"):
                parts.append(run.findtext(q("a:t")) or "")
            elif local(run) == "br":
                parts.append("\v")
        lines.append("".join(parts))
    return "\n".join(lines)


def _refuse_text(settings: list[Element], direction: str) -> None:
    if direction not in ("horz", "eaVert", "vert", "vert270"):
        raise DeckError("cannot draw", f"text written {direction}")
    for element in settings:
        warp = child(element, "a:prstTxWarp")
        if warp is not None and warp.get("prst", "textNoShape") not in ("textNoShape", "textPlain"):
            raise DeckError("cannot draw", "WordArt")
    if next((whole(e, "numCol") for e in settings if e.get("numCol")), 1) > 1:
        raise DeckError("cannot draw", "text in columns")
