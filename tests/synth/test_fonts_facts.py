"""Whose forms, which kind, under which licence; and who may stand beside whom."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from font_files import write_font

from synth.fonts.book import FontBook, open_book
from synth.fonts.characters import blank, canonical, codes, form_language, ignorable, script_of, takes_form
from synth.fonts.face import open_face
from synth.fonts.facts import FONT_LANGUAGES, KINDS, FontInfo
from synth.fonts.fontfile import read_font_file
from synth.fonts.licence import licence_name

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def info_of(path: Path) -> FontInfo:
    return read_font_file(path, path.read_bytes(), "digest").faces[0][0]


def book_of(folder: Path) -> FontBook:
    return open_book.__wrapped__((str(folder),), system=False)


def real(name: str) -> FontInfo:
    found = next((f for f in open_book().fonts if f.name == name), None)
    if found is None:
        pytest.skip(f"no {name}: see .ci/packages")
    return found


# Facts


@pytest.mark.parametrize(
    ("licence", "address", "copyright_line", "name"),
    [
        ("This Font Software is licensed under the SIL Open Font License, Version 1.1.", "", "", "OFL-1.1"),
        ("", "https://openfontlicense.org", "", "OFL-1.1"),
        ("GPL2 with font embedding exception", "http://www.gnu.org/copyleft/gpl.html", "", "GPL-2+FE"),
        ("GNU General Public License, version 3", "", "", "GPL-3"),
        ("Licensed under the Apache License, Version 2.0", "", "", "Apache-2.0"),
        ("Fonts are (c) Bitstream (see below). DejaVu changes are in public domain.", "", "", "Bitstream Vera"),
        ("ARPHIC PUBLIC LICENSE\n\nCopyright (C) 1999", "", "", "Arphic-1999"),
        ("", "", "(c) 2020 Someone, under the MIT License", "MIT"),
        ("All rights are with the maker of this font, who is kind", "", "", "All rights are with the maker"),
        ("", "", "(c) 2009 Someone", None),
        ("", "", "", None),
    ],
)
def test_licences_have_short_names(licence: str, address: str, copyright_line: str, name: str | None) -> None:
    assert licence_name(licence, address, copyright_line) == name


def panose(**values: int) -> object:
    from fontTools.ttLib.tables.O_S_2f_2 import Panose

    return Panose(**values)


@pytest.mark.parametrize(
    ("family", "os2", "kind"),
    [
        ("AR PL UKai CN", {}, "kai"),
        ("LXGW WenKai Mono", {}, "kai"),
        ("TH Kaithi", {}, "sans"),
        ("Noto Sans Kaithi", {}, "sans"),
        ("Noto Serif CJK SC", {}, "serif"),
        ("AR PL UMing CN", {"panose": panose(bFamilyType=2, bSerifStyle=11)}, "serif"),
        ("Noto Sans Mono CJK SC", {}, "mono"),
        ("Ma Shan Zheng", {}, "hand"),
        ("Kaisei Tokumin", {"panose": panose(bFamilyType=2, bSerifStyle=5)}, "serif"),
        ("STSong", {}, "serif"),
        ("Wonder", {"panose": panose(bFamilyType=3)}, "hand"),
        ("Wonder", {"panose": panose(bFamilyType=4)}, "display"),
        ("Wonder", {"panose": panose(bFamilyType=2, bSerifStyle=5)}, "serif"),
        ("Wonder", {"panose": panose(bFamilyType=2, bSerifStyle=11, bProportion=9)}, "mono"),
        ("Wonder", {"sFamilyClass": 10 << 8}, "hand"),
        ("Wonder", {"sFamilyClass": 3 << 8}, "serif"),
        ("Wonder", {}, "sans"),
        ("Noto Sans Symbols2", {}, "symbol"),
    ],
)
def test_kinds(tmp_path: Path, family: str, os2: dict[str, object], kind: str) -> None:
    assert info_of(write_font(tmp_path / "a.ttf", "AB", family=family, os2=os2)).kind == kind


@pytest.mark.parametrize(
    ("family", "bits", "language"),
    [
        ("Some Hei SC", (17, 18, 20), "zh-Hans"),
        ("Some Hei TC", (17, 18, 20), "zh-Hant"),
        ("Some Hei HK", (17, 20), "zh-Hant-HK"),
        ("Some Gothic JP", (17,), "ja"),
        ("Some KR", (), "ko"),
        ("Wonder", (18,), "zh-Hans"),
        ("Wonder", (20,), "zh-Hant"),
        ("Wonder", (17,), "ja"),
        ("Wonder", (17, 18, 19, 20), "zh-Hans"),
        ("Wonder", (), "zh-Hans"),
        ("Source Han Sans", (17, 18, 19, 20), "ja"),
        ("Source Han Serif K", (17, 18, 19, 20), "ko"),
        ("Source Han Sans HC", (17, 18, 19, 20), "zh-Hant-HK"),
        ("Unifont", (17, 18, 19, 20), "zh-Hans"),
    ],
)
def test_whose_forms_its_han_characters_have(tmp_path: Path, family: str, bits: tuple[int, ...], language: str) -> None:
    os2 = {"ulCodePageRange1": sum(1 << bit for bit in bits)}
    assert info_of(write_font(tmp_path / "a.ttf", "A一国", family=family, os2=os2)).language == language


def test_a_font_without_han_characters_has_no_forms_of_them(tmp_path: Path) -> None:
    assert info_of(write_font(tmp_path / "a.ttf", "AB", family="Some SC")).language == "und"
    assert info_of(write_font(tmp_path / "b.ttf", ALPHABET + "一", family="Some SC")).language == "und"


@pytest.mark.parametrize(
    ("drawn", "language"), [("国体湾们这", "zh-Hans"), ("國體灣們這", "zh-Hant"), ("国体湾込畑", "ja")]
)
def test_a_font_that_does_not_say_is_known_by_what_it_draws(tmp_path: Path, drawn: str, language: str) -> None:
    assert info_of(write_font(tmp_path / "a.ttf", drawn, family="Wonder")).language == language


def test_weight_slant_and_names(tmp_path: Path) -> None:
    bold = info_of(write_font(tmp_path / "a.ttf", names={"styleName": "Bold Italic"}, os2={"usWeightClass": 700}))
    assert (bold.name, bold.weight, bold.italic) == ("Plain Bold Italic", 700, True)
    old = info_of(write_font(tmp_path / "b.ttf", os2={"usWeightClass": 3}))
    assert (old.name, old.weight, old.italic) == ("Plain", 300, False)
    odd = info_of(write_font(tmp_path / "c.ttf", names={"styleName": "Bold"}, os2={"usWeightClass": 400}))
    assert odd.weight == 700


def test_every_font_here_has_sane_facts() -> None:
    for info in open_book().fonts:
        assert info.kind in KINDS
        assert info.language in FONT_LANGUAGES
        assert 100 <= info.weight <= 900
        assert info.name == open_face(info.key).name  # what the truth of a sample says
        assert 0 <= info.lies < info.mapped
    names = Counter(info.name for info in open_book().fonts)
    assert not [name for name, count in names.items() if count > 1]


def test_faces_of_a_collection_differ_in_language() -> None:
    for region, language in (("JP", "ja"), ("KR", "ko"), ("SC", "zh-Hans"), ("TC", "zh-Hant"), ("HK", "zh-Hant-HK")):
        assert real(f"Noto Sans CJK {region}").language == language
    assert real("Noto Sans CJK JP").key.index == 0
    assert real("Noto Sans CJK SC").key.index == 2


# Languages


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh", "zh-Hans"), ("zh-CN", "zh-Hans"), ("zh_TW", "zh-Hant"), ("zh-Hant", "zh-Hant"), ("yue", "zh-Hant-HK"),
        ("zh-HK", "zh-Hant-HK"), ("zh-Hans-HK", "zh-Hans"), ("ja-JP", "ja"), ("ko", "ko"), ("en", "und"), ("", "und"),
    ],
)  # fmt: skip
def test_tags_of_languages(tag: str, language: str) -> None:
    assert canonical(tag) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("国家", "zh-Hans"),
        ("國家", "zh-Hant"),
        ("国語の", "ja"),
        ("한국 國", "ko"),
        ("龘𠀀", "zh-Hans"),
        ("中文", "zh-Hans"),
    ],
)
def test_a_text_of_no_named_language_takes_the_forms_it_is_written_in(text: str, language: str) -> None:
    assert form_language(text, "und") == form_language(text, "en") == language
    assert form_language(text, "ja") == "ja"


def test_punctuation_of_the_square_takes_a_form_and_other_does_not() -> None:
    assert all(takes_form(c) for c in ("，", "「", "！", "a国", "ㄅ"))
    assert not takes_form("Hello, “world” — ½ é")
    assert [script_of(c) for c in "。aé1 あ한ع"] == ["Hani", "Latn", "Latn", "Zyyy", "Zyyy", "Hira", "Hang", "Arab"]


def test_blanks_and_ignorables_by_the_unicode_data_of_python() -> None:
    import unicodedata

    points = np.arange(0x20, 0x3400, dtype=np.uint32)
    spaces = [p for p in points.tolist() if unicodedata.category(chr(p)) == "Zs"]
    assert blank(np.array(spaces, dtype=np.uint32)).all()
    assert not blank(codes("aé国\u200b\u2060")).any()
    assert ignorable(codes("\u200b\u200d\ufe0f\u00ad\u2060\U000e0101")).all()
    assert not ignorable(codes("a \u3000\u0301")).any()


def test_simplified_chinese_is_never_drawn_with_another_country_s_face() -> None:
    book = open_book()
    for text, language in (("直骨角", "zh-Hans"), ("直骨角，今。", "zh-CN"), ("直骨角", "und"), ("直骨角 Abc", "en")):
        assert {f.language for f in book.drawing(text, language)} <= {"zh-Hans"}
    assert {f.language for f in book.drawing("直骨角", "ja")} <= {"ja"}
    assert {f.language for f in book.drawing("直骨角", "zh-TW")} <= {"zh-Hant", "zh-Hant-HK"}
    assert {f.language for f in book.drawing("直骨角", "zh-HK")} <= {"zh-Hant-HK"}
    assert {f.language for f in book.drawing("Plain words", "en")} <= {"und", "zh-Hans"}


def test_stops_in_the_middle_of_the_square_are_not_for_simplified_chinese() -> None:
    """AR PL UKai CN has the simplified characters, and Taiwan's stops."""
    ukai = real("AR PL UKai CN")
    book = open_book()
    assert ukai.centred == "，。、"
    assert ukai in book.drawing("永字八法", "zh")
    assert ukai not in book.drawing("永字，八法", "zh")
    assert real("Noto Sans CJK SC").centred == ""
    assert real("Noto Sans CJK TC") in book.drawing("永字，八法", "zh-Hant")


def test_latin_of_one_width_is_for_typewriters() -> None:
    book = open_book()
    assert real("AR PL UKai CN").fixed
    assert not real("LXGW WenKai").fixed
    offered = book.drawing("Typewriter", "en")
    assert all(f.kind == "mono" or not f.fixed or f.language == "und" for f in offered)
    assert real("LXGW WenKai") in offered


def test_symbols_set_no_letters_unless_asked(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", "AB→", family="Plain")
    write_font(tmp_path / "b.ttf", "AB→", family="Plain Symbols")
    book = book_of(tmp_path)
    assert [f.family for f in book.drawing("AB")] == ["Plain"]
    assert [f.family for f in book.drawing("→")] == ["Plain", "Plain Symbols"]
    assert [f.family for f in book.drawing("AB", kinds=("symbol", "hand"))] == ["Plain Symbols"]
    assert book.drawing("AB", kinds=("kai",)) == ()


# Fall-backs


def test_a_script_is_handed_over_whole_to_a_face_of_the_kind_and_weight() -> None:
    book = open_book()
    for main, text, language, wanted in (
        ("DejaVu Sans", "Hello 你好，世界。", "zh", "Noto Sans CJK SC"),
        ("DejaVu Serif Bold", "Hello 你好，世界。", "zh", "Noto Serif CJK SC Bold"),
        ("DejaVu Serif", "Hello 你好，世界。", "ja", "Noto Serif CJK JP"),
        ("Noto Serif Display Italic", "Menu 菜单", "zh", "Noto Serif CJK SC"),
        ("Noto Sans CJK SC", "天气 ภาษาไทย", "zh", "Noto Sans Thai"),
        ("Noto Sans Devanagari", "नमस्ते abc 123", "hi", "Noto Sans"),
    ):
        keys = book.fall_backs(real(main).key, text, language)
        assert [book.info(key).name for key in keys] == [real(wanted).name], main


def test_a_face_once_chosen_serves_further_scripts() -> None:
    book = open_book()
    keys = book.fall_backs(real("DejaVu Sans").key, "漢字とカナ、한글 ไทย", "ja")
    assert [book.info(key).language for key in keys] == ["ja", "und"]


def test_a_character_that_the_main_face_merely_lacks_is_not_handed_over() -> None:
    """The whole text is to be discarded: two hands in one word are worse than no word."""
    micro = real("WenQuanYi Micro Hei")
    book = open_book()
    assert book.missing(micro.key, "汉语拼音 hǎo") == "ǎ"
    assert book.fall_backs(micro.key, "汉语拼音 hǎo", "zh") == ()
    rare = next(c for c in "亍尢彳卬殳𠙶毌邘戋圢氕伋㑇㑊" if not book.draws(micro.key, c))
    assert book.fall_backs(micro.key, f"你好{rare}", "zh") == ()


def test_symbols_go_to_a_face_that_has_them_and_nothing_goes_nowhere(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", ALPHABET, family="Main")
    write_font(tmp_path / "b.ttf", "→①", family="Arrow Symbols")
    write_font(tmp_path / "c.ttf", "Жж" + "→", family="Slav Serif")
    book = book_of(tmp_path)
    main = next(f.key for f in book.fonts if f.family == "Main")
    assert [book.info(k).family for k in book.fall_backs(main, "A → B ①", "en")] == ["Arrow Symbols"]
    assert [book.info(k).family for k in book.fall_backs(main, "Ж → ①", "ru")] == ["Slav Serif", "Arrow Symbols"]
    assert book.fall_backs(main, "ABC", "en") == ()
    assert book.fall_backs(main, "ABC 国", "zh") == ()
