"""Which typefaces a slide is set in: one family for its titles and one for the rest, regular and bold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synth.fonts.book import FontBook
from synth.fonts.face import FaceKey
from synth.fonts.facts import FontInfo
from warehouse.errors import UsageError

_SAMPLE = {"zh-Hans": "的一是国今天会议报告，。：", "en": "The quick brown fox jumps over it, 1234567890: $5."}
_SERIF = ("serif", "roman", "times", "song", "宋", "ming", "georgia", "garamond", "cambria", "palatino", "mincho")


@dataclass(frozen=True)
class Family:
    name: str
    regular: FontInfo
    bold: FontInfo | None

    def face(self, bold: bool) -> FontInfo:
        return self.bold if bold and self.bold is not None else self.regular


@dataclass(frozen=True)
class Cast:
    """`language`: of the text, zh-Hans or en."""

    language: str
    heading: Family
    body: Family

    def family(self, role: str) -> Family:
        return self.heading if role in ("title", "subtitle", "heading") else self.body

    def face(self, role: str, bold: bool) -> FontInfo:
        return self.family(role).face(bold)


def families(book: FontBook, language: str) -> tuple[Family, ...]:
    """The families that set running text in this language, by name. Raises UsageError where there are none."""
    found: dict[str, list[FontInfo]] = {}
    for info in book.drawing(_SAMPLE[language], language, ("sans", "serif", "kai")):
        latin_only = language != "en" or (info.language == "und" and "Latn" in info.scripts)
        if latin_only and not info.italic and not any(w in info.style.lower() for w in ("cond", "narrow", "extra")):
            found.setdefault(info.family, []).append(info)
    out = []
    for name, infos in sorted(found.items()):
        light = [i for i in infos if i.weight < 600]
        heavy = [i for i in infos if i.weight >= 600]
        if light:
            regular = min(light, key=lambda i: (abs(i.weight - 400), i.style))
            bold = min(heavy, key=lambda i: (abs(i.weight - 700), i.style)) if heavy else None
            out.append(Family(name, regular, bold))
    if not out:
        raise UsageError(
            f"no font here sets {language} text: install fonts-noto-cjk and fonts-noto-core, or give a folder"
        )
    return tuple(out)


def choose_cast(
    rng: np.random.Generator,
    offered: Sequence[Family],
    language: str,
    serif_heading: bool | None,
    serif_body: bool | None,
) -> Cast:
    """Families by chance, of the kind that the deck's theme asks for where there is one; half the time one for both."""
    heading = _pick(rng, offered, serif_heading)
    alone = rng.random() < 0.5 and serif_heading == serif_body
    return Cast(language, heading, heading if alone else _pick(rng, offered, serif_body))


def _pick(rng: np.random.Generator, offered: Sequence[Family], serif: bool | None) -> Family:
    fits = [f for f in offered if serif is None or (f.regular.kind != "sans") == serif] or list(offered)
    return fits[int(rng.integers(len(fits)))]


def is_serif(typeface: str) -> bool | None:
    """Whether a typeface's name says serif; None for no name."""
    plain = typeface.lower()
    return None if not plain else any(word in plain for word in _SERIF) and "sans" not in plain


def keys(info: FontInfo) -> tuple[FaceKey, ...]:
    return (info.key,)
