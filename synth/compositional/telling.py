"""From a finished picture to a sample: judged, and told of in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from numpy.random import Generator

from synth import captions
from synth.compositional import checks
from synth.compositional.names import CHINESE
from synth.compositional.noise import Rgb
from synth.compositional.site import Site, position
from synth.compositional.surface import Ink
from synth.compositional.writing import Writing
from synth.geometry import Floats
from synth.quoting import Language
from synth.sample import Json, Rejected, Sample


@dataclass(frozen=True)
class Made:
    """What was put into a picture: the writing, what takes it there, what bears it and in which ink."""

    writing: Writing
    to_image: Floats
    surface: str
    ink: Ink


def tell(
    picture: Rgb,
    made: Made,
    site: Site,
    facts: dict[str, Json],
    scenes: Mapping[str, tuple[str, ...]],
    rng: Generator,
) -> Sample | Rejected:
    """The sample of a finished picture, with captions in both languages; `scenes`: what is told of the photograph, by
    language. Rejected where the writing cannot be read."""
    ink, font = made.ink, made.writing.written.font
    colour = "#{:02x}{:02x}{:02x}".format(*ink.colour)
    placed = tuple(replace(p.moved(made.to_image), colour=colour) for p in made.writing.placed)
    for text in placed:
        failed = checks.judge(picture, text)
        if failed is not None:
            return failed
    told: dict[str, str] = {}
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        known = scenes.get(language, ())
        told[language] = captions.caption(
            language,
            rng,
            texts=[text.text for text in placed],
            surface=made.surface if language == "en" else CHINESE[made.surface],
            scene=known[int(rng.integers(len(known)))] if known else "",
            way=ink.way,
            colour=ink.colour,
            letters=font.kind,
            bold=font.weight >= 600,
            place="front" if site.plane == "front" and rng.random() < 0.6 else position(site.quad, picture.shape[:2]),
            stance=site.stance,
            blurred=site.stance == "near",
        )
    facts |= {
        "stance": site.stance,
        "surface": made.surface,
        "way": ink.way,
        "quad": [round(float(v), 1) for v in site.quad.reshape(-1)],
    }
    return Sample(picture, placed, told, made.surface, facts)
