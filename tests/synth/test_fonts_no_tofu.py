"""No tofu: what the book says is drawn is drawn, in FreeType's pixels, for the General Standard's 8,105 characters.

Drawn here anew by another path than the book's own: FreeType's character map and size 32, outlines hinted as the font
wishes; compared with .notdef and with white by pixels.
"""

from __future__ import annotations

import ctypes
import os
import unicodedata
from collections.abc import Iterator
from functools import cache

import freetype
import numpy as np
import pytest

from synth.fonts.book import FontBook, open_book
from synth.fonts.characters import blank, codes, ignorable
from synth.fonts.facts import FontInfo
from synth.hanzi import levels

SOAK = os.environ.get("GLYPHMILL_SOAK") == "1"
STANDARD = "".join(levels())
#: By family: how many of level 1, 2 and 3 it draws in all (counted once by another program).
KNOWN = {
    "Noto Sans CJK SC": (3500, 3000, 1605),
    "Noto Serif CJK SC": (3500, 3000, 1605),
    "LXGW WenKai": (3500, 3000, 1605),
    "WenQuanYi Zen Hei": (3500, 2997, 1409),
    "WenQuanYi Micro Hei": (3500, 2989, 1340),
}


@cache
def book() -> FontBook:
    found = open_book()
    if not any(info.language == "zh-Hans" for info in found.fonts):
        pytest.skip("no Chinese fonts: see .ci/packages")
    return found


def pixels(face: freetype.Face, glyph: int) -> bytes | None:
    """Of the glyph with its size; None where there is no ink."""
    face.load_glyph(glyph, freetype.FT_LOAD_RENDER | freetype.FT_LOAD_NO_BITMAP)
    bitmap = face.glyph.bitmap
    drawn = ctypes.string_at(bitmap._FT_Bitmap.buffer, bitmap.rows * bitmap.pitch) if bitmap.rows else b""
    return b"%d %d " % (bitmap.rows, bitmap.width) + drawn if any(drawn) else None


def undrawn(info: FontInfo, characters: str) -> Iterator[str]:
    """Those that are white, or look as .notdef does."""
    face = freetype.Face(info.key.path, info.key.index)
    face.set_pixel_sizes(0, 32)
    notdef = pixels(face, 0)
    for character in characters:
        glyph = face.get_char_index(character)
        seen = pixels(face, glyph) if glyph else None
        if seen is None or seen == notdef:
            yield character


def standard_drawn(info: FontInfo) -> str:
    drawn = book().coverage(info.key).drawn
    return "".join(map(chr, np.intersect1d(codes(STANDARD), drawn).tolist()))


def test_every_character_of_the_standard_that_a_font_draws_has_its_own_pixels() -> None:
    """Each family that has simplified forms, one of its weights; all fonts where time is no matter."""
    families = {info.family: info for info in book().fonts if SOAK or info.language == "zh-Hans"}
    chosen = book().fonts if SOAK else [info for name, info in families.items() if "Mono" not in name]
    assert len(chosen) >= 1
    for info in chosen:
        assert "".join(undrawn(info, standard_drawn(info))) == "", info.name


def test_what_a_font_is_said_to_lack_of_the_standard_it_lacks() -> None:
    for info in book().fonts:
        if info.language == "zh-Hans" and "Mono" not in info.family and info.weight <= 500:
            said = set(STANDARD) - set(standard_drawn(info))
            assert "".join(said) == "".join(undrawn(info, "".join(said))), info.name


def test_how_much_of_the_standard_each_family_draws() -> None:
    found = {
        info.family: tuple(len(set(level) & set(standard_drawn(info))) for level in levels())
        for info in book().fonts
        if info.family in KNOWN
    }
    assert found == {family: KNOWN[family] for family in found}


def test_pinyin_and_degrees_that_micro_hei_only_promises() -> None:
    info = next((f for f in book().fonts if f.family == "WenQuanYi Micro Hei"), None)
    if info is None:
        pytest.skip("no fonts-wqy-microhei: see .ci/packages")
    assert book().missing(info.key, "20℃ 汉语 hànyǔ pīnyīn ǎǐǒǔ") == "℃ǔǎǐǒ"
    assert info.key not in {f.key for f in book().drawing("汉语 ǎ", "zh")}


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="GLYPHMILL_SOAK=1 draws all that all fonts claim")
def test_no_font_shows_tofu_or_nothing_for_anything_it_is_said_to_draw() -> None:
    for info in book().fonts:
        covered = book().coverage(info.key)
        points = covered.drawn[~(blank(covered.drawn) | ignorable(covered.drawn))]
        text = "".join(map(chr, points.tolist()))
        assert "".join(undrawn(info, text)) == "", info.name
        lies = "".join(map(chr, covered.lies.tolist()))
        assert "".join(undrawn(info, lies)) == lies, info.name


def test_a_text_is_drawn_whole_or_not_at_all() -> None:
    """Whatever is asked for, in every font that is offered each glyph has ink and is not .notdef, after shaping too."""
    import uharfbuzz as hb

    texts = {
        "zh-Hans": "龘靐齉，《兰亭集序》：天朗气清。", "zh-Hant": "龍飛鳳舞，臺灣。", "ja": "いろは、国語。カタカナ",
        "ko": "다람쥐 헌 쳇바퀴", "ar": "السلام عليكم", "hi": "क्षत्रिय हिन्दी", "th": "ภาษาไทยกำลัง", "vi": "Tiếng Việt",
        "en": "The quick “brown” fox — 100%",
    }  # fmt: skip
    for language, text in texts.items():
        offered = book().drawing(text, language)
        for info in offered:
            buffer = hb.Buffer()
            buffer.add_str(unicodedata.normalize("NFC", text))
            buffer.guess_segment_properties()
            font = hb.Font(hb.Face(hb.Blob.from_file_path(info.key.path), info.key.index))
            hb.shape(font, buffer)
            assert 0 not in [g.codepoint for g in buffer.glyph_infos], (info.name, text)
            assert info.language in (language, "und", "zh-Hans", "zh-Hant-HK")
        assert offered or language not in ("zh-Hans", "en")


@pytest.fixture(scope="module")
def whole_standard(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A corpus of the 8,105 characters, in no order, some forty times over, in paragraphs of all lengths."""
    rng = np.random.default_rng(8105)
    paragraphs: list[str] = []
    for _ in range(40):
        shuffled = rng.permutation(codes(STANDARD))
        cuts = np.sort(rng.choice(len(shuffled), size=200, replace=False))
        paragraphs += ["".join(map(chr, part.tolist())) + "。" for part in np.split(shuffled, cuts) if len(part) > 1]
    file = tmp_path_factory.mktemp("standard") / "standard.txt"
    file.write_text("\n\n".join(paragraphs), encoding="utf-8")
    return str(file)


def test_no_page_shows_tofu(whole_standard: str) -> None:
    """Pages of the whole standard: each character has a box with ink in the picture, and in one of the faces that
    drew the page it is neither white nor .notdef."""
    from synth.pure.strategy import Pure
    from synth.sample import Rejected

    pure = Pure(corpora=(whole_standard,), languages=(("zh", 1.0),))
    pure.check()
    book()
    named = {info.name: info for info in open_book().fonts}
    seen: dict[str, set[str]] = {}
    rejected: list[Rejected] = []
    samples = 10_000 if SOAK else 120
    for index in range(samples):
        sample = pure.draw(5, index)
        if isinstance(sample, Rejected):
            rejected.append(sample)
            continue
        (placed,) = sample.texts
        assert len(placed.fonts) == 1
        seen.setdefault(placed.fonts[0], set()).update(placed.text)
        shown = {n for start, end in zip(placed.starts, placed.ends, strict=True) for n in range(start, end)}
        assert all(n in shown for n, c in enumerate(placed.text) if not c.isspace()), index
        for quad in placed.character_quads():
            (x0, y0), (x1, y1) = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
            assert np.ptp(sample.image[y0:y1, x0:x1].max(axis=2)) > 8 or np.ptp(sample.image[y0:y1, x0:x1]) > 8, index
    for name, characters in seen.items():
        assert "".join(undrawn(named[name], "".join(c for c in characters if not c.isspace()))) == "", name
    assert len(rejected) < samples / 20, [r.detail for r in rejected[:5]]
    if SOAK:
        assert set().union(*seen.values()) >= set(STANDARD)
