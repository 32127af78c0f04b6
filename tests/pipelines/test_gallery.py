"""Contact sheets: the right pictures under each rule, the same on every run, and a sheet even where a file is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from decision_lakes import new_lake, recipe
from PIL import Image, ImageDraw

from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.looking.gallery import CELL, find_groups, gallery, thumbnail
from pipelines.scan import scan
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.sources import open_source

RULES = """
name = "r"
store_from = 1
scales = [256]
[[stage]]
number = 1
name = "initial curation"
rules = [{ name = "large enough", when = "min_side >= 100" }]
[[stage]]
number = 2
name = "image quality"
rules = [{ name = "exposed", when = "luma >= 60" }]
"""
RED, BLUE = (220, 30, 30), (20, 20, 90)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "photos").mkdir()
    for number in range(12):
        size = (90, 160) if number < 3 else (160, 120 + number)
        picture = Image.new("RGB", size, BLUE if number in (3, 4) else RED)
        ImageDraw.Draw(picture).text((10, 10), str(number), fill="white")
        picture.save(folder / "photos" / f"{number}.png")
    made = new_lake(folder / "lake")
    scan(made, open_source(str(folder / "photos"), None), engine=LocalEngine(workers=0))
    decide(made, recipe(RULES))
    return made


def test_each_rule_shows_what_it_drops(lake: Lake) -> None:
    with lake.connect(read_only=True) as con:
        groups = find_groups(con, 8)
    told = [(g.stage, g.rule, g.outcome, g.images, len(g.shown)) for g in groups]
    assert told == [
        (1, "large enough", "dropped", 3, 3),
        (2, "exposed", "dropped", 2, 2),
        (None, "kept", "kept", 7, 7),
    ]
    assert {Path(s.uri).name for s in groups[1].shown} == {"3.png", "4.png"}
    assert all(s.told == "min_side 90" for s in groups[0].shown)
    assert groups[0].predicate == "(min_side >= 100)"


def test_one_sheet_or_one_a_rule(lake: Lake, tmp_path: Path) -> None:
    (whole,) = gallery(lake, tmp_path / "all.png", each=4, columns=4)
    with Image.open(whole) as first:
        colours = {colour for _, colour in first.getcolors(1 << 24) or ()}
        size = first.size
    assert {RED, BLUE} <= colours
    assert size[0] == 4 * (CELL[0] + 12) - 12 + 56
    again = gallery(lake, tmp_path / "again.png", each=4, columns=4)[0]
    assert again.read_bytes() == whole.read_bytes()
    files = gallery(lake, tmp_path / "sheets")
    assert [f.name for f in files] == ["stage-1-large-enough.png", "stage-2-exposed.png", "kept.png"]
    with Image.open(files[0]) as sheet:
        assert BLUE not in {colour for _, colour in sheet.getcolors(1 << 24) or ()}


def test_a_file_that_is_gone_leaves_a_note_and_no_hole(lake: Lake, tmp_path: Path) -> None:
    with lake.connect(read_only=True) as con:
        (uri,) = con.execute("SELECT uri FROM inputs WHERE uri LIKE '%/3.png'").fetchall()[0]
    data = Path(uri).read_bytes()
    Path(uri).unlink()
    try:
        files = gallery(lake, tmp_path / "sheets")
        with Image.open(files[1]) as sheet:
            assert BLUE in {colour for _, colour in sheet.getcolors(1 << 24) or ()}  # the other one is drawn
    finally:
        Path(uri).write_bytes(data)


def test_a_thumbnail_is_upright_and_transparency_is_white() -> None:
    import io

    lying = Image.new("RGB", (300, 100), RED)
    exif = Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    lying.save(buffer, "jpeg", exif=exif)
    assert thumbnail(buffer.getvalue()).size == (44, 132)
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    buffer = io.BytesIO()
    clear.save(buffer, "png")
    assert thumbnail(buffer.getvalue()).getpixel((5, 5)) == (255, 255, 255)


def test_before_the_first_decide_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="nothing is decided"):
        gallery(new_lake(tmp_path / "lake"), tmp_path / "x.png")
