"""Blind characters: found on reference glyphs, kept in the lake, printed by the commands."""

from __future__ import annotations

from pathlib import Path

import ocr_pages
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotate.ocr import blind as ocr_blind
from annotate.ocr import reader as ocr
from annotate.ocr.blind import Misread
from annotate.ocr.reading import Line
from glyphmill import app
from pipelines.ocr_blind import record
from warehouse.errors import UsageError
from warehouse.lake import Lake


class HalfBlind:
    """Reads each glyph picture in turn as told."""

    def __init__(self, *readings: str) -> None:
        self._readings = list(readings)

    def read(self, image: Image.Image) -> list[Line]:
        raise AssertionError("a glyph is a line by itself: nothing is to be detected")

    def read_line(self, image: Image.Image) -> tuple[str, float]:
        return self._readings.pop(0), 0.9


def test_blind_is_what_is_misread_alone_and_in_a_row() -> None:
    font = Path(ocr_pages.chinese_font())
    reader = HalfBlind("山", "水木", "水水水", "奔", "奔奔")
    steps: list[int] = []
    found = ocr_blind.measure(reader, "山水犇\U000f1111", [font], steps.append)
    assert found.misread == (Misread("犇", "奔"),)
    assert found.absent == ("\U000f1111",)
    assert found.tested == 4
    assert steps == [1, 2, 3, 4]


def test_a_glyph_read_right_in_one_font_is_enough() -> None:
    font = Path(ocr_pages.chinese_font())
    assert not ocr_blind.measure(HalfBlind("x", "xxx", "山"), "山", [font, font]).misread


def test_common_characters_are_not_blind_on_real_networks() -> None:
    characters = "人山水天中国大小"
    assert not ocr_blind.measure(ocr.reader(), characters, [Path(ocr_pages.chinese_font())]).misread


def test_no_font_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--font"):
        ocr_blind.measure(HalfBlind(), "山", [])
    broken = tmp_path / "font.ttf"
    broken.write_text("no font")
    with pytest.raises(UsageError, match="no font that can be read"):
        ocr_blind.measure(HalfBlind(), "山", [broken])


def test_the_lake_keeps_one_list_per_recogniser(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")

    def stored() -> list[tuple[str, str, str]]:
        with lake.connect(read_only=True) as con:
            return con.execute("FROM lake.ocr_blind ORDER BY ALL").fetchall()

    assert record(lake, "aa", [Misread("犇", "奔"), Misread("㐀", "")])
    assert not record(lake, "aa", [Misread("㐀", ""), Misread("犇", "奔")])
    assert record(lake, "bb", [Misread("犇", "牛")])
    assert record(lake, "aa", [Misread("㐀", "乘")])
    assert stored() == [("aa", "㐀", "乘"), ("bb", "犇", "牛")]


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner()
    picture = tmp_path / "page.png"
    ocr_pages.page(2, "chinese", size=(360, 200), most=1).image.save(picture)
    done = run.invoke(app, ["ocr", "read", str(picture)])
    assert done.exit_code == 0
    assert "chinese" in done.stdout

    chars, out = tmp_path / "chars.txt", tmp_path / "blind.tsv"
    chars.write_text("山 水\n亊", encoding="utf-8")
    asked = ["ocr", "blind", "--font", ocr_pages.chinese_font(), "--chars", str(chars), "--out", str(out), "-q"]
    done = run.invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "3 characters" in done.stdout

    Lake.create(tmp_path / "lake")
    done = run.invoke(app, ["ocr", "blind", "--lake", str(tmp_path / "lake")])
    assert done.exit_code == 0, done.output
    assert f"{len(ocr_blind.entries())} characters stored" in done.stdout
    assert isinstance(run.invoke(app, ["ocr", "blind"]).exception, UsageError)
