"""The starter recipe, whole, on a small messy corpus: a drop at every stage, and no second look for a new threshold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from acceptance_tools import Run
from demo_pictures import take

from pipelines import decode
from pipelines.balancing.balance import balance
from pipelines.decide import decide
from pipelines.extractors import in_inspect
from pipelines.recipe import installed_tables, load, loads
from warehouse.lake import Lake

#: So many files of each kind of the demo corpus.
TAKEN = {
    "photographs": 16, "pages": 4, "watermarked": 2, "with_code": 3, "framed": 1, "pixelated": 1, "tiny_print": 1,
    "blurred": 6, "tiny": 2, "copies": 3, "repeats": 2, "broken": 3,
}  # fmt: skip

Rows = Callable[..., list[dict[str, object]]]


@pytest.fixture(scope="module")
def lake(demo_corpus: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> Path:
    folder = tmp_path_factory.mktemp("seven")
    take(demo_corpus, TAKEN, folder / "corpus")
    done = glyphmill("curate", folder / "corpus", "--lake", folder / "lake", "--recipe", "starter", "--quiet")
    assert "7 balanced" in done.stdout
    return folder / "lake"


def test_every_stage_drops_and_the_sum_holds(lake: Path, rows: Rows) -> None:
    funnel = rows("SELECT * FROM funnel", lake)
    stages = {row["stage"]: row for row in funnel if row["stage"] is not None}
    assert sorted(stages) == [1, 2, 3, 4, 5, 6, 7]
    assert all(int(str(row["failed"])) > 0 for row in stages.values()), stages
    assert all(row["pending"] == 0 for row in funnel)
    for above, below in pairwise(funnel):
        assert above["passed"] == below["entered"]
    assert sum(int(str(row["failed"])) for row in funnel) + int(str(funnel[-1]["passed"])) == funnel[0]["entered"]


def test_what_was_made_wrong_fails_the_rule_for_it(lake: Path, rows: Rows) -> None:
    failed = rows(
        "SELECT string_split(uri, '/')[-2] AS kind, list(DISTINCT rule) AS rules FROM ("
        "SELECT uri, unnest(failed_rules) AS rule FROM samples) GROUP BY kind",
        lake,
    )
    by_kind = {str(row["kind"]): set(row["rules"]) for row in failed}  # type: ignore[call-overload]
    for kind, rule in {
        "watermarked": "no watermark",
        "with_code": "no codes",
        "framed": "no border",
        "pixelated": "no mosaic",
        "tiny_print": "readable text",
        "blurred": "clear",
        "tiny": "large enough",
    }.items():
        assert rule in by_kind[kind], (kind, by_kind[kind])
    assert "no watermark" not in by_kind.get("pages", set())


def test_a_new_threshold_at_any_stage_decodes_nothing_and_asks_no_model(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glyphmill: Run, rows: Rows
) -> None:
    shutil.copytree(lake, tmp_path / "lake")
    copy = Lake.open(tmp_path / "lake")

    def refuse(*arguments: object) -> object:
        raise AssertionError("a decision looked at a picture")

    monkeypatch.setattr(decode, "decode", refuse)
    monkeypatch.setattr(decode, "decode_full", refuse)
    for extractor in in_inspect():
        monkeypatch.setitem(extractor.__dict__, "fn", refuse)
    text = load("starter").toml
    changes = {
        "min_side >= 256": "min_side >= 90",
        "sharpness >= 30": "sharpness >= 60",
        "valid_captions >= 1": "valid_captions >= 0",
        "median_char_px >= 5": "median_char_px >= 9",
        "code_count = 0": "code_count <= 5",
        "keep = 0.5": "keep = 0.6",
        "best_of_leaf = 0.5": "best_of_leaf = 0.9",
    }
    for old, new in changes.items():
        assert old in text
        changed = text.replace(old, new).replace('name = "starter"', 'name = "changed"')
        recipe = loads(changed, "changed.toml", installed_tables())
        decide(copy, recipe)
        balance(copy, recipe)
    # Out of focus, and large enough for every scale: never inspected, as stage 2 had dropped them.
    file = tmp_path / "loose.toml"
    file.write_text(
        text.replace("sharpness >= 30", "sharpness >= 0").replace("<= 30 * sharpness", "<= 1e6 * sharpness")
    )
    glyphmill("decide", "--lake", copy.root, "--recipe", file, "--quiet")
    waiting = rows("SELECT count(*) AS n FROM decisions WHERE outcome = 'pending' AND recipe = "
                   "(SELECT recipe FROM current_recipe)", copy.root)  # fmt: skip
    assert int(str(waiting[0]["n"])) > 0
    said = glyphmill("inspect", "--lake", copy.root, "--recipe", file, "--pending", "--quiet").stdout
    assert " images inspected" in said
    glyphmill("decide", "--lake", copy.root, "--recipe", file, "--quiet")
    assert rows("SELECT * FROM pending WHERE missing_signal NOT IN ('category', 'ai_generated')", copy.root) == []
