"""What is known of a face besides its outlines: its names, licence, kind, weight, scripts and whose Han forms."""

from __future__ import annotations

import re
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from synth.fonts.characters import Codes, codes, encodes, script_sizes, scripts_of
from synth.fonts.coverage import Coverage
from synth.fonts.face import Face, FaceKey
from synth.fonts.licence import licence_name
from synth.hanzi import levels

Kind = Literal["sans", "serif", "kai", "mono", "hand", "display", "symbol"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FONT_LANGUAGES = ("zh-Hans", "zh-Hant", "zh-Hant-HK", "ja", "ko", "und")


@dataclass(frozen=True)
class FontInfo:
    """A face as people and recipes name it. `name`: family and style, unless the style is plain. `weight`: 100..900.

    `licence`: a short name, see synth/fonts/licence.py. `language`: whose forms its Han characters have: zh-Hans,
    zh-Hant, zh-Hant-HK (Hong Kong), ja, ko, or und where it has none. `scripts`: ISO 15924 codes of what it draws well
    enough to set a text in. `digest`: of the file's bytes. `mapped`: how many characters it claims, `lies`: how many of
    these it does not draw. `centred`: which of ，。、 it draws in the middle of the square, as Taiwan and Hong Kong do,
    some fonts whatever region they name. `fixed`: its Latin letters are all of one width.
    """

    key: FaceKey
    name: str
    family: str
    style: str
    weight: int
    italic: bool
    licence: str | None
    kind: Kind
    language: str
    digest: str
    scripts: tuple[str, ...] = ()
    mapped: int = 0
    lies: int = 0
    centred: str = ""
    fixed: bool = False


#: The first whose words stand in the family's name decides; panose, which many fonts fill in wrongly, comes after.
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("symbol", r"symbol|emoji|dingbat|icons?\b|awesome|\bmusic\b|\bmath|signwriting|wingding|webding"),
    ("kai", r"kai\b|kaiti|楷|klee\b"),
    (
        "hand",
        r"\bhand|script\b|brush|cursive|calligra|nasta|xing ?shu|行书|行書|草书|草書|手写|手寫"
        r"|ma shan|zhi mang|mao cao|long cang",
    ),
    ("mono", r"\bmono|consol|courier|typewriter|\bcode\b|terminal"),
    ("display", r"display|poster|black letter|fraktur|ornament|decorat|zcool (kuai|qing)"),
    (
        "serif",
        r"serif(?<!sans serif)|song|宋|ming\b|mingliu|明|mincho|batang|myungjo|naskh|times|roman\b|georgia|garamond"
        r"|simsun|仿",
    ),
    ("sans", r"sans|\bhei|黑|gothic|ゴシック|dotum|gulim|kufi|arial|helvetica|verdana"),
)  # fmt: skip

#: Of families whose names say it. The first that is found decides. Source Han and Sarasa tell the country by a letter,
#: and Source Han without one is Japanese.
_LANGUAGES: tuple[tuple[str, str], ...] = (
    ("zh-Hant-HK", r"\bHK\b|\bHC\b|hkscs|hong kong|香港"),
    ("zh-Hant", r"\bTC\b|\bTW\b|\bMBE\b|\bCHT\b|big5|traditional|jhenghei|cwtex|mingliu|dfkai|biaukai|繁|正體"),
    ("zh-Hans", r"\bSC\b|\bCN\b|\bGB\d*\b|\bCHS\b|simplified|wenquanyi|wenkai|yahei|simsun|simhei|fandol|简|文泉"),
    ("ja", r"\bJP\b|\bJA\b|\bJ$|source han (sans|serif|mono)$|japan|\bIPA|takao|mincho|hanamin|ゴシック|明朝|klee\b"),
    ("ko", r"\bKR\b|\bK$|korea|nanum|baekmuk|malgun|batang|dotum|gulim|myungjo"),
)

#: Older standards of each, by which a font is known that does not say.
_CHARSETS = {"zh-Hans": "gb2312", "zh-Hant": "big5", "ja": "shift_jis"}

#: Bits of OS/2 ulCodePageRange1.
_CODE_PAGES = {17: "ja", 18: "zh-Hans", 19: "ko", 20: "zh-Hant", 21: "ko"}

#: So many characters make a script that a text can be set in; of others half of the letters, or forty.
_ENOUGH = {"Hani": 500, "Hang": 2000}
_ALWAYS = {"Latn": codes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")}


def facts(face: Face, covered: Coverage, digest: str) -> FontInfo:
    """Of an open face."""
    table = _Os2.read(face)
    italic = table.italic or bool(re.search(r"italic|oblique", face.style, re.IGNORECASE))
    return FontInfo(
        key=face.key,
        name=face.name,
        family=face.family,
        style=face.style,
        weight=_weight(table.weight, face.style),
        italic=italic,
        licence=licence_name(face.told(13), face.told(14), face.told(0)),
        kind=_kind(face.family, table),
        language=_language(face.family, table, covered.drawn),
        digest=digest,
        scripts=_scripts(covered.drawn),
        mapped=len(covered.drawn) + len(covered.lies),
        lies=len(covered.lies),
        centred="".join(c for c in "，。、" if ord(c) in covered.drawn and _in_the_middle(face, c)),
        fixed=bool(np.isin(_ALWAYS["Latn"], covered.drawn).all()) and len({_advance(face, c) for c in "iWm."}) == 1,
    )


def _advance(face: Face, character: str) -> int:
    advance: int = face.hb_font.get_glyph_h_advance(face.hb_font.get_nominal_glyph(ord(character)) or 0)
    return advance


def _in_the_middle(face: Face, character: str) -> bool:
    box = face.hb_font.get_glyph_extents(face.hb_font.get_nominal_glyph(ord(character)) or 0)
    if box is None:
        return False
    x, y = box.x_bearing + box.width / 2, box.y_bearing + box.height / 2
    return bool(0.35 < x / max(1, _advance(face, character)) < 0.65 and y > 0.2 * face.upem)


@dataclass(frozen=True)
class _Os2:
    weight: int = 0
    family_class: int = 0
    panose: tuple[int, ...] = (0,) * 10
    italic: bool = False
    code_pages: int = 0

    @staticmethod
    def read(face: Face) -> _Os2:
        """An absent or short table says nothing."""
        data = bytes(face.hb_face.reference_table("OS/2").data)
        if len(data) < 64:
            return _Os2()
        weight, family_class = struct.unpack_from(">H", data, 4)[0], data[30]
        selection = struct.unpack_from(">H", data, 62)[0]
        pages = struct.unpack_from(">I", data, 78)[0] if len(data) >= 82 else 0
        return _Os2(weight, family_class, tuple(data[32:42]), bool(selection & 0x201), pages)


def _weight(told: int, style: str) -> int:
    if 1 <= told <= 9:  # an old habit: 4 for 400
        told *= 100
    if not 1 <= told <= 1000 or (told == 400 and "bold" in style.lower()):
        told = 700 if "bold" in style.lower() else 400
    return min(900, max(100, round(told / 100) * 100))


def _kind(family: str, table: _Os2) -> Kind:
    for kind, words in _KINDS:
        if re.search(words, family, re.IGNORECASE):
            return kind
    kingdom, serif, proportion = table.panose[0], table.panose[1], table.panose[3]
    if kingdom in (3, 4, 5):
        return {3: "hand", 4: "display", 5: "symbol"}[kingdom]  # type: ignore[return-value]
    if table.family_class in (9, 10, 12):
        return {9: "display", 10: "hand", 12: "symbol"}[table.family_class]  # type: ignore[return-value]
    if kingdom == 2 and proportion == 9:
        return "mono"
    if (kingdom == 2 and 2 <= serif <= 10) or (serif == 0 and 1 <= table.family_class <= 7):
        return "serif"
    return "sans"


def _language(family: str, table: _Os2, drawn: Codes) -> str:
    """By name, by its only code page, and else by what it draws."""
    scripts = Counter(scripts_of(drawn))
    if 10 * scripts["Hani"] < len(drawn):  # a few within another script's punctuation
        return "und"
    for language, words in _LANGUAGES:
        if re.search(words, family, re.IGNORECASE):
            return language
    pages = {language for bit, language in _CODE_PAGES.items() if table.code_pages >> bit & 1}
    if len(pages) == 1:
        return pages.pop()
    if np.isin(codes(levels()[0]), drawn, assume_unique=True).mean() >= 0.9:
        return "zh-Hans"  # simplified characters among them, which fonts of other countries lack
    if scripts["Hang"] >= _ENOUGH["Hang"]:
        return "ko"
    han = [chr(p) for p, script in zip(drawn.tolist(), scripts_of(drawn), strict=True) if script == "Hani"]
    known = {language: sum(encodes(c, charset) for c in han) for language, charset in _CHARSETS.items()}
    return max(known, key=lambda language: known[language])  # the first of equals


def _scripts(drawn: Codes) -> tuple[str, ...]:
    counts = Counter(scripts_of(drawn))
    found = []
    for script, count in counts.items():
        if script in ("Zyyy", "Zinh", "Zzzz"):
            continue
        if script in _ALWAYS:
            enough = bool(np.isin(_ALWAYS[script], drawn, assume_unique=True).all())
        else:
            enough = count >= _ENOUGH.get(script, min(40, script_sizes()[script] // 2))
        if enough:
            found.append(script)
    return tuple(sorted(found))
