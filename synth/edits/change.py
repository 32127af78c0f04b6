"""One change of a piece of writing: what it is before and after, and what the instruction tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synth.draw.paint import Colour
from synth.edits.instructions import LANGUAGES, Kind, Told
from synth.edits.phrases import Phrase
from synth.fonts.facts import FontInfo
from synth.naming import LETTERS, colour_names
from synth.quoting import Language

Name = Mapping[str, str]  # by language
_LANGUAGE_NAMES: Mapping[Language, Name] = {
    "en": {"en": "English", "zh": "英文"},
    "zh": {"en": "Chinese", "zh": "中文"},
}


@dataclass(frozen=True)
class Wording:
    """A piece of writing, as far as a change may touch it. `place`: one of its scene's places, by number."""

    phrase: Phrase
    language: Language
    font: FontInfo
    colour: Colour
    place: int

    @property
    def text(self) -> str:
        return self.phrase.text(self.language)

    @property
    def forms(self) -> str:
        """Its language as layout knows it."""
        return "zh-Hans" if self.language == "zh" else "en"


@dataclass(frozen=True)
class Options:
    """What its scene has for a piece of writing: colours that show on the ground, fonts that draw it, places that are
    free, and what all places are called, as after "from" and "to" in English."""

    colours: Sequence[Colour]
    fonts: Sequence[FontInfo]
    free: Sequence[int]
    places: Sequence[Name]


def change(rng: np.random.Generator, kind: Kind, before: Wording, options: Options) -> tuple[Wording, Told] | None:
    """The writing after a change of this kind, and what the instruction tells; None where there is nothing to change
    to: no colour of another name, no font of another kind, no free place."""
    if kind == "word":
        other, slot = before.phrase.with_other_word(rng)
        old, new = before.phrase.words(before.language)[slot], other.words(before.language)[slot]
        return replace(before, phrase=other), _told(before, _both(old), _both(new))
    if kind == "language":
        after = replace(before, language="en" if before.language == "zh" else "zh")
        told = _told(before, _both(before.text), _both(after.text))
        return after, {code: told[code] | {"language": _LANGUAGE_NAMES[after.language][code]} for code in LANGUAGES}
    if kind == "colour":
        was = colour_names(before.colour)
        colours = [colour for colour in options.colours if colour_names(colour)["en"] != was["en"]]
        if not colours:
            return None
        colour = colours[int(rng.integers(len(colours)))]
        return replace(before, colour=colour), _told(before, was, colour_names(colour))
    if kind == "font":
        fonts = [font for font in options.fonts if font.kind != before.font.kind]
        if not fonts:
            return None
        font = fonts[int(rng.integers(len(fonts)))]
        return replace(before, font=font), _told(before, LETTERS[before.font.kind], LETTERS[font.kind])
    if not options.free:
        return None
    place = options.free[int(rng.integers(len(options.free)))]
    return replace(before, place=place), _told(before, options.places[before.place], options.places[place])


def _both(text: str) -> Name:
    return dict.fromkeys(LANGUAGES, text)


def _told(before: Wording, old: Name, new: Name) -> Told:
    return {code: {"text": before.text, "old": old[code], "new": new[code]} for code in LANGUAGES}
