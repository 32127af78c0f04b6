"""Where shapes stand: boxes turned, mirrored and scaled with the groups that they are in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.geometry import Floats, rotation, translation
from synth.template.deck.errors import DeckError
from synth.template.deck.scene import Fill
from synth.template.deck.xml import Element, child, flag, local, q, whole


@dataclass(frozen=True)
class Place:
    """The space that shapes are placed in: (v - offset) * scale, then `matrix`. `group`: the fill of the group."""

    matrix: Floats
    ox: float = 0.0
    oy: float = 0.0
    sx: float = 1.0
    sy: float = 1.0
    group: Fill | None = None


def placed(xfrm: Element, place: Place) -> tuple[float, float, Floats]:
    """Width, height and matrix of a shape's box: scaled with its group, then turned about its own middle."""
    w, h, at = _box(xfrm, place)
    turn = rotation(whole(xfrm, "rot") / 60000, w / 2, h / 2)
    mirror = np.diag([-1.0 if flag(xfrm, "flipH") else 1.0, -1.0 if flag(xfrm, "flipV") else 1.0, 1.0])
    middle = translation(w / 2, h / 2) @ mirror @ translation(-w / 2, -h / 2)
    return w, h, place.matrix @ translation(*at) @ turn @ middle


def _box(xfrm: Element, place: Place) -> tuple[float, float, tuple[float, float]]:
    off, ext = child(xfrm, "a:off"), child(xfrm, "a:ext")
    w, h = whole(ext, "cx") * place.sx, whole(ext, "cy") * place.sy
    if abs(w) > 1e9 or abs(h) > 1e9:
        raise DeckError("broken XML", "a shape a kilometre wide")
    return w, h, ((whole(off, "x") - place.ox) * place.sx, (whole(off, "y") - place.oy) * place.sy)


def unmirrored(xfrm: Element, place: Place, w: float, h: float) -> Floats:
    """Text is never mirrored: a shape flipped upside down has its text turned around, sideways it is as it was."""
    _, _, at = _box(xfrm, place)
    turned = whole(xfrm, "rot") / 60000 + (180 if flag(xfrm, "flipV") else 0)
    out: Floats = place.matrix @ translation(*at) @ rotation(turned, w / 2, h / 2)
    if np.linalg.det(out[:2, :2]) < 0:
        out = out @ translation(w, 0) @ np.diag([-1.0, 1.0, 1.0])
    return out


def geometry_of(geometry: Element | None) -> tuple[str, dict[str, float]]:
    """The name of a preset shape, empty for a custom one, and its adjustments."""
    if geometry is None:
        return "rect", {}
    if local(geometry) == "custGeom":
        return "", {}
    adjust: dict[str, float] = {}
    for guide in geometry.iterfind(f"{q('a:avLst')}/{q('a:gd')}"):
        words = (guide.get("fmla") or "").split()
        if len(words) == 2 and words[0] == "val":
            try:
                adjust[guide.get("name", "")] = float(words[1])
            except ValueError as error:
                raise DeckError("broken XML", f"adjustment {words[1]!r}") from error
    return str(geometry.get("prst", "rect")), adjust
