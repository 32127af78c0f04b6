"""Nightly: each case that docs/nightly.md names, on real pictures in this very process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from nights import NAME, RECIPE, an_order, chosen, counts, do, draw, restore, rows, write_extractors
from pictures import encoded, photo
from typer.testing import CliRunner

import glyphmill
from pipelines import decode, inspect_unit, scan_unit
from pipelines.commands.annotate import Annotator
from pipelines.commands.nightly import _annotation
from pipelines.nights.listing import Where, source_name
from pipelines.nights.nightly import dates
from pipelines.nights.plan import plan
from pipelines.nights.summary import PARTIAL
from warehouse.digest import digests
from warehouse.errors import LakeBusy, UsageError
from warehouse.lake import Lake
from warehouse.sources import ImageReader

FIRST, SECOND, THIRD, FOURTH = dates("2026-11-01", "2026-11-04")


@pytest.fixture(scope="module", autouse=True)
def _extractors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = write_extractors(tmp_path_factory.mktemp("mine") / "extractors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHMILL_EXTRACTORS", str(folder))
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake after its first night, and the source, kept beside as it was then."""
    folder = tmp_path_factory.mktemp("first")
    draw(folder / "src", 0, 1, 2, 3)
    shutil.copytree(folder / "src", folder / "pristine")
    restore(folder / "pristine", folder / "src")
    done = do(an_order(folder / "lake", folder / "src"), FIRST)
    assert (done.status, done.exit_code, done.units, done.samples) == ("done", 0, 1, 4)
    assert done.outcomes["kept"] == 4
    assert done.placed == {256: 4}
    names = ["freeze", "scan", "near", "decide", "inspect", "decide-again", "export", "views"]
    assert [one.name for one in done.passes] == names
    assert done.as_dict()["status"] == "done"
    return folder


@pytest.fixture
def after(first: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the lake after its first night, and the source as it was."""
    restore(first / "pristine", first / "src")
    shutil.copytree(first / "lake", tmp_path / "lake")
    return tmp_path / "lake", first / "src"


def test_a_rerun_of_a_date_does_the_same_and_the_next_night_what_came_since(
    after: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, source = after

    def refuse(*arguments: object) -> object:
        raise AssertionError("what did not change was looked at")

    draw(source, 7)  # late: whatever date it bears, it is new
    state = "SELECT max(snapshot_id) FROM lake.snapshots()"
    before = rows(lake, state)
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.decide.judge", refuse)
        patch.setattr("pipelines.export._place", refuse)
        again = do(an_order(lake, source), FIRST)
    assert (again.status, again.exit_code, again.samples) == ("done", 0, 4)
    assert (again.outcomes["kept"], again.placed) == (4, {256: 4})
    assert rows(lake, state) == before
    assert counts(again, "scan")["units_skipped"] == 1
    planned = plan(an_order(lake, source), SECOND)
    assert (planned.frozen, planned.units, planned.samples) == (False, 1, 1)
    assert planned.seconds is not None
    assert planned.models[0].startswith("shade 1 (")
    assert rows(lake, state) == before
    later = do(an_order(lake, source), SECOND)
    assert (later.units, later.samples) == (1, 1)
    assert rows(lake, "SELECT batch, count(*) FROM inputs GROUP BY 1 ORDER BY 1") == [(FIRST, 4), (SECOND, 1)]
    assert later.outcomes["kept"] == 5
    assert rows(lake, "SELECT night, status FROM nights ORDER BY 1") == [(FIRST, "done"), (SECOND, "done")]


def test_redelivered_and_changed_files(after: tuple[Path, Path]) -> None:
    lake, source = after
    shutil.copy(source / "00.jpg", source / "same-bytes.jpg")
    (source / "same-bytes.txt").write_text("the same picture, told otherwise")
    os.utime(source / "01.jpg", ns=(1, 1))  # delivered again: the same bytes, another time
    (source / "02.jpg").write_bytes(encoded(photo(72, 64, seed=99), quality=85))  # another picture under the old name
    (source / "03.txt").write_text("a caption that came late")
    asking = _annotation(Annotator.RULES, None, "", None, None)
    done = do(an_order(lake, source, annotate=asking), SECOND)
    assert (done.status, done.samples) == ("done", 4)
    assert (counts(done, "annotate")["success"], counts(done, "annotate")["requests"]) == (5, 0)
    assert rows(lake, f"SELECT status, count(*) FROM inputs WHERE batch = '{SECOND}' GROUP BY 1 ORDER BY 1") == [
        ("ok", 1), ("repeat", 3),
    ]  # fmt: skip
    texts = {text for (text,) in rows(lake, "SELECT text FROM captions")}
    assert {"the same picture, told otherwise", "a caption that came late", "picture number 3"} <= texts
    # The old picture of the changed file is in the pool: it stays, and the new one is beside it.
    assert (done.outcomes["kept"], done.outcomes["repeat"]) == (5, 3)
    assert counts(done, "export")["stored"] == 1


def test_a_new_recipe_redoes_decisions_and_decodes_nothing(
    after: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, source = after

    def refuse(*arguments: object) -> object:
        raise AssertionError("a new threshold looked at a picture")

    for name in ("decode", "decode_full"):
        monkeypatch.setattr(decode, name, refuse)
    monkeypatch.setattr(inspect_unit, "decode_full", refuse)
    monkeypatch.setattr(scan_unit, "work", refuse)
    strict = chosen(RECIPE.replace("shade >= 0", "shade >= 256"))
    done = do(an_order(lake, source, strict), SECOND)
    assert (done.exit_code, done.outcomes["dropped"], done.outcomes["kept"]) == (0, 4, 0)
    worked = {one.name: one.items for one in done.passes}
    assert [worked[name] for name in ("scan", "near", "inspect", "export")] == [0, 0, 0, 0]


def test_a_raised_version_measures_its_columns_alone(
    after: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, source = after
    before = _digests(lake)
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(write_extractors(tmp_path / "raised", version="2")))
    done = do(an_order(lake, source), SECOND)
    assert (done.exit_code, done.units) == (0, 0)
    now = _digests(lake)
    assert {table for table in now if now[table] != before[table]} == {"signals_shade", "signals_warmth"}
    for command, table in (("scan", "signals_warmth"), ("inspect", "signals_shade")):
        assert rows(lake, f"SELECT count(*) FROM {table} WHERE version LIKE '2 (%'") == [(4,)]
        last = f"SELECT arg_max(run_id, finished_at) FROM runs WHERE command = '{command}'"
        assert rows(lake, f"SELECT DISTINCT table_name FROM parts WHERE run_id = ({last})") == [(table,)]


def test_backfill_of_dated_folders_and_what_comes_late(tmp_path: Path) -> None:
    lake, drop = tmp_path / "lake", tmp_path / "drop"
    draw(drop / FIRST, 1, 2)
    told = []
    for day in dates(FIRST, THIRD):
        if day == THIRD:
            draw(drop / FIRST, 3)  # after its night
            draw(drop / SECOND, 4)  # a whole folder, a day late
            draw(drop / THIRD, 5)
        freezing, _ = (do(an_order(lake, drop / "{date}", only=name), day) for name in ("freeze", "scan"))
        told.append((freezing.status, freezing.units, freezing.exit_code))
    assert told == [("done", 1, 0), ("nothing new", None, 0), ("done", 3, 0)]
    assert rows(lake, "SELECT batch, list(uri[-6:] ORDER BY uri) FROM inputs GROUP BY 1 ORDER BY 1") == [
        (FIRST, ["01.jpg", "02.jpg"]), (THIRD, ["03.jpg", "04.jpg", "05.jpg"]),
    ]  # fmt: skip
    with pytest.raises(UsageError, match=f"no such file or folder: {tmp_path}/dorp"):
        plan(an_order(lake, tmp_path / "dorp" / "{date}"), "2031-01-01")
    assert plan(an_order(lake, drop / "{date}"), "2031-01-01").units == 0


def test_what_a_night_left_undone_the_next_one_does(after: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    lake, source = after

    def broken(tasks: Sequence[Any]) -> Any:
        raise RuntimeError("the machine is on fire")

    draw(source, 8)
    with monkeypatch.context() as patch:
        patch.setattr(scan_unit, "examiner", lambda look, lost, *, careful, seconds: nullcontext(broken))
        done = do(an_order(lake, source), SECOND)
    assert (done.status, done.exit_code, len(done.left.failed)) == ("partial", PARTIAL, 1)
    letter = "SELECT unit, batch, attempts, failure, error, status FROM errors"
    (unit,) = done.left.failed
    fire = "RuntimeError: the machine is on fire"
    assert rows(lake, letter) == [(unit, SECOND, 1, "raised", fire, "open")]
    assert "broken" in rows(lake, "SELECT traceback FROM errors")[0][0]
    draw(source, 9)
    only = do(an_order(lake, source, only="freeze"), THIRD)  # and killed
    assert (only.units, [one.name for one in only.passes]) == (1, ["freeze"])
    later = do(an_order(lake, source), FOURTH)
    assert (later.status, later.exit_code, later.units) == ("nothing new", 0, 0)
    assert rows(lake, letter) == [(unit, SECOND, 1, "raised", fire, "resolved")]
    assert rows(lake, "SELECT batch, count(*) FROM inputs WHERE status = 'ok' GROUP BY 1 ORDER BY 1") == [
        (FIRST, 4), (SECOND, 1), (THIRD, 1),
    ]  # fmt: skip
    assert later.outcomes["kept"] == 6
    assert rows(lake, "SELECT status FROM nights ORDER BY night") == [("done",), ("done",), ("scanned",), ("done",)]


def test_bytes_that_change_between_scan_and_export_leave_the_night_partial(after: tuple[Path, Path]) -> None:
    lake, source = after
    draw(source, 8)
    recipe = chosen(RECIPE.partition("[[stage]]\nnumber = 2")[0])
    for name in ("freeze", "scan"):
        do(an_order(lake, source, recipe, only=name), SECOND)
    (source / "08.jpg").write_bytes(encoded(photo(72, 64, seed=98)))
    done = do(an_order(lake, source, recipe), SECOND)
    assert (done.exit_code, done.left.unstored) == (PARTIAL, 1)


def test_a_shard_that_fails_leaves_the_night_partial_and_the_next_one_stores_it(
    after: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, source = after
    draw(source, 8)

    def broken(self: ImageReader, *place: Any) -> bytes:
        raise RuntimeError("the machine is on fire")

    for name in ("freeze", "scan", "near", "decide", "inspect", "decide-again"):
        do(an_order(lake, source, only=name), SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(ImageReader, "read", broken)
        done = do(an_order(lake, source, only="export"), SECOND)
        assert (counts(done, "export")["units_failed"], counts(done, "export")["stored"]) == (1, 0)
        closing = do(an_order(lake, source, only="views"), SECOND)
    assert (closing.status, closing.exit_code, closing.left.unstored) == ("partial", PARTIAL, 1)
    (unit,) = closing.left.failed
    assert f"left over: 1 units failed (table errors; glyphmill replay --unit {unit})" in str(closing)
    later = do(an_order(lake, source), THIRD)
    assert (later.exit_code, counts(later, "export")["stored"]) == (0, 1)
    assert rows(lake, "SELECT command, unit, status FROM errors") == [("export", unit, "resolved")]


def test_wrong_use_and_a_busy_lake(after: tuple[Path, Path], tmp_path: Path) -> None:
    lake, source = after
    with pytest.raises(UsageError, match="no pass nap: there are freeze, scan"):
        an_order(lake, source, only="nap")
    with pytest.raises(UsageError, match="'20261101' is no date"):
        dates("20261101", "20261101")
    with pytest.raises(UsageError, match="runs backwards"):
        dates(SECOND, FIRST)
    with pytest.raises(UsageError, match="no such file or folder"):
        do(an_order(tmp_path / "new", tmp_path / "nowhere"), FIRST)
    assert not (tmp_path / "new").exists()
    recipe, told = tmp_path / "night.toml", tmp_path / "busy.json"
    recipe.write_text(RECIPE)
    command = ["nightly", "--lake", lake, "--source", source, "--source-name", NAME, "--date", FIRST, "--quiet"]
    with Lake.open(lake).lock("somebody else"):
        done = CliRunner().invoke(
            glyphmill.app, [str(c) for c in (*command, "--recipe", recipe, "--wait", "0s", "--json", told)]
        )
    assert isinstance(done.exception, LakeBusy)
    summary = json.loads(told.read_text())
    assert (summary["status"], summary["exit_code"], summary["passes"][0]["name"]) == ("busy", 4, "freeze")
    assert "somebody else" in summary["error"]


def test_names_of_sources(tmp_path: Path) -> None:
    assert source_name("/data/shop/{date}") == "shop"
    assert source_name("s3://bucket/day={date}/images") == "images"
    assert Where(f"{tmp_path}/{{date}}", NAME).sources(FIRST, None) == []


def _digests(lake: Path) -> dict[str, str]:
    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        return {name: one.digest for name, one in digests(con).items()}
