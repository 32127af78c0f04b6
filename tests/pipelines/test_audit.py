"""The human audit: the same sample every time, verdicts on drops only, a precision with its uncertainty."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from decision_lakes import recipe
from picture_lakes import picture_lake
from PIL import Image
from typer.testing import CliRunner

import glyphmill
from pipelines.audit import Verdict, read_verdicts, record, sample
from pipelines.decide import decide
from pipelines.looking.audit_sheet import audit_sheet
from pipelines.looking.contact_sheet import Tile, sheet
from warehouse.errors import UsageError
from warehouse.lake import Lake

TOML = (
    'name = "audited"\nstore_from = 1\nscales = [256]\n[[stage]]\nnumber = 1\nname = "one"\nrules = [\n'
    '  { name = "lit", when = "luma > LIMIT" },\n  { name = "clear", when = "sharpness > 10" },\n]\n'
)


def at(limit: int) -> Any:
    return recipe(TOML.replace("LIMIT", str(limit)))


@pytest.fixture
def audited(tmp_path: Path) -> tuple[Lake, list[str]]:
    """Pictures 0 to 29 of luma 0 to 29, all decided: below 20 is dropped."""
    lake, ids = picture_lake(tmp_path / "lake", 30, {n: {"luma": float(n)} for n in range(30)})
    decide(lake, at(19))
    return lake, ids


def precision(lake: Lake) -> list[tuple[Any, ...]]:
    with lake.connect(read_only=True) as con:
        return con.execute("FROM audit_precision").fetchall()


def test_the_sample_is_of_drops_fixed_and_grows_at_its_end(audited: tuple[Lake, list[str]]) -> None:
    lake, ids = audited
    ten = [one.image_id for one in sample(lake, "lit", 10)]
    assert len(set(ten)) == 10
    assert set(ten) <= set(ids[:20])
    assert ten != sorted(ten)
    whole = [one.image_id for one in sample(lake, "lit", 500)]
    assert whole[:10] == ten
    assert set(whole) == set(ids[:20])
    decide(lake, at(9))  # half of them are dropped no more: the others keep their order
    assert [one.image_id for one in sample(lake, "lit", 500)] == [i for i in whole if i in ids[:10]]
    assert sample(lake, "clear") == []


def test_precision_is_of_judged_drops_with_wilsons_interval(audited: tuple[Lake, list[str]]) -> None:
    lake, _ = audited
    assert precision(lake) == []
    drawn = [one.image_id for one in sample(lake, "lit", 10)]
    record(lake, "lit", [Verdict(i, "right") for i in drawn[:7]] + [Verdict(i, "wrong", "a night") for i in drawn[7:9]])
    found = record(lake, "lit", [Verdict(drawn[9][:9].upper(), "wrong")])
    assert found is not None
    assert (found.judged, found.right, found.precision) == (10, 7, 0.7)
    # Wilson's interval of 7 in 10, worked out by his formula
    z, n, p = 1.959964, 10, 0.7
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (found.low, found.high) == pytest.approx(
        ((centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n))
    )
    assert (round(found.low, 3), round(found.high, 3)) == (0.397, 0.892)
    again = {one.image_id: (one.verdict, one.note) for one in sample(lake, "lit", 10)}
    assert again[drawn[8]] == ("wrong", "a night")
    # a second thought takes the first one's place
    changed = record(lake, "lit", [Verdict(drawn[9], "right")])
    assert changed is not None
    assert (changed.judged, changed.right) == (10, 8)
    # verdicts on what the rule no longer drops do not count, and are not lost
    decide(lake, at(-1))
    assert precision(lake) == []
    decide(lake, at(19))
    assert precision(lake)[0][:3] == ("lit", 10, 8)


@pytest.mark.parametrize("verdicts", [[("right", 20)], [("right", 0), ("wrong", 0)], [("maybe", 0)], [("right", -1)]])
def test_a_verdict_that_cannot_be_is_refused_and_none_is_stored(
    audited: tuple[Lake, list[str]], verdicts: list[tuple[str, int]]
) -> None:
    lake, ids = audited
    given = [Verdict("no id" if n < 0 else ids[n], verdict) for verdict, n in verdicts]
    with pytest.raises(UsageError):
        record(lake, "lit", [Verdict(ids[3], "right"), *given])
    assert precision(lake) == []


def test_a_rule_that_is_not_there_is_told_with_those_that_are(audited: tuple[Lake, list[str]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rule 'dark'; it has lit, clear"):
        sample(audited[0], "dark")
    with pytest.raises(UsageError, match="nothing is decided"):
        sample(Lake.create(tmp_path / "new"), "lit")


def test_a_sample_is_printed_filled_in_and_read_back(audited: tuple[Lake, list[str]], tmp_path: Path) -> None:
    lake, _ = audited
    run = CliRunner()
    printed = run.invoke(glyphmill.app, ["audit", "sample", "--rule", "lit", "--lake", str(lake.root), "--count", "5"])
    lines = printed.output.splitlines()
    assert lines[0] == "image_id,verdict,note,uri"
    file = tmp_path / "verdicts.csv"
    file.write_text("\n".join([lines[0], *(line.replace(",,,", ",Right,fine,", 1) for line in lines[1:4]), *lines[4:]]))
    assert [v.verdict for v in read_verdicts(file)] == ["right"] * 3
    told = run.invoke(
        glyphmill.app, ["audit", "record", "--rule", "lit", "--lake", str(lake.root), "--file", str(file)]
    )
    assert told.output.startswith("3 verdicts recorded; lit: 3 of 3 drops are right, precision 1.00 (0.44 to 1.00)")
    image = sample(lake, "lit", 4)[3].image_id
    told = run.invoke(
        glyphmill.app,
        ["audit", "record", "--rule", "lit", image, "wrong", "--note", "dusk", "--lake", str(lake.root)],
    )
    assert "3 of 4 drops are right" in told.output
    (tmp_path / "bad.csv").write_text("id,verdict\n")
    with pytest.raises(UsageError, match="no column image_id"):
        read_verdicts(tmp_path / "bad.csv")


def test_the_sheet_shows_the_sample(audited: tuple[Lake, list[str]], tmp_path: Path) -> None:
    lake, _ = audited
    out = tmp_path / "lit.png"
    done = CliRunner().invoke(
        glyphmill.app, ["audit", "sheet", "--rule", "lit", "--out", str(out), "--lake", str(lake.root), "--count", "8"]
    )
    assert "8 images that 'lit' drops" in done.output
    assert Image.open(out).size == (6 * 230 + 6, 2 * 248 + 6)


def test_a_picture_lies_in_its_place_on_the_sheet() -> None:
    colours = ["red", "lime", "blue", None]
    drawn = sheet([Tile(Image.new("RGB", (50, 50), c) if c else None, f"no {c}" * 20) for c in colours], columns=2)
    middles = [drawn.getpixel((6 + 112 + 230 * (n % 2), 6 + 112 + 248 * (n // 2))) for n in range(4)]
    assert middles == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (245, 245, 245)]
    with pytest.raises(ValueError, match="at least one"):
        sheet([])


def test_a_picture_that_is_gone_leaves_a_frame(audited: tuple[Lake, list[str]]) -> None:
    sampled = sample(audited[0], "lit", 2)
    Path(sampled[0].uri).unlink()
    assert audit_sheet(sampled).size == (2 * 230 + 6, 248 + 6)
