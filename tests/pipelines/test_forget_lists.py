"""Forget: where an image came from is in no frozen list and no dead letter; the rest of its unit stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kept_lakes import found_in
from nights import RECIPE, an_order, chosen, counts, do, draw, rows

from pipelines import scan_unit
from pipelines.keeping.forget import forget
from pipelines.nights.forgetting import UNTOLD
from pipelines.nights.summary import PARTIAL, NightSummary
from warehouse.clean import clean, pin
from warehouse.lake import Lake

FIRST, SECOND, THIRD = "2026-11-01", "2026-11-02", "2026-11-03"
EARLY = RECIPE.partition("[[stage]]\nnumber = 2")[0]


def test_where_a_forgotten_image_came_from_is_told_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, source = tmp_path / "lake", draw(tmp_path / "src", 0, 1, 2)

    def night(day: str) -> NightSummary:
        return do(an_order(root, source, chosen(EARLY)), day)

    def broken(tasks: Sequence[Any]) -> Any:
        if tasks:
            raise RuntimeError(f"cannot look at {source}/08.jpg")
        return []

    night(FIRST)
    draw(source, 8, 9)
    with monkeypatch.context() as patch:
        patch.setattr(scan_unit, "examiner", lambda look, lost, *, careful, seconds: nullcontext(broken))
        assert night(SECOND).exit_code == PARTIAL
    lake = Lake.open(root)
    with lake.connect(read_only=True) as con:
        pin(lake, "training", lake.snapshot(con))
    needles = [f"{source}/01.".encode(), f"{source}/08.".encode()]
    assert all(found_in(root, needles).values()), "the search finds what is there"
    ids = rows(root, "SELECT image_id FROM inputs WHERE uri LIKE '%/01.jpg' OR uri LIKE '%/08.jpg'")
    assert len(ids) == 2
    forget(lake, "a letter", ids=[image_id for (image_id,) in ids])
    assert not [1 for (content,) in rows(root, "SELECT content FROM night_units") if "/01." in content]
    assert rows(root, "SELECT batch, error, traceback, attempts FROM errors") == [(SECOND, UNTOLD, None, 1)]
    clean(lake, older_than=timedelta(0))
    assert found_in(root, needles) == {needle: [] for needle in needles}

    again = night(FIRST)
    assert (again.exit_code, again.samples) == (0, 3)
    later = night(THIRD)
    assert (later.exit_code, later.units) == (0, 0), "what was taken from a list is not new"
    assert rows(root, "SELECT status FROM errors") == [("resolved",)]
    names = rows(root, "SELECT uri[-6:] FROM inputs WHERE status = 'ok' ORDER BY 1")
    assert names == [("00.jpg",), ("02.jpg",), ("09.jpg",)]
    assert not found_in(root, needles[:1])[needles[0]]


def test_a_unit_of_which_all_is_forgotten_is_no_unit_any_more(tmp_path: Path) -> None:
    root, source = tmp_path / "lake", draw(tmp_path / "src", 0)
    do(an_order(root, source, chosen(EARLY), only="freeze"), FIRST)
    do(an_order(root, source, chosen(EARLY), only="scan"), FIRST)
    forget(Lake.open(root), "a letter", uris=[str(source / "00.jpg")])
    assert rows(root, "SELECT content FROM night_units") == [(None,)]
    for day in (FIRST, SECOND):
        done = do(an_order(root, source, chosen(EARLY), only="freeze"), day)
        assert done.samples == (1 if day == FIRST else 0)
        assert counts(do(an_order(root, source, chosen(EARLY), only="scan"), day), "scan")["units"] == 0
