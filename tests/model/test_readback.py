"""Reading back: real renders are read right, by any number of processes; scores tell the scripts apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import here
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from tiny_checkpoint import tiny_components

from annotate.ocr.reader import missing
from model.readback import CHUNK, Pixels, Reading, compared, edits, read_back, read_texts, scores, table, wanted
from warehouse.errors import UsageError

FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
reads = pytest.mark.skipif(missing() is not None or not FONT.is_file(), reason="needs rapidocr and Noto Sans CJK")


def drawn(text: str, size: tuple[int, int] = (64, 64), em: int = 44) -> Pixels:
    image = Image.new("RGB", size, "white")
    font = ImageFont.truetype(FONT, em, index=2)
    ImageDraw.Draw(image).text((size[0] / 2, size[1] / 2), text, (20, 20, 20), font, anchor="mm")
    return np.asarray(image)


@reads
def test_real_renders_are_read_right_by_one_process_or_two() -> None:
    texts = [*list("ABEK2578永大山水金木火土风云"), "和", "?", "春"]
    assert len(texts) > CHUNK  # so that two processes have something each
    pictures = [drawn(text) for text in texts[:-3]] + [drawn("大"), np.full((64, 64, 3), 255, np.uint8), drawn("春")]
    heard: list[int] = []
    alone = read_back(pictures, texts, workers=1, on_picture=heard.append)
    assert read_texts(pictures, workers=2) == [reading.read for reading in alone]
    assert heard == [CHUNK, len(texts)]
    assert [reading.exact for reading in alone] == [True] * (len(texts) - 3) + [False, False, True]
    found = scores(alone)
    assert found["all"].count == len(texts)
    assert found["Latin"].exact == pytest.approx(8 / 9)
    assert found["Chinese"].exact == pytest.approx(11 / 12)


@reads
def test_a_page_is_read_line_by_line() -> None:
    page = np.concatenate([drawn("OPEN DAILY", (400, 80), 40), drawn("营业时间", (400, 80), 40)])
    (reading,) = read_back([page], ["OPEN DAILY营业时间"], how="page")
    assert reading.exact


def test_scores_are_apart_by_script() -> None:
    readings = [
        Reading("A", "A"), Reading("7", "7"), Reading("AB", "A"), Reading("永", "水"), Reading("永A", "永A"),
        Reading("大", ""), Reading("山", "山山"),
    ]  # fmt: skip
    found = scores(readings)
    assert list(found) == ["all", "Chinese", "Latin"]
    assert (found["Latin"].count, found["Latin"].exact) == (3, pytest.approx(2 / 3))
    assert found["Latin"].accuracy == pytest.approx((1 + 1 + 0.5) / 3)
    assert (found["Chinese"].count, found["Chinese"].exact) == (4, 0.25)
    assert found["Chinese"].accuracy == pytest.approx(0.25)  # what is read twice is as wrong as what is not read
    assert found["all"].exact == pytest.approx(3 / 7)
    assert "Chinese" not in scores(readings[:2])
    assert [line.split()[0] for line in table(readings).splitlines()[1:]] == ["all", "Chinese", "Latin"]


def test_what_a_prompt_wants() -> None:
    assert wanted("The character “永”.") == "永"
    assert wanted('A sign "OPEN DAILY" above "９ a.m."') == "OPENDAILY9a.m."
    assert wanted("字符“大”，位于中央。") == "大"
    assert wanted("a red circle") == ""
    assert compared(" Ａ b\n") == "Ab"


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits_are_a_distance(a: str, b: str, c: str) -> None:
    assert edits(a, b) == edits(b, a)
    assert (edits(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
    assert edits(a, c) <= edits(a, b) + edits(b, c)


def test_known_edits() -> None:
    assert edits("kitten", "sitting") == 3
    assert edits("", "abc") == 3


def test_numbers_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="1 pictures cannot be held against 2 texts"):
        read_back([np.zeros((8, 8, 3), np.uint8)], ["a", "b"])


@reads
def test_the_command_reads_what_it_drew(tmp_path: Path) -> None:
    """An untrained model writes nothing that can be read."""
    pytest.importorskip("torch")
    from model.components import save

    save(tiny_components(), tmp_path / "tiny")
    base = ("sample", "-m", tmp_path / "tiny", "--size", "64x64", "--steps", 1, "--guidance", 1, "--read")
    done = here(*base, "-o", tmp_path / "out", "-p", "“永”", "-p", "“A”", "-p", "no text", "-n", 2)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:3] for line in done.stdout.splitlines()[-3:]}
    assert rows == {"all": ["4", "0.0%"], "Chinese": ["2", "0.0%"], "Latin": ["2", "0.0%"]}
    done = here(*base, "-o", tmp_path / "other", "-p", "no text")
    assert "nothing to read back" in done.stdout
