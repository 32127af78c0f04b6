"""Colours that go together: grounds and the inks that can be read on them."""

from __future__ import annotations

from dataclasses import dataclass

from synth.draw.paint import Colour

#: Contrast below which small text is hard to read: WCAG 2.2, success criterion 1.4.3.
READABLE = 4.5


@dataclass(frozen=True)
class Palette:
    """A ground, inks for it, an accent for rules and frames; `name` in English and Chinese is the ground's colour."""

    ground: Colour
    inks: tuple[Colour, ...]
    accent: Colour
    name: dict[str, str]


def _palette(ground: str, inks: str, accent: str, english: str, chinese: str) -> Palette:
    return Palette(
        parsed(ground), tuple(parsed(c) for c in inks.split()), parsed(accent), {"en": english, "zh": chinese}
    )


def parsed(text: str) -> Colour:
    """`#rrggbb` or `rrggbb` to (r, g, b)."""
    digits = text.lstrip("#")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def hexed(colour: Colour) -> str:
    """(r, g, b) to `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def luminance(colour: Colour) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    linear = [v / 3294.6 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio, 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


PLAIN: tuple[Palette, ...] = (
    _palette("ffffff", "101010 1b2a49 8c1c13 1f4d3a", "c8281e", "white", "白色"),
    _palette("ffffff", "101010 2b2b2b", "9aa0a6", "white", "白色"),
    _palette("f7f3e8", "2b2118 5a3b22 1b2a49", "b5651d", "ivory", "象牙白"),
    _palette("f4ecd8", "3a2c1a 5a1f14", "a8793a", "parchment", "米黄色"),
    _palette("eef2f5", "1b2a49 22303c", "2456a6", "pale grey", "浅灰色"),
    _palette("e8f1ea", "1f4d3a 16302a", "2e7d4f", "pale green", "浅绿色"),
    _palette("fbeeee", "7a1f2b 4a1820", "c2566a", "pale pink", "浅粉色"),
    _palette("e9eefb", "1d2f66 202a44", "4766c9", "pale blue", "浅蓝色"),
    _palette("f6f0fb", "432063 2d1b45", "8a55c0", "pale lilac", "浅紫色"),
    _palette("fff6d9", "4a3512 6b3d0c", "d19a1c", "pale yellow", "浅黄色"),
    _palette("101214", "f7f7f2 f0e6cf f2c84b", "caa24a", "black", "黑色"),
    _palette("14213d", "f7f7f2 fce7b2", "fca311", "navy blue", "深蓝色"),
    _palette("1f3b2f", "f3efe0 f2d98d", "caa24a", "dark green", "墨绿色"),
    _palette("5c1a1b", "fdf3e3 f2d4a0", "e0b15a", "dark red", "暗红色"),
    _palette("2b2b33", "ffffff d9e2ec 9fd8cb", "6fb1a0", "charcoal", "炭灰色"),
    _palette("c8281e", "ffffff fff1cf", "ffd27a", "red", "红色"),
    _palette("f2c84b", "1c1a14 3b1f0a", "8a3b12", "yellow", "黄色"),
    _palette("1d6f78", "ffffff f6f2d8", "f2c84b", "teal", "青色"),
    _palette("f08c2e", "1d1208 2b1a0d", "ffffff", "orange", "橙色"),
    _palette("37245a", "ffffff f3d9ff", "c79bf2", "purple", "紫色"),
)
