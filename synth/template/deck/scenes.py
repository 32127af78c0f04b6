"""What a slide is called and looks like, for its caption."""

from __future__ import annotations

from synth.naming import colour_names
from synth.template.deck.colour import Palette
from synth.template.deck.sheets import Sheets

Words = dict[str, str]


def palette_words(palette: Palette) -> Words:
    """The ground's and the two first accents' names, as far as they differ."""
    out = {}
    for language in ("en", "zh"):
        names = dict.fromkeys(
            colour_names(palette.named(role, None))[language]
            for role in ("bg1", "accent1", "accent2")
            if palette.roles.get(role, role) in palette.scheme
        )
        listed = list(names)
        out[language] = (
            "、".join(listed) if language == "zh" else " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))
        )
    return out


def slide_words(sheets: Sheets) -> Words:
    """What a user's slide is called."""
    tall = sheets.height > sheets.width
    return {
        "en": "a portrait slide" if tall else "a presentation slide",
        "zh": "竖版幻灯片" if tall else "一页演示文稿",
    }
