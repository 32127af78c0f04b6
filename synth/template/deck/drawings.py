"""Shapes: their outline, fill, line and shadow."""

from __future__ import annotations

import numpy as np

from synth.geometry import Floats
from synth.template.deck import fills
from synth.template.deck.custom import custom
from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import Path, preset
from synth.template.deck.places import Place, geometry_of
from synth.template.deck.scene import Drawing, Fill, Picture
from synth.template.deck.sheets import Sheet
from synth.template.deck.theme import Theme
from synth.template.deck.xml import Element, child, local


def drawing_of(
    theme: Theme,
    shape: Element,
    held: list[Element],
    place: Place,
    sheet: Sheet,
    box: tuple[float, float, Floats],
    geometry: Element | None,
) -> tuple[Drawing | None, tuple[str, ...]]:
    """What a shape draws besides text, and the names of its slight effects that are left out.

    `held`: its properties, nearest first; `box`: width, height and matrix. Raises DeckError.
    """
    w, h, matrix = box
    style = child(shape, "p:style")
    fill: Fill | None = None
    said = False
    if local(shape) == "pic":
        held_picture = child(shape, "p:blipFill")
        if held_picture is None:
            raise DeckError("missing media", "a picture without its fill")
        fill, said = fills.picture(held_picture, sheet.part), True
    for properties in held:
        if not said:
            said, fill = fills.fill_within(properties, theme, sheet.part, place.group)
    if not said and style is not None and local(shape) != "cxnSp":
        fill = fills.by_number(child(style, "a:fillRef"), theme, sheet.part)
    line = next((e for p in held if (e := child(p, "a:ln")) is not None), None)
    stroke = fills.stroke(line, child(style, "a:lnRef"), theme)
    shadow, left_out = fills.shadow(held[0] if held else None, child(style, "a:effectRef"), theme)
    for properties in held[:1]:
        if child(properties, "a:sp3d", "a:bevelT") is not None or child(properties, "a:scene3d", "a:rot") is not None:
            raise DeckError("cannot draw", "a shape in 3-D")
    if fill is None and stroke is None:
        return None, ()
    name, adjust = geometry_of(geometry)
    if local(shape) == "cxnSp" and geometry is None:
        name = "line"
    paths = custom(geometry, w, h) if name == "" and geometry is not None else preset(name or "rect", w, h, adjust)
    if isinstance(fill, Picture) and not all(path.closed for path in paths):
        paths = (Path(np.array([(0, 0), (w, 0), (w, h), (0, h)], dtype=np.float64)),)
    return Drawing(w, h, matrix, paths, fill, stroke, shadow if fill is not None else None), left_out
