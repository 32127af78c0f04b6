"""Curated colours, and what is derived from them so that every text stands out from what it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synth.draw.paint import Colour
from synth.palettes import contrast, hexed, luminance, parsed

BODY = 4.5  # contrast of text with its ground: WCAG 2.2, 1.4.3

#: name (en, zh): ground, surface, ink, three accents. Chosen by eye; contrast is mended by `derived`.
CURATED: tuple[tuple[str, str, str], ...] = (
    ("warm paper and vermilion", "米白与朱红", "faf4e8 fffdf7 2b2320 c8402f 2f5d62 e0a43b"),
    ("ink blue and apricot", "靛青与杏黄", "f3f5f9 ffffff 1b2440 2a4d9b f2a65a 7fb7be"),
    ("pine green and cream", "松绿与奶白", "f4f1e6 fffef8 1f2d27 2f6b4f d98e4a 9db17c"),
    ("plum and rose", "梅紫与玫瑰", "fbf2f4 ffffff 35182b 8e2f5c e58a9b f0c987"),
    ("slate and mint", "石板灰与薄荷", "eef3f2 ffffff 22303a 1f7a72 5b8def f3b562"),
    ("terracotta and sage", "陶土与鼠尾草", "f6efe7 fffaf3 3a2a22 b5563a 7c8f6b dcb482"),
    ("lemon and charcoal", "柠檬与炭黑", "fff7d1 fffdf0 23231f d9a400 e4572e 2e86ab"),
    ("sky and coral", "天蓝与珊瑚", "eaf5fb ffffff 16324a 1c7fb6 ff7f6b f7c948"),
    ("lavender haze", "薰衣草", "f3f0fb ffffff 2c2548 6a4fb3 d77fb0 6fb7c9"),
    ("sand and sea", "沙与海", "f5efe0 fffaf0 14343b 0f6e84 e9b44c d1603d"),
    ("cherry and milk", "樱桃与牛奶", "fff3f1 ffffff 3d1419 b4232f f29e8e 5f7a61"),
    ("bamboo", "竹青", "eef4e6 fbfef6 21301c 4a7c2c c9a227 6aa6a0"),
    ("porcelain", "青花", "f5f8fc ffffff 122a52 1d4f9f 7fa6d8 c94f3d"),
    ("pumpkin and night", "南瓜与夜", "fdf1e3 fffaf2 27213a d8591d 4a3f7a f2b33d"),
    ("graphite and lime", "石墨与青柠", "f2f3f0 ffffff 1d211f 49700f 3f4a52 e8a13a"),
    ("peach sorbet", "蜜桃", "fff0e6 fffaf6 45231b d1495b f4a261 8ab17d"),
    ("midnight and amber", "午夜与琥珀", "12162b 1c2240 f4efe3 f2b134 5fa8d3 e4687a"),
    ("deep forest", "深林", "0f211c 17302a eef3e8 8fd19e e9c46a f4a27a"),
    ("aubergine and gold", "茄紫与金", "231429 311d3a f8eef2 e7b75f c77dbb 7fc8c2"),
    ("black and signal red", "黑与信号红", "141414 202020 f5f2ec ff5a4f f2c14e 8cb4d9"),
    ("petrol and shell", "石油蓝与贝壳", "0f2a33 173a45 f3ede2 f0a58a 7cc6c3 f5d27a"),
    ("wine and blush", "酒红与胭脂", "3a0f1d 4b1828 fbeae4 f5b0a1 e9c46a a8c5b5"),
    ("royal blue", "宝蓝", "14286b 1d3585 f4f6ff ffd166 7fd1e8 ff9b85"),
    ("vermilion ground", "朱砂底", "b3261e c23229 fff4e2 ffd58a ffe9c9 f7b5a0"),
)


@dataclass(frozen=True)
class Palette:
    """Colours by the name of their CSS variable, and what the palette is called in English and Chinese."""

    english: str
    chinese: str
    dark: bool
    colours: dict[str, Colour]

    def css(self) -> str:
        return ";".join(f"--{name}:{hexed(colour)}" for name, colour in self.colours.items())


def palettes() -> tuple[Palette, ...]:
    return tuple(derived(english, chinese, *map(parsed, told.split())) for english, chinese, told in CURATED)


def derived(english: str, chinese: str, ground: Colour, surface: Colour, ink: Colour, *accents: Colour) -> Palette:
    """`muted` is quieter ink, `strong` an accent that can be read on ground and surface, `soft` a tint of the accent
    that ink can be read on, `on-accent` what can be read on the accent (which gives way where nothing can)."""
    dark = luminance(ground) < 0.2
    colours: dict[str, Colour] = {"ground": ground, "surface": surface, "ink": ink}
    grounds = (ground, surface)
    colours["muted"] = readable(mixed(ink, ground, 0.42), grounds, ink)
    colours["strong"] = readable(accents[0], grounds, ink)
    away_from_ink = (0, 0, 0) if luminance(ink) > luminance(surface) else (255, 255, 255)
    colours["soft"] = readable(mixed(surface, accents[0], 0.14 if not dark else 0.18), (ink,), away_from_ink)
    colours["line"] = mixed(ground, ink, 0.16)
    colours["faint"] = mixed(ground, ink, 0.06)
    dark_text, light_text = (ground, ink) if dark else (ink, surface)
    for number, accent in enumerate(accents):
        suffix = "" if number == 0 else str(number + 1)
        light = contrast(light_text, accent)
        text = light_text if light >= BODY or light >= contrast(dark_text, accent) else dark_text
        away = (0, 0, 0) if luminance(text) > luminance(accent) else (255, 255, 255)
        colours[f"accent{suffix}"] = readable(accent, (text,), away)
        colours[f"on-accent{suffix}"] = text
    return Palette(english, chinese, dark, colours)


def readable(colour: Colour, against: Sequence[Colour], towards: Colour) -> Colour:
    """The colour, moved towards another as little as gives it the contrast of body text (or all the way)."""
    for step in range(21):
        moved = mixed(colour, towards, step / 20)
        if all(contrast(moved, other) >= BODY for other in against):
            return moved
    return towards


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
