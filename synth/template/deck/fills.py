"""Fills, lines and shadows of shapes, from their XML, a style's number or a theme's own."""

from __future__ import annotations

import math
from typing import Any

from synth.template.deck.colour import Tone
from synth.template.deck.errors import DeckError
from synth.template.deck.scene import Fill, Gradient, Picture, Shadow, Stroke
from synth.template.deck.theme import Theme
from synth.template.deck.xml import Element, child, first, local, q, whole

FILLS = ("a:noFill", "a:solidFill", "a:gradFill", "a:blipFill", "a:pattFill", "a:grpFill")
LARGEST_PICTURE = 32 << 20  # bytes, encoded
HAIRLINE = 9525.0
_DASHES: dict[str, tuple[float, ...]] = {
    "solid": (), "dot": (1, 3), "sysDot": (1, 1), "dash": (4, 3), "sysDash": (3, 1), "lgDash": (8, 3),
    "dashDot": (4, 3, 1, 3), "sysDashDot": (3, 1, 1, 1), "lgDashDot": (8, 3, 1, 3), "sysDashDotDot": (3, 1, 1, 1, 1, 1),
    "lgDashDotDot": (8, 3, 1, 3, 1, 3),
}  # fmt: skip


def fill_within(holder: Element | None, theme: Theme, part: Any, group: Fill | None = None) -> tuple[bool, Fill | None]:
    """Whether `holder` says how it is filled, and how; None is no fill. `group`: the fill of the group it is in."""
    found = first(holder, FILLS)
    return (False, None) if found is None else (True, fill(found, theme, part, None, group))


def fill(
    element: Element, theme: Theme, part: Any, holder: Tone | None = None, group: Fill | None = None
) -> Fill | None:
    """One fill element. `holder`: the colour that a style reference gives. Raises DeckError."""
    kind = local(element)
    if kind == "noFill":
        return None
    if kind == "grpFill":
        return group
    if kind == "solidFill":
        return theme.palette.tone(element, holder)
    if kind == "gradFill":
        return _gradient(element, theme, holder)
    if kind == "blipFill":
        return picture(element, part)
    raise DeckError("cannot draw", "a pattern fill")


def by_number(reference: Element | None, theme: Theme, part: Any) -> Fill | None:
    """The fill of a style reference (fillRef, bgRef)."""
    element = theme.numbered(whole(reference, "idx"))
    if reference is None or element is None:
        return None
    return fill(element, theme, part, theme.palette.tone(reference))


def _gradient(element: Element, theme: Theme, holder: Tone | None) -> Fill | None:
    stops = []
    for stop in element.iterfind(f"{q('a:gsLst')}/{q('a:gs')}"):
        tone = theme.palette.tone(stop, holder)
        if tone is not None:
            stops.append((min(max(whole(stop, "pos") / 100000, 0.0), 1.0), tone))
    if not stops:
        return None
    outwards = child(element, "a:path")
    if outwards is not None:
        return Gradient(tuple(sorted(stops, key=lambda s: s[0])), None, outwards.get("path") == "circle")
    line = child(element, "a:lin")
    return Gradient(tuple(sorted(stops, key=lambda s: s[0])), whole(line, "ang") / 60000)


def picture(element: Element, part: Any) -> Picture:
    """The picture of a blipFill. Raises DeckError where it is missing or of a kind that is not drawn."""
    blip = child(element, "a:blip")
    name = blip.get(q("r:embed")) if blip is not None else None
    if not name:
        linked = blip is not None and blip.get(q("r:link"))
        raise DeckError("missing media", "a picture that lies outside the deck" if linked else "a fill without picture")
    if child(element, "a:tile") is not None:
        raise DeckError("cannot draw", "a tiled picture")
    for effect in blip if blip is not None else ():
        if local(effect) in ("duotone", "clrChange", "biLevel", "grayscl", "clrRepl"):
            raise DeckError("cannot draw", f"a recoloured picture ({local(effect)})")
    data = _blob(part, name)
    crop = child(element, "a:srcRect")
    left, top, right, bottom = (whole(crop, side) / 100000 for side in ("l", "t", "r", "b"))
    if left + right >= 0.999 or top + bottom >= 0.999:
        raise DeckError("broken XML", "a picture that is cropped away")
    alpha = whole(child(blip, "a:alphaModFix"), "amt", 100000) / 100000
    return Picture(data, (left, top, right, bottom), alpha)


def _blob(part: Any, name: str) -> bytes:
    relation = part.rels.get(name) if name in part.rels else None
    if relation is None or relation.is_external:
        raise DeckError("missing media", f"relation {name}")
    target = relation.target_part
    kind, data = str(target.content_type), bytes(target.blob or b"")
    if data[:4] in (b"\x01\x00\x00\x00", b"\xd7\xcd\xc6\x9a") or "emf" in kind or "wmf" in kind:
        raise DeckError("cannot draw", "an EMF or WMF picture")
    if not data or len(data) > LARGEST_PICTURE:
        raise DeckError("missing media" if not data else "too large", f"{target.partname}")
    return data


def stroke(line: Element | None, reference: Element | None, theme: Theme) -> Stroke | None:
    """The line of a shape: its own `ln`, with what it leaves open from the theme's line that a lnRef names."""
    number = whole(reference, "idx")
    base = theme.lines[number - 1] if reference is not None and 0 < number <= len(theme.lines) else None
    held = first(line, FILLS) if line is not None else None
    tone: Tone | None = None
    if held is not None:
        tone = _line_tone(held, theme, None)
    elif base is not None and (filled := first(base, FILLS)) is not None:
        tone = _line_tone(filled, theme, theme.palette.tone(reference))
    if tone is None or tone.alpha == 0:
        return None
    width = next((whole(e, "w") for e in (line, base) if e is not None and e.get("w")), int(HAIRLINE))
    dash = next((d.get("val", "solid") for e in (line, base) if (d := child(e, "a:prstDash")) is not None), "solid")
    ends = [child(line, f"a:{end}") for end in ("headEnd", "tailEnd")]
    start, end = (e is not None and e.get("type", "none") != "none" for e in ends)
    return Stroke(max(float(width), HAIRLINE / 2), tone, _DASHES.get(dash, ()), (start, end))


def _line_tone(element: Element, theme: Theme, holder: Tone | None) -> Tone | None:
    kind = local(element)
    if kind == "noFill":
        return None
    if kind == "gradFill":
        stop = next(element.iterfind(f"{q('a:gsLst')}/{q('a:gs')}"), None)
        return theme.palette.tone(stop, holder)
    if kind == "solidFill":
        return theme.palette.tone(element, holder)
    raise DeckError("cannot draw", f"a line with a {kind}")


def shadow(
    properties: Element | None, reference: Element | None, theme: Theme
) -> tuple[Shadow | None, tuple[str, ...]]:
    """The outer shadow of a shape, and the names of its effects that are left out."""
    effects, holder = child(properties, "a:effectLst"), None
    number = whole(reference, "idx")
    left_out: tuple[str, ...] = ()
    if effects is None and reference is not None and 0 < number <= len(theme.effects):
        effects, holder = child(theme.effects[number - 1], "a:effectLst"), theme.palette.tone(reference)
        if child(theme.effects[number - 1], "a:sp3d") is not None:
            left_out = ("bevel",)
    cast = child(effects, "a:outerShdw")
    left_out += tuple(local(e) for e in effects if local(e) != "outerShdw") if effects is not None else ()
    if cast is None:
        return None, left_out
    tone = theme.palette.tone(cast, holder) or Tone((0, 0, 0), 0.4)
    angle, distance = math.radians(whole(cast, "dir") / 60000), whole(cast, "dist")
    return Shadow(tone, whole(cast, "blurRad"), distance * math.cos(angle), distance * math.sin(angle)), left_out
