"""The book of fonts: which there are here, what each truly draws, and which may draw a text."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from random import Random

import freetype
import numpy as np
import uharfbuzz as hb
from numpy.typing import NDArray
from xxhash import xxh3_128_hexdigest

from synth.fonts.characters import BREAKING, canonical, form_language, script_of, takes_form
from synth.fonts.coverage import Coverage
from synth.fonts.discovery import files_of, system_files
from synth.fonts.face import FaceKey, open_face
from synth.fonts.facts import FontInfo, Kind
from synth.fonts.fallback import choose_fall_backs
from synth.fonts.fontfile import FontFile, Skipped
from synth.fonts.shaped import needs_shaping, soft, undrawn
from synth.fonts.store import read_kept
from synth.fonts.table import Table
from warehouse.errors import UsageError

_PACKAGES = {
    "zh-Hans": "fonts-noto-cjk, fonts-lxgw-wenkai or fonts-wqy-zenhei",
    "zh-Hant": "fonts-noto-cjk or fonts-arphic-uming",
    "zh-Hant-HK": "fonts-noto-cjk or fonts-arphic-uming",
    "ja": "fonts-noto-cjk or fonts-ipafont",
    "ko": "fonts-noto-cjk or fonts-nanum",
}


class FontBook:
    """`fonts`: sorted by family, weight, slant, style and content, never by where they lie: two machines with the same
    fonts have the same order. `skipped`: what was found and is not used, with the reason.

    Text is judged as it will be set: in normal form C.
    """

    def __init__(self, faces: Sequence[tuple[FontInfo, Coverage]], skipped: Sequence[Skipped]) -> None:
        ordered = sorted(faces, key=lambda f: _order(f[0]))
        self.fonts: tuple[FontInfo, ...] = tuple(info for info, _ in ordered)
        self.skipped: tuple[Skipped, ...] = tuple(skipped)
        self._coverage = tuple(covered for _, covered in ordered)
        self._place = {info.key: number for number, info in enumerate(self.fonts)}

    @cached_property
    def digest(self) -> str:
        """Of the fonts, their order, and the versions of what judges, shapes and draws them."""
        named = [f"{info.digest}:{info.key.index}" for info in self.fonts]
        told = "\n".join([_code(), hb.version_string(), repr(freetype.version()), *named])
        return xxh3_128_hexdigest(told.encode())

    def info(self, key: FaceKey) -> FontInfo:
        """Raises UsageError for a face that is not in this book."""
        return self.fonts[self._number(key)]

    def coverage(self, key: FaceKey) -> Coverage:
        """What it draws, and what it only claims to."""
        return self._coverage[self._number(key)]

    def draws(self, key: FaceKey, text: str) -> bool:
        return not self.missing(key, text)

    def missing(self, key: FaceKey, text: str) -> str:
        """The characters of the text that the face does not truly draw, each once, in the text's order.

        A character is drawn that HarfBuzz composes or takes apart, and one that shows nothing by its nature (a joiner,
        a variation selector, a line end); not drawn is one without a glyph, with a glyph without ink, or with a
        placeholder's.
        """
        text = unicodedata.normalize("NFC", text)
        number = self._number(key)
        if not needs_shaping(text) and not self._table.lacking(_characters(text))[:, number].any():
            return ""
        return undrawn(open_face(key), self._coverage[number], text)

    def drawing(self, text: str, language: str = "und", kinds: Sequence[Kind] = ()) -> tuple[FontInfo, ...]:
        """Fonts that draw all of the text, in the book's order; of these `kinds` where some are named, else of all
        but symbols, which set no letters.

        Where the text has Han characters or the punctuation set with them, only fonts with the forms of `language`;
        for a language without such forms see `form_language`. A stop in the middle of its square is a form of
        traditional Chinese alone. Other text is never offered in several sister faces of a collection that differ in
        their Han characters alone: of those, the language's own, else the Chinese ones, unless their Latin is a
        stopgap, all of one width in a font that is not for typewriting.
        """
        text = unicodedata.normalize("NFC", text)
        lacking = self._table.lacking(_characters(text))
        fits = self._of_language(text, language)
        if kinds:
            fits = fits & np.isin(self._kinds, kinds)
        elif any(unicodedata.category(c)[0] == "L" for c in text):
            fits = fits & (self._kinds != "symbol")
        if not needs_shaping(text):
            return tuple(self.fonts[n] for n in np.flatnonzero(fits & ~lacking.any(axis=0)).tolist())
        # What lacks a character that no shaping brings forth is not worth the shaping.
        hard = np.array([not soft(c) for c in _characters(text)], dtype=bool)
        candidates = np.flatnonzero(fits & ~lacking[hard].any(axis=0)).tolist()
        return tuple(
            self.fonts[n] for n in candidates if not undrawn(open_face(self.fonts[n].key), self._coverage[n], text)
        )

    def fall_backs(self, key: FaceKey, text: str, language: str = "und") -> tuple[FaceKey, ...]:
        """Faces that may stand beside the main one for this text, in the order in which they are used; see
        synth/fonts/fallback.py. Only a script that the main face is not made for is handed to another: for a
        character that it merely lacks there is none, and the text is to be discarded or set in another font."""
        return choose_fall_backs(self, self.info(key), text, language)

    def require(self, language: str) -> None:
        """Raises UsageError where no font has the forms of this language (zh-Hans, ja ...); any of `und` will do."""
        wanted = canonical(language)
        if wanted != "und" and not any(_has_forms(info.language, wanted) for info in self.fonts):
            raise UsageError(
                f"no font here draws {wanted} in its own forms, of {len(self.fonts)} fonts: install some "
                f"(Debian: {_PACKAGES[wanted]}) or name a folder of them"
            )

    def _number(self, key: FaceKey) -> int:
        try:
            return self._place[key]
        except KeyError:
            raise UsageError(f"{key.path}: face {key.index} is not among the fonts in use") from None

    @cached_property
    def _table(self) -> Table:
        return Table([covered.drawn for covered in self._coverage])

    @cached_property
    def _kinds(self) -> NDArray[np.str_]:
        return np.array([info.kind for info in self.fonts], dtype=np.str_)

    def _of_language(self, text: str, language: str) -> NDArray[np.bool_]:
        """(fonts,): which have the forms that the text takes in this language."""
        if takes_form(text):
            wanted = form_language(text, language)
            centred_is_right = wanted.startswith("zh-Hant")
            fits = [
                _has_forms(info.language, wanted) and (centred_is_right or not set(info.centred).intersection(text))
                for info in self.fonts
            ]
            return np.array(fits, dtype=bool)
        wanted = canonical(language)
        foreign = wanted == "und"
        if foreign:
            scripts = {script_of(c) for c in text}
            wanted = "ja" if scripts & {"Hira", "Kana"} else "ko" if "Hang" in scripts else "zh-Hans"
        fits = [
            info.language == "und"
            or (_has_forms(info.language, wanted) and not (foreign and info.fixed and info.kind != "mono"))
            for info in self.fonts
        ]
        return np.array(fits, dtype=bool)


@cache
def open_book(folders: tuple[str, ...] = (), system: bool = True) -> FontBook:
    """The fonts of these folders (or files) and of the system, opened once a process.

    Raises UsageError for a folder that is absent or has no usable font.
    """
    places = [(folder, files_of(folder)) for folder in folders]
    if system:
        places.append(("", system_files()))
    read = _read_all({file for _, files in places for file in files})
    faces: list[tuple[FontInfo, Coverage]] = []
    skipped: list[Skipped] = []
    taken: dict[str, Path] = {}
    for file in dict.fromkeys(file for _, files in places for file in files):
        digest = read[file].faces[0][0].digest if read[file].faces else ""
        if digest in taken:
            skipped.append(Skipped(str(file), None, f"the same file as {taken[digest]}"))
            continue
        if digest:
            taken[digest] = file
        faces += read[file].faces
        skipped += read[file].skipped
    for folder, files in places:
        if folder and not any(read[file].faces for file in files):
            first = read[files[0]].skipped[0]
            named = f"{Path(first.path).name}: {first.reason}"
            raise UsageError(f"{folder}: no usable font among {len(files)} files; {named}")
    return FontBook(faces, skipped)


def _read_all(files: set[Path]) -> dict[Path, FontFile]:
    """In an order of this process's own: of several that start on a new machine, each reads a part for all."""
    order = sorted(files)
    Random(os.getpid()).shuffle(order)
    return {file: _read(file) for file in order}


def _read(file: Path) -> FontFile:
    try:
        return read_kept(file)
    except OSError as error:
        return FontFile((), (Skipped(str(file), None, f"cannot be read: {error.strerror or error}"),))


@cache
def _code() -> str:
    """Of this folder's modules, which decide what is offered for a text."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return xxh3_128_hexdigest(b"\0".join(module.read_bytes() for module in modules))


def _order(info: FontInfo) -> tuple[str, int, bool, str, str, int]:
    return info.family, info.weight, info.italic, info.style, info.digest, info.key.index


def _has_forms(language: str, wanted: str) -> bool:
    """Hong Kong's forms pass for traditional ones, but not the other way round."""
    return language == wanted or (wanted == "zh-Hant" and language == "zh-Hant-HK")


def _characters(text: str) -> str:
    """Each once, in the text's order, without what only breaks lines."""
    return "".join(c for c in dict.fromkeys(text) if c not in BREAKING)
