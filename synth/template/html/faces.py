"""Which faces a page is set in: a title's, a body's and a bold one, of which each draws all of the page's text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np

from synth.fonts.book import FontBook, open_book
from synth.fonts.face import FaceKey, open_face
from synth.fonts.facts import FontInfo

#: Kinds of the title and of the body that go together, by what the page asks for.
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "ui": (("sans", "sans"),) * 4 + (("serif", "sans"), ("kai", "kai")),
    "any": (("sans", "sans"), ("serif", "sans"), ("serif", "serif"), ("kai", "sans"), ("kai", "kai"), ("sans", "kai"),
            ("display", "sans"), ("display", "serif"), ("kai", "serif")),
    "serif": (("serif", "serif"), ("serif", "serif"), ("sans", "serif"), ("display", "serif"), ("serif", "kai")),
    "hand": (("kai", "kai"), ("hand", "kai"), ("hand", "hand"), ("sans", "kai"), ("display", "sans")),
}  # fmt: skip


@dataclass(frozen=True)
class Typeface:
    """A face by the name that CSS knows it by. `face`: its PostScript name, by which Chromium finds it."""

    family: str
    face: str
    info: FontInfo

    def css(self) -> str:
        return f'@font-face{{font-family:"{self.family}";src:local("{self.face}")}}'


@dataclass(frozen=True)
class Typefaces:
    title: Typeface
    body: Typeface
    bold: Typeface

    def all(self) -> tuple[Typeface, ...]:
        return tuple({t.family: t for t in (self.title, self.body, self.bold)}.values())

    def css(self) -> str:
        faces = "".join(t.css() for t in self.all())
        named = ((name, t.family) for name, t in (("title", self.title), ("body", self.body), ("bold", self.bold)))
        return faces + ":root{" + ";".join(f'--{name}:"{family}"' for name, family in named) + "}"


def choose(rng: np.random.Generator, fonts: tuple[str, ...], system: bool, text: str, language: str,
           style: str) -> Typefaces | None:  # fmt: skip
    """Faces that draw all of `text`, `language` being `en` or `zh`; None where no font does."""
    book = open_book(fonts, system)
    tag = "zh-Hans" if language == "zh" else language
    usable = _usable(fonts, system)
    drawing = [info for info in book.drawing(text, tag) if info.key in usable]
    if not drawing:
        return None
    pairs = PAIRS[style]
    title_kind, body_kind = pairs[int(rng.integers(len(pairs)))]
    body = _one(rng, _preferred(drawing, body_kind, language, heavy=False))
    if title_kind == body_kind and rng.random() < 0.75:
        title = _heavier(drawing, body)
    else:
        title = _one(rng, _preferred(drawing, title_kind, language, heavy=True))
    bold = _heavier(drawing, body)
    faces = [Typeface(f"gm-{usable[info.key]}", usable[info.key], info) for info in (title, body, bold)]
    return Typefaces(*faces)


def _preferred(fonts: list[FontInfo], kind: str, language: str, heavy: bool) -> list[FontInfo]:
    """The fonts of the kind (or, where there are none, of a near one), of a fitting weight, for Latin mostly such as
    are made for it. Never empty."""
    near = {
        "display": ("display", "sans"),
        "hand": ("hand", "kai", "sans"),
        "kai": ("kai", "serif"),
        "serif": ("serif",),
    }
    found = fonts
    for one in near.get(kind, (kind,)):
        if some := [f for f in fonts if f.kind == one]:
            found = some
            break
    if language == "en" and kind not in ("kai", "hand"):
        found = [f for f in found if f.language == "und" and "Grek" in f.scripts] or found
    return [f for f in found if (f.weight >= 600 if heavy else 350 <= f.weight <= 550)] or found


def _heavier(fonts: list[FontInfo], plain: FontInfo) -> FontInfo:
    """The bold face of the same family, or the face itself."""
    sisters = [f for f in fonts if f.family == plain.family and f.weight >= 600]
    return sisters[0] if sisters else plain


def _one(rng: np.random.Generator, fonts: list[FontInfo]) -> FontInfo:
    return fonts[int(rng.integers(len(fonts)))]


@cache
def _usable(fonts: tuple[str, ...], system: bool) -> dict[FaceKey, str]:
    """Upright scalable faces by their PostScript names. A name that two faces bear names neither for certain, and a
    face with bitmaps for small sizes is drawn by them in a browser: both are left out."""
    book: FontBook = open_book(fonts, system)
    names: dict[FaceKey, str] = {}
    for info in book.fonts:
        if info.italic or info.kind in ("mono", "symbol") or "Mono" in info.family:
            continue
        face = open_face(info.key).ft_face
        name = (face.postscript_name or b"").decode("ascii", "replace")
        if name and face.num_fixed_sizes == 0 and face.is_scalable:
            names[info.key] = name
    borne = Counter(names.values())
    return {key: name for key, name in names.items() if borne[name] == 1}
