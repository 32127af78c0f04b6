"""Discovery, coverage, and the book: what is used, what is not and why, and what may draw a text."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from font_files import without, write_collection, write_font
from hypothesis import given
from hypothesis import strategies as st

from synth.fonts import store
from synth.fonts.book import FontBook, open_book
from synth.fonts.discovery import files_of
from synth.fonts.face import FaceKey
from synth.fonts.fontfile import read_font_file
from synth.fonts.listing import rows
from warehouse.errors import UsageError

MANY = "".join(chr(0x4E00 + n) for n in range(20))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def book_of(*folders: Path) -> FontBook:
    return open_book.__wrapped__(tuple(map(str, folders)), system=False)


def read(path: Path) -> tuple[str, str, str]:
    """What the first face of a file draws, what it lies about, and why others are not used."""
    found = read_font_file(path, path.read_bytes(), "digest")
    covered = found.faces[0][1] if found.faces else None
    drawn, lies = ("", "") if covered is None else (_text(covered.drawn), _text(covered.lies))
    return drawn, lies, " ".join(s.reason for s in found.skipped)


def _text(points: np.ndarray) -> str:
    return "".join(map(chr, points.tolist()))


# Coverage


def test_a_character_is_drawn_by_pixels_not_by_promise(tmp_path: Path) -> None:
    font = write_font(tmp_path / "a.ttf", "AB国", blank=" ǎ℃", tofu="龘", nothing="鬱")
    assert read(font)[:2] == (" AB国", "ǎ℃龘")  # 鬱, mapped to .notdef itself, is not even promised


def test_a_blank_notdef_makes_no_character_blank(tmp_path: Path) -> None:
    font = write_font(tmp_path / "a.ttf", "AB", tofu="C", nothing="D", marks=False)
    assert read(font)[:2] == (" ABC", "")


def test_one_picture_for_many_characters_is_a_placeholder(tmp_path: Path) -> None:
    assert read(write_font(tmp_path / "many.ttf", "AB", placeholder=MANY))[:2] == (" AB", MANY)
    few = write_font(tmp_path / "few.ttf", "AB", placeholder=MANY[:10])
    assert read(few)[:2] == (" AB" + MANY[:10], "")
    compatible = "".join(chr(0x1D400 + 26 * n) for n in range(14))  # fourteen alphabets' A
    assert read(write_font(tmp_path / "a.ttf", "B", placeholder=compatible))[1] == ""


def test_blanks_and_ignorables_need_no_ink(tmp_path: Path) -> None:
    drawn, lies, _ = read(write_font(tmp_path / "a.ttf", "A", blank=" \u3000\u200d\ufe0f\u2009"))
    assert (drawn, lies) == (" A\u2009\u200d\u3000\ufe0f", "")


# Files


def test_every_face_of_a_collection_and_any_letter_case(tmp_path: Path) -> None:
    one = write_font(tmp_path / "one.ttf", "AB", family="One")
    two = write_font(tmp_path / "two.ttf", "CD", family="Two")
    write_collection(tmp_path / "BOTH.TTC", one, two)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write_font(tmp_path / "deep" / "er" / "Three.OTF", "EF", family="Three")
    (tmp_path / "notes.txt").write_text("no font")
    (tmp_path / "deep" / "round").symlink_to(tmp_path)  # a loop
    assert [f.name for f in files_of(str(tmp_path))] == ["BOTH.TTC", "one.ttf", "two.ttf", "Three.OTF"]
    found = book_of(tmp_path / "BOTH.TTC")
    assert [(f.name, f.key.index) for f in found.fonts] == [("One", 0), ("Two", 1)]
    assert found.draws(FaceKey(str(tmp_path / "BOTH.TTC"), 1), "CD")
    assert not found.draws(FaceKey(str(tmp_path / "BOTH.TTC"), 0), "CD")


def test_what_is_not_used_is_told_with_the_reason(tmp_path: Path) -> None:
    good = write_font(tmp_path / "good.ttf", "AB")
    whole = good.read_bytes()
    (tmp_path / "copy.ttf").write_bytes(whole)
    (tmp_path / "empty.ttf").write_bytes(b"")
    (tmp_path / "garbage.otf").write_bytes(b"<html>not found</html>" * 50)
    (tmp_path / "short.ttf").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "many.ttc").write_bytes(b"ttcf\0\1\0\0\xff\xff\xff\xff" + whole)
    without(good, tmp_path / "bitmaps.ttf", "glyf", "loca")
    without(good, tmp_path / "unmapped.ttf", "cmap")
    write_font(tmp_path / "blank.ttf", "", blank="ABC", family="Blank")
    (tmp_path / "gone.ttf").symlink_to(tmp_path / "nowhere")
    found = book_of(tmp_path)
    assert len(found.fonts) == 1
    reasons = {Path(s.path).name: s.reason for s in found.skipped}
    assert reasons.pop("good.ttf") == f"the same file as {tmp_path / 'copy.ttf'}"
    assert reasons.pop("gone.ttf") == "cannot be read: No such file or directory"
    assert reasons == {
        "empty.ttf": "broken: its table directory is cut off",
        "garbage.otf": "broken: it does not begin as a font does",
        "short.ttf": reasons["short.ttf"],
        "many.ttc": "broken: a collection of 4294967295 faces",
        "bitmaps.ttf": "no outlines: bitmaps alone are not drawn here",
        "unmapped.ttf": "broken: no table 'cmap'",
        "blank.ttf": "draws no character",
    }
    assert reasons["short.ttf"].endswith("ends beyond the end of the file")


def test_a_colour_font_is_not_used_and_sister_faces_that_draw_the_same_are_used_once(tmp_path: Path) -> None:
    from fontTools.ttLib import TTFont, newTable

    plain = write_font(tmp_path / "plain.ttf", "AB")
    font = TTFont(plain)
    font["SVG "] = newTable("SVG ")
    font["SVG "].docList = [("<svg xmlns='http://www.w3.org/2000/svg'/>", 4, 4)]
    font.save(tmp_path / "colour.ttf")
    assert read(tmp_path / "colour.ttf")[2] == "a colour font: its pictures are not drawn here"
    both = write_collection(tmp_path / "both.ttc", plain, plain)
    found = read_font_file(both, both.read_bytes(), "digest")
    assert [(s.index, s.reason) for s in found.skipped] == [(1, "draws just what face 0 does")]


def test_a_folder_without_a_usable_font_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: no such folder of fonts"):
        book_of(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no font files \(\.ttf, \.otf, \.ttc, \.otc\)"):
        book_of(tmp_path)
    (tmp_path / "a.ttf").write_bytes(b"x" * 100)
    with pytest.raises(UsageError, match=r"no usable font among 1 files; a\.ttf: broken: it does not begin"):
        book_of(tmp_path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_font(tmp_path_factory.mktemp("damaged") / "sound.ttf", "ABCé国")


@given(st.data())
def test_a_damaged_font_never_raises(sound: Path, data: st.DataObject) -> None:
    whole = bytearray(sound.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = sound.with_name("damaged.ttf")
    damaged.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    found = read_font_file(damaged, damaged.read_bytes(), "digest")
    assert found.faces or found.skipped
    for info, covered in found.faces:
        assert not set(covered.drawn.tolist()) & set(covered.lies.tolist())
        assert FontBook([(info, covered)], []).missing(info.key, "A国é ") in ("", *_subsets("A国é "))


def _subsets(text: str) -> list[str]:
    return ["".join(c for n, c in enumerate(text) if mask >> n & 1) for mask in range(1 << len(text))]


# The book


def test_a_composed_and_a_decomposed_accent_are_the_same_text(tmp_path: Path) -> None:
    write_font(tmp_path / "one.ttf", "Ae\u00e9", family="One")
    write_font(tmp_path / "parts.ttf", "Ae\u0301", family="Parts")
    write_font(tmp_path / "bare.ttf", "Ae", family="Bare")
    found = book_of(tmp_path)
    for text in ("Aé", "Ae\u0301"):
        assert [f.family for f in found.drawing(text)] == ["One", "Parts"]
        assert {f.family: found.missing(f.key, text) for f in found.fonts} == {"One": "", "Parts": "", "Bare": "é"}


def test_what_shows_nothing_by_nature_is_not_missed(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", "A国")
    found = book_of(tmp_path)
    key = found.fonts[0].key
    assert found.missing(key, "A\u200d国\ufe0f\u200b\nA\r\n国\u2060") == ""
    assert found.missing(key, "A\u3000\u00a0国") == ""  # HarfBuzz sets them by the space
    assert found.missing(key, "界A世界\u20dd") == "界世\u20dd"
    assert found.missing(key, "\x07") == "\x07"
    assert found.draws(key, "")


def test_a_font_without_a_space_does_not_draw_one(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", "AB", blank="")
    found = book_of(tmp_path)
    assert found.missing(found.fonts[0].key, "A B\u3000") == " \u3000"


def test_lies_are_missing_however_the_text_is_written(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", "Ai\u030c", blank=" ǐ", tofu="国")
    found = book_of(tmp_path)
    key = found.fonts[0].key
    assert found.missing(key, "Aǐ国") == "ǐ国"
    assert found.missing(key, "Ai\u030c国") == "ǐ国"
    assert (found.fonts[0].mapped, found.fonts[0].lies) == (6, 2)


def test_the_order_does_not_depend_on_where_fonts_lie(tmp_path: Path) -> None:
    for side, names in (("x", "abc"), ("y", "cba")):
        for file, family in zip(names, ("One", "Two", "Three"), strict=True):
            write_font(tmp_path / side / f"{file}.ttf", "AB", family=family)
            os.utime(tmp_path / side / f"{file}.ttf", (0, 0))
    x, y = book_of(tmp_path / "x"), book_of(tmp_path / "y")
    assert [f.family for f in x.fonts] == [f.family for f in y.fonts] == ["One", "Three", "Two"]
    other = book_of(tmp_path / "x" / "a.ttf")
    assert other.digest != x.digest
    with pytest.raises(UsageError, match="not among the fonts in use"):
        other.info(x.fonts[1].key)


def test_more_fonts_than_fit_a_byte_of_the_table(tmp_path: Path) -> None:
    for n in range(19):
        write_font(tmp_path / f"{n:02}.ttf", "A" + chr(0x4E00 + n), family=f"F{n:02} SC")
    found = book_of(tmp_path)
    assert len(found.drawing("A")) == 19
    for n in range(19):
        assert [f.family for f in found.drawing(chr(0x4E00 + n), "zh")] == [f"F{n:02} SC"]
    assert found.drawing("一丁", "zh") == ()


def test_a_language_without_fonts_is_refused_with_what_to_install(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", "AB")
    found = book_of(tmp_path)
    found.require("en")
    with pytest.raises(UsageError, match=r"no font here draws zh-Hans.*fonts-noto-cjk.*name a folder"):
        found.require("zh")


def test_rows_for_a_table(tmp_path: Path) -> None:
    font = write_font(tmp_path / "a.ttf", "AB一乙亍", family="Small Song SC", names={"licenseDescription": "OFL"})
    assert rows(book_of(font)) == [
        {
            "name": "Small Song SC", "kind": "serif", "language": "zh-Hans", "licence": "OFL-1.1", "level_1": 2,
            "level_2": 0, "level_3": 1, "characters": 6, "lies": 0, "path": str(font), "index": 0,
        }
    ]  # fmt: skip


def test_a_font_named_twice_is_used_once(tmp_path: Path) -> None:
    font = write_font(tmp_path / "a.ttf", "AB")
    for places in ((tmp_path, tmp_path), (tmp_path, font), (font, tmp_path)):
        found = book_of(*places)
        assert (len(found.fonts), found.skipped) == (1, ())


def test_a_book_without_fonts_draws_nothing() -> None:
    found = book_of()
    assert found.fonts == found.drawing("A") == found.drawing("") == found.drawing("é国 ไ") == ()


@pytest.fixture(scope="module")
def motley(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("motley")
    write_font(folder / "1.ttf", "Aeé国。", tofu="界", family="One SC")
    write_font(folder / "2.ttf", "Aei\u0301\u030c国界", blank=" ǐ", family="Two SC")
    write_font(folder / "3.ttf", "Aeiéǐ\u0e01\u0e33\u0e4d\u0e32", blank="", family="Three")
    return folder


@given(st.text(st.sampled_from("Aeiéǐ国界。 \n\u0301\u030c\u200d\u3000\u0e01\u0e33→"), max_size=8))
def test_what_is_offered_is_what_draws(motley: Path, text: str) -> None:
    found = book_of(motley)
    fitting = [f for f in found.fonts if f.language == "zh-Hans" or not any(c in "国界。\u3000" for c in text)]
    assert list(found.drawing(text, "zh")) == [f for f in fitting if found.draws(f.key, text)]


# The store


def test_what_was_kept_is_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = write_font(tmp_path / "one.ttf", "ABé国", blank=" ǎ", tofu="龘", family="One")
    two = write_font(tmp_path / "two.ttf", "CD", family="Two")
    both = write_collection(tmp_path / "both.ttc", one, two, two)
    first = store.read_kept(both)
    kept = next(store.cache_folder().iterdir())
    monkeypatch.setattr(store, "read_font_file", None)  # it is not read again
    _assert_same(store.read_kept(both), first)
    moved = both.rename(tmp_path / "moved.ttc")
    assert store.read_kept(moved).faces[1][0].key == FaceKey(str(moved), 1)
    monkeypatch.undo()
    for damaged in (kept.read_bytes()[:-3], b"", kept.read_bytes().replace(b"One", b"Tow")):
        kept.write_bytes(damaged)
        _assert_same(store.read_kept(moved), read_font_file(moved, moved.read_bytes(), first.faces[0][0].digest))


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert store.read_kept(write_font(tmp_path / "a.ttf", "AB")).faces


def _assert_same(ours: store.FontFile, theirs: store.FontFile) -> None:
    assert [info for info, _ in ours.faces] == [info for info, _ in theirs.faces]
    assert ours.skipped == theirs.skipped
    for (_, a), (_, b) in zip(ours.faces, theirs.faces, strict=True):
        for name in ("drawn", "lies", "false_glyphs"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            assert getattr(a, name).dtype == np.uint32
