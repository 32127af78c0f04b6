"""Dead letters: a unit that cannot be finished is a row with its traceback, and can be run alone under a debugger."""

from __future__ import annotations

import inspect as sources
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from nights import HERE, RECIPE, chosen, draw, rows, write_extractors

from pipelines import export_unit, inspect_unit, scan_unit
from pipelines.categories.assign import Assigner, Category, ImageFacts
from pipelines.categories.categorize import categorize
from pipelines.decide import decide
from pipelines.export import export
from pipelines.inspect import inspect, plan
from pipelines.nights.replay import replay
from pipelines.scan import scan
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources import ImageReader, open_source

REPO = Path(__file__).resolve().parents[2]
LETTERS = "SELECT command, batch, attempts, failure, error, status FROM errors"
FIRE = "RuntimeError: the machine is on fire"


def broken(*looks: object, **settings: object) -> AbstractContextManager[Callable[[Sequence[Any]], Any]]:
    """An examiner that fails on every batch."""

    def fail(tasks: Sequence[Any]) -> Any:
        raise RuntimeError("the machine is on fire")

    return nullcontext(fail)


def test_a_unit_of_scan_is_replayed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake.create(tmp_path / "lake")
    source = open_source(str(draw(tmp_path / "src", 1, 2, 3)))
    with monkeypatch.context() as patch:
        patch.setattr(scan_unit, "examiner", broken)
        scan(lake, source, engine=HERE, batch="b1")
        scan(lake, source, engine=HERE, batch="b1")
        assert rows(lake.root, LETTERS) == [("scan", "b1", 2, "raised", FIRE, "open")]
        (unit,) = rows(lake.root, "SELECT unit FROM errors")[0]
        with pytest.raises(RuntimeError, match="on fire"):  # where it is raised, for a debugger to stop at
            replay(lake, unit)
    assert rows(lake.root, LETTERS) == [("scan", "b1", 2, "raised", FIRE, "open")]
    assert _stops_in_the_debugger(lake.root, unit)
    letter, done = replay(lake, unit[:8])
    assert (letter.unit, letter.attempts) == (unit, 2)
    assert str(done).startswith("3 samples scanned, 3 readable")
    assert rows(lake.root, "SELECT status, count(*) FROM inputs GROUP BY 1") == [("ok", 3)]
    assert rows(lake.root, LETTERS) == [("scan", "b1", 2, "raised", FIRE, "resolved")]
    with pytest.raises(UsageError, match="no unit nowhere has failed"):
        replay(lake, "nowhere")


def _stops_in_the_debugger(lake: Path, unit: str) -> bool:
    """Whether pdb, on the command itself, stops within the unit's own code."""
    code, first = sources.getsourcelines(scan_unit.work)
    line = first + next(n for n, text in enumerate(code) if "attempt_path(" in text)
    stop = f"b {scan_unit.__file__}:{line}"
    command = [sys.executable, "-m", "pdb", "-c", stop, "-c", "c", "-c", "p 'unit', job.unit.key", "-c", "q"]
    done = subprocess.run(
        [*command, "-m", "glyphmill", "replay", "--unit", unit, "--lake", str(lake)],
        cwd=REPO, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return f"('unit', '{unit}')" in done.stdout


def test_a_unit_of_inspect_that_keeps_failing_is_left_alone_until_it_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(write_extractors(tmp_path / "mine")))
    lake = Lake.create(tmp_path / "lake")
    scan(lake, open_source(str(draw(tmp_path / "src", 1, 2))), engine=HERE)
    decide(lake, chosen())
    with monkeypatch.context() as patch:
        patch.setattr(inspect_unit, "examiner", broken)
        for attempt in (1, 2, 3):
            done = inspect(lake, chosen(), engine=HERE)
            assert (len(done.failed), done.set_aside) == (1, 0)
            assert rows(lake.root, LETTERS) == [("inspect", "", attempt, "raised", FIRE, "open")]
    aside = inspect(lake, chosen(), engine=HERE)
    assert (aside.images, aside.set_aside) == (0, 2)
    assert "2 left alone after 3 failed runs" in str(aside)
    assert plan(lake, chosen()) == "inspect: 0 images lack one of shade"
    (unit, images) = rows(lake.root, "SELECT unit, images FROM errors")[0]
    assert sorted(images) == [i for (i,) in rows(lake.root, "SELECT image_id FROM inputs ORDER BY 1")]
    replay(lake, unit)
    assert rows(lake.root, "SELECT count(*) FROM signals_shade WHERE status = 'ok'") == [(2,)]
    assert rows(lake.root, LETTERS) == [("inspect", "", 3, "raised", FIRE, "resolved")]
    assert not list((lake.staging / "attempts").iterdir())


EARLY = RECIPE.partition("[[stage]]\nnumber = 2")[0]


def test_an_image_that_breaks_its_shard_is_found_and_all_else_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.create(tmp_path / "lake")
    scan(lake, open_source(str(draw(tmp_path / "src", *range(5)))), engine=HERE)
    decide(lake, chosen(EARLY))
    ((bad,),) = rows(lake.root, "SELECT image_id FROM inputs WHERE uri LIKE '%02.jpg'")

    class Burning(ImageReader):
        def read(self, uri: str, offset: int | None, length: int | None, row: int) -> bytes:
            if uri.endswith("02.jpg"):
                raise RuntimeError("the machine is on fire")
            return super().read(uri, offset, length, row)

    with monkeypatch.context() as patch:
        patch.setattr(export_unit, "ImageReader", Burning)
        for attempt in (1, 2, 3):
            done = export(lake, chosen(EARLY), engine=HERE)
            assert (done.stored, done.placed) == (4 if attempt == 1 else 0, 4)
            assert [letter.images for letter in done.failed] == [(bad,)]
            assert "1 units, 1 images, could not be finished" in done.troubles[0]
            assert rows(lake.root, LETTERS) == [("export", "", attempt, "raised", FIRE, "open")]
        aside = export(lake, chosen(EARLY), engine=HERE)
        assert (aside.failed, aside.set_aside) == ([], 1)
        assert aside.troubles == ["1 images left alone after 3 failed runs: table errors, glyphmill replay"]
        ((unit,),) = rows(lake.root, "SELECT unit FROM errors")
        with pytest.raises(RuntimeError, match="on fire"):
            replay(lake, unit)
        scan(lake, open_source(str(draw(tmp_path / "more", 30))), engine=HERE, batch="b2")
        decide(lake, chosen(EARLY))
        assert export(lake, chosen(EARLY), engine=HERE).stored == 1  # what is new is not held back
    told = str(replay(lake, unit[:8])[1])
    assert told == "1 images newly stored"
    assert rows(lake.root, LETTERS) == [("export", "", 3, "raised", FIRE, "resolved")]
    assert export(lake, chosen(EARLY), engine=HERE).placed == 6
    assert not list((lake.staging / "export").iterdir())


def test_an_image_that_breaks_categorize_is_found_and_all_else_is_categorized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.create(tmp_path / "lake")
    scan(lake, open_source(str(draw(tmp_path / "src", *range(5)))), engine=HERE)
    assign = Assigner.assign

    def burning(self: Assigner, facts: ImageFacts) -> Category:
        if "picture number 3" in facts.captions:
            raise RuntimeError("the machine is on fire")
        return assign(self, facts)

    with monkeypatch.context() as patch:
        patch.setattr(Assigner, "assign", burning)
        for attempt in (1, 2, 3):
            done = categorize(lake, engine=HERE)
            assert (done.images, len(done.failed)) == (4 if attempt == 1 else 0, 1)
            assert rows(lake.root, LETTERS) == [("categorize", "", attempt, "raised", FIRE, "open")]
        aside = categorize(lake, engine=HERE)
        assert (aside.images, aside.failed, aside.set_aside) == (0, (), 1)
        assert "1 left alone after 3 failed runs" in str(aside)
        ((unit, images),) = rows(lake.root, "SELECT unit, images FROM errors")
        assert [(i,) for i in images] == rows(lake.root, "SELECT image_id FROM inputs WHERE uri LIKE '%03.jpg'")
        assert categorize(lake, engine=HERE, language="zh").failed == ()  # no scorer: the same categories
        with pytest.raises(RuntimeError, match="on fire"):
            replay(lake, unit)
    assert str(replay(lake, unit)[1]).startswith("1 images categorized by qwen-image")
    assert rows(lake.root, LETTERS) == [("categorize", "", 3, "raised", FIRE, "resolved")]
    assert rows(lake.root, "SELECT count(*) FROM signals_category") == [(5,)]
