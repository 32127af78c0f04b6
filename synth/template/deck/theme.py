"""A deck's theme: its colours, its typefaces, and the fills and lines that shapes name by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from synth.template.deck.colour import NAMES, Palette, Rgb, Tone
from synth.template.deck.errors import DeckError
from synth.template.deck.xml import Element, child, first, local, q

_ROLES = {
    "bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2", "accent1": "accent1", "accent2": "accent2",
    "accent3": "accent3", "accent4": "accent4", "accent5": "accent5", "accent6": "accent6", "hlink": "hlink",
    "folHlink": "folHlink",
}  # fmt: skip


@dataclass(frozen=True)
class Theme:
    """`typefaces`: +mj-lt, +mn-ea ... to names. `fills`, `grounds`, `lines`: style elements by number from 1."""

    palette: Palette
    typefaces: Mapping[str, str]
    fills: tuple[Element, ...]
    grounds: tuple[Element, ...]
    lines: tuple[Element, ...]
    effects: tuple[Element, ...]

    def numbered(self, number: int) -> Element | None:
        """The fill that a style reference names: 1 ... of shapes, 1001 ... of grounds; 0 and 1000 are none."""
        held = self.grounds if number > 1000 else self.fills
        return held[number % 1000 - 1] if 0 < number % 1000 <= len(held) else None


def read_theme(theme: Element | None, colour_map: Element | None) -> Theme:
    """`colour_map`: the clrMap that holds on this slide. Raises DeckError where there is no theme."""
    elements = child(theme, "a:themeElements")
    if elements is None:
        raise DeckError("broken theme", "the master has none")
    roles = dict(_ROLES) | ({str(k): str(v) for k, v in colour_map.attrib.items()} if colour_map is not None else {})
    formats = child(elements, "a:fmtScheme")
    lists = [child(formats, f"a:{name}") for name in ("fillStyleLst", "bgFillStyleLst", "lnStyleLst", "effectStyleLst")]
    fills, grounds, lines, effects = (tuple(held) if held is not None else () for held in lists)
    return Theme(Palette(_scheme(elements), roles), _typefaces(elements), fills, grounds, lines, effects)


def _scheme(elements: Element) -> dict[str, Rgb]:
    empty = Palette({}, {})
    found: dict[str, Rgb] = {}
    held = child(elements, "a:clrScheme")
    for slot in held if held is not None else ():
        tone = empty.tone(slot) if first(slot, NAMES) is not None else None
        if isinstance(tone, Tone):
            found[local(slot)] = tone.rgb
    if "dk1" not in found or "lt1" not in found:
        raise DeckError("broken theme", "its colours are missing")
    return found


def _typefaces(elements: Element) -> dict[str, str]:
    out = {}
    for short, name in (("mj", "majorFont"), ("mn", "minorFont")):
        font = child(elements, "a:fontScheme", f"a:{name}")
        for script, tag in (("lt", "latin"), ("ea", "ea")):
            face = font.find(q(f"a:{tag}")) if font is not None else None
            out[f"+{short}-{script}"] = face.get("typeface", "") if face is not None else ""
    return out
