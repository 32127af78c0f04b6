"""The book of fonts: which there are here, what each truly draws, and which may draw a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import freetype
import numpy as np
import uharfbuzz as hb
from numpy.typing import NDArray
from xxhash import xxh3_128_hexdigest

from synth.fonts.characters import BREAKING, canonical, codes, form_language, ignorable, script_of, takes_form
from synth.fonts.coverage import Coverage
from synth.fonts.discovery import files_of, system_files
from synth.fonts.face import FaceKey, open_face
from synth.fonts.facts import FontInfo, Kind
from synth.fonts.fallback import choose_fall_backs
from synth.fonts.fontfile import Skipped
from synth.fonts.shaped import needs_shaping, soft, undrawn
from synth.fonts.store import read_kept
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
        """Of the fonts, their order, and the versions of what shapes and draws them."""
        named = [f"{info.digest}:{info.key.index}" for info in self.fonts]
        return xxh3_128_hexdigest("\n".join([hb.version_string(), repr(freetype.version()), *named]).encode())

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
        lacking = self._lacking(text)[:, number]
        if not lacking.any() and not needs_shaping(text):
            return ""
        covered = self._coverage[number]
        return undrawn(open_face(key), covered, text)

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
        lacking = self._lacking(text)
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

    def _lacking(self, text: str) -> NDArray[np.bool_]:
        """(distinct characters, fonts): which do not draw it by themselves, before shaping."""
        points = codes(_characters(text))
        rows = self._masks[self._rows[points]]
        lacking: NDArray[np.bool_] = np.unpackbits(rows, axis=1, count=len(self.fonts), bitorder="little") == 0
        lacking[ignorable(points)] = False
        return lacking

    @cached_property
    def _rows(self) -> NDArray[np.uint32]:
        """(0x110000,): the row of `_masks` for each code point; row 0 is for what no font draws."""
        rows = np.zeros(0x110000, dtype=np.uint32)
        for covered in self._coverage:
            rows[covered.drawn] = 1
        known = np.flatnonzero(rows)
        rows[known] = np.arange(1, len(known) + 1, dtype=np.uint32)
        return rows

    @cached_property
    def _masks(self) -> NDArray[np.uint8]:
        """(rows, fonts / 8): one bit for each font."""
        masks = np.zeros((int(self._rows.max()) + 1, (len(self.fonts) + 7) // 8), dtype=np.uint8)
        for number, covered in enumerate(self._coverage):
            masks[self._rows[covered.drawn], number // 8] |= np.uint8(1 << number % 8)
        return masks

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
    given = [(folder, files_of(folder)) for folder in folders]
    faces: list[tuple[FontInfo, Coverage]] = []
    skipped: list[Skipped] = []
    seen: dict[str, str] = {}
    for folder, files in [*given, *([("", system_files())] if system else [])]:
        usable = False
        refused: list[Skipped] = []
        for file in files:
            usable |= _read(file, faces, refused, seen)
        skipped += refused
        if folder and not usable:
            first = refused[0]
            raise UsageError(
                f"{folder}: no usable font among {len(files)} files; {Path(first.path).name}: {first.reason}"
            )
    return FontBook(faces, skipped)


def _read(file: Path, faces: list[tuple[FontInfo, Coverage]], skipped: list[Skipped], seen: dict[str, str]) -> bool:
    """Whether the file has a usable face, here or under another name."""
    try:
        read = read_kept(file)
    except OSError as error:
        skipped.append(Skipped(str(file), None, f"cannot be read: {error.strerror or error}"))
        return False
    if read.faces and (twin := seen.setdefault(read.faces[0][0].digest, str(file))) != str(file):
        skipped.append(Skipped(str(file), None, f"the same file as {twin}"))
        return True
    faces += read.faces
    skipped += read.skipped
    return bool(read.faces)


def _order(info: FontInfo) -> tuple[str, int, bool, str, str, int]:
    return info.family, info.weight, info.italic, info.style, info.digest, info.key.index


def _has_forms(language: str, wanted: str) -> bool:
    """Hong Kong's forms pass for traditional ones, but not the other way round."""
    return language == wanted or (wanted == "zh-Hant" and language == "zh-Hant-HK")


def _characters(text: str) -> str:
    """Each once, in the text's order, without what only breaks lines."""
    return "".join(c for c in dict.fromkeys(text) if c not in BREAKING)
