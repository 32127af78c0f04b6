"""Theme colours of slides: a scheme of twelve, named by role, changed by tint, shade and luminance."""

from __future__ import annotations

import colorsys
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from PIL import ImageColor

from synth.template.deck.errors import DeckError
from synth.template.deck.xml import Element, first, local, whole

Rgb = tuple[int, int, int]
NAMES = ("a:srgbClr", "a:schemeClr", "a:sysClr", "a:prstClr", "a:scrgbClr", "a:hslClr")
_SHORT = {"dk": "dark", "lt": "light", "med": "medium"}


@dataclass(frozen=True)
class Tone:
    """A colour and how much it covers, 0 to 1."""

    rgb: Rgb
    alpha: float = 1.0


@dataclass(frozen=True)
class Palette:
    """`scheme`: the theme's colours by name (dk1 ... folHlink); `roles`: what a slide calls them (bg1, tx1 ...)."""

    scheme: Mapping[str, Rgb]
    roles: Mapping[str, str]

    def named(self, name: str, holder: Tone | None) -> Rgb:
        if name == "phClr":
            if holder is None:
                raise DeckError("broken theme", "a placeholder's colour where none is given")
            return holder.rgb
        found = self.scheme.get(self.roles.get(name, name))
        if found is None:
            raise DeckError("broken theme", f"no colour named {name}")
        return found

    def tone(self, element: Element | None, holder: Tone | None = None) -> Tone | None:
        """The colour that stands within `element` (a solidFill, a stop, a style reference), or None.

        `holder`: what phClr stands for within a theme's own fills.
        """
        colour = first(element, NAMES)
        if colour is None:
            return None
        alpha = holder.alpha if holder and colour.get("val") == "phClr" else 1.0
        return _changed(self._base(colour, holder), colour, alpha)

    def _base(self, colour: Element, holder: Tone | None) -> Rgb:
        kind, value = local(colour), colour.get("val", "")
        if kind == "schemeClr":
            return self.named(value, holder)
        if kind == "scrgbClr":
            r, g, b = (_to_srgb(min(max(whole(colour, c) / 100000, 0.0), 1.0)) for c in "rgb")
            return r, g, b
        if kind == "hslClr":
            hue, sat, lum = whole(colour, "hue") / 21600000, whole(colour, "sat") / 1e5, whole(colour, "lum") / 1e5
            return _bytes(colorsys.hls_to_rgb(hue % 1.0, lum, sat))
        if kind == "sysClr":
            value = colour.get("lastClr") or {"window": "FFFFFF"}.get(value, "000000")
        if kind == "prstClr":
            return _preset(value)
        return from_hex(value)


def from_hex(value: str) -> Rgb:
    try:
        number = int(value, 16)
    except ValueError as error:
        raise DeckError("broken XML", f"{value!r} is no colour") from error
    return (number >> 16) & 255, (number >> 8) & 255, number & 255


def _preset(name: str) -> Rgb:
    for short, long in _SHORT.items():
        if name.startswith(short) and not name.startswith(long):
            name = long + name[len(short) :]
    try:
        r, g, b = ImageColor.getrgb(name.lower())[:3]
    except ValueError as error:
        raise DeckError("cannot draw", f"preset colour {name}") from error
    return r, g, b


def _changed(rgb: Rgb, colour: Element, alpha: float) -> Tone:
    """The colour after its transforms, in the order written (ECMA-376 part 1, 20.1.2.3)."""
    for change in colour:
        kind, amount = local(change), whole(change, "val") / 100000
        if kind == "alpha":
            alpha *= amount
        elif kind == "tint":  # towards white, in linear light
            rgb = _linear(rgb, partial(_tinted, amount))
        elif kind == "shade":  # towards black, in linear light
            rgb = _linear(rgb, partial(operator.mul, amount))
        elif kind in ("lumMod", "lumOff", "satMod", "satOff", "hueMod", "hueOff"):
            rgb = _hsl(rgb, kind, whole(change, "val") / 21600000 if kind == "hueOff" else amount)
        elif kind == "inv":
            rgb = (255 - rgb[0], 255 - rgb[1], 255 - rgb[2])
        elif kind in ("gray", "grayscl"):
            level = round(0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2])
            rgb = (level, level, level)
    return Tone(rgb, min(max(alpha, 0.0), 1.0))


def _hsl(rgb: Rgb, kind: str, amount: float) -> Rgb:
    hue, lum, sat = colorsys.rgb_to_hls(*(c / 255 for c in rgb))
    parts = {"hue": hue, "lum": lum, "sat": sat}
    name = kind[:3]
    parts[name] = parts[name] * amount if kind.endswith("Mod") else parts[name] + amount
    hue, lum, sat = parts["hue"] % 1.0, min(max(parts["lum"], 0.0), 1.0), min(max(parts["sat"], 0.0), 1.0)
    return _bytes(colorsys.hls_to_rgb(hue, lum, sat))


def _linear(rgb: Rgb, change: Callable[[float], float]) -> Rgb:
    r, g, b = (_to_srgb(min(max(change(_from_srgb(c)), 0.0), 1.0)) for c in rgb)
    return r, g, b


def _tinted(amount: float, value: float) -> float:
    return value * amount + 1 - amount


def _from_srgb(value: int) -> float:
    c = value / 255
    return c / 12.92 if c <= 0.04045 else float(((c + 0.055) / 1.055) ** 2.4)


def _to_srgb(c: float) -> int:
    return round(255 * (c * 12.92 if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055))


def _bytes(rgb: tuple[float, float, float]) -> Rgb:
    r, g, b = (min(max(round(c * 255), 0), 255) for c in rgb)
    return r, g, b
