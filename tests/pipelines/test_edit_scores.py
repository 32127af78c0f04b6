"""Edit pairs scored by a model trained on coloured shapes: the instruction followed scores above one that was not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from empty_lakes import empty_lake
from tiny_models import ALL, HELD_OUT, Combination, drawn, trained_open_clip, write_models

from annotate.scoring.encoders import Texts
from pipelines.decide import decide
from pipelines.edits import edits
from pipelines.engines.local import LocalEngine
from pipelines.inspect import InspectSummary, inspect
from pipelines.near.pairs import near
from pipelines.recipe import Recipe, installed_tables, loads
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources.edits import open_edits

HERE = LocalEngine(workers=0)
TARGETS = [c for c in HELD_OUT if c.shape != "triangle"][:6]


def recipe(*rules: str) -> Recipe:
    listed = ", ".join(f'{{ name = "rule {i}", when = "{rule}" }}' for i, rule in enumerate(rules))
    text = f'name = "r"\nstore_from = 1\nscales = [256]\n[[stage]]\nnumber = 2\nname = "edits"\nrules = [{listed}]\n'
    return loads(text, "test.toml", installed_tables())


RECIPE = ("NOT in_edit_pair OR edit_alignment_clip >= 0.3", "NOT in_edit_pair OR edit_similarity_clip >= -1")


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    architecture, weights = trained_open_clip()
    scorer = {"library": "open_clip", "model": architecture, "weights": weights}
    path = write_models(tmp_path_factory.mktemp("models") / "models.toml", {"alignment.clip": scorer})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHMILL_MODELS", str(path))
        yield


def deliver(folder: Path, told: list[tuple[Combination, Combination, str]]) -> Path:
    """A delivery of pairs: what the reference shows, what the target shows, and the instruction."""
    folder.mkdir()
    rows = []
    for n, (before, after, instruction) in enumerate(told):
        for name, what in (("before", before), ("after", after)):
            drawn(what, random.Random(f"{n}{name}{folder.name}"), side=200 + n).save(folder / f"{name}{n}.png")
        rows.append({"reference": f"before{n}.png", "target": f"after{n}.png", "instruction": instruction})
    (folder / "edits.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return folder


def other(what: Combination, n: int) -> Combination:
    """A picture that differs in colour, shape and ground."""
    apart = [c for c in ALL if c.colour != what.colour and c.shape != what.shape and c.ground != what.ground]
    return apart[n * 7 % len(apart)]


def take_in(lake: Lake, folder: Path) -> InspectSummary:
    edits(lake, open_edits(str(folder)), engine=HERE, batch=folder.name)
    near(lake, engine=HERE)
    decide(lake, recipe(*RECIPE))
    return inspect(lake, recipe(*RECIPE), engine=HERE)


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with lake.connect(read_only=True) as con:
        return con.execute(sql).fetchall()


SCORES = """SELECT row, alignment, similarity FROM edits JOIN edit_scores USING (pair_id)
    WHERE scorer = 'clip' AND batch = '{}' ORDER BY row"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, InspectSummary]:
    """Six pairs whose instruction says what the target shows, the same six told wrongly, and one without target."""
    folder = tmp_path_factory.mktemp("scored")
    pairs = [(other(what, n), what, what.caption) for n, what in enumerate(TARGETS)]
    wrong = [(before, after, other(after, n + 3).caption) for n, (before, after, _) in enumerate(pairs)]
    lake = empty_lake(folder / "lake")
    delivered = deliver(folder / "first", pairs + wrong)
    with (delivered / "edits.jsonl").open("a") as table:
        table.write(json.dumps({"reference": "before0.png", "target": "gone.png", "instruction": "x"}) + "\n")
    return lake, take_in(lake, delivered)


def test_the_instruction_that_was_followed_scores_higher(scored: tuple[Lake, InspectSummary]) -> None:
    lake, done = scored
    found = rows(lake, SCORES.format("first"))
    assert done.edit_pairs == len(found) == 12  # the pair without a target has no score
    assert "12 edit pairs scored" in str(done)
    right, wrong = [a for _, a, _ in found[:6]], [a for _, a, _ in found[6:]]
    assert min(right) > max(wrong)  # type: ignore[type-var]
    assert all(-1 <= s < 1 for _, _, s in found)  # type: ignore[operator]


def test_a_rule_on_the_scores_decides(scored: tuple[Lake, InspectSummary]) -> None:
    lake, _ = scored
    done = decide(lake, recipe(*RECIPE))
    followed = [a for _, a, _ in rows(lake, SCORES.format("first")) if a >= 0.3]  # type: ignore[operator]
    assert 6 <= len(followed) < 12
    kept = 2 * len(followed)  # reference and target
    assert (done.counts["kept"], done.counts["dropped"], done.counts["pending"]) == (kept, 24 - kept, 0)
    (seen,) = rows(lake, "SELECT count(edit_alignment_clip) FROM all_signals")[0]
    assert seen == 24


def test_a_later_pair_is_scored_alone_and_the_same_again_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = empty_lake(tmp_path / "lake")
    one, two = TARGETS[:2]
    take_in(lake, deliver(tmp_path / "early", [(other(one, 1), one, one.caption)]))
    early = rows(lake, SCORES.format("early"))
    asked: list[str] = []

    from annotate.scoring.alignment import Scorer

    texts = Scorer.texts

    def counted(self: Scorer, told: list[str]) -> Texts:
        asked.extend(told)
        return texts(self, told)

    monkeypatch.setattr(Scorer, "texts", counted)
    later = take_in(lake, deliver(tmp_path / "late", [(other(two, 2), two, two.caption)]))
    assert (later.edit_pairs, asked) == (1, [two.caption])
    assert rows(lake, SCORES.format("early")) == early
    before = rows(lake, "FROM edit_scores ORDER BY ALL")
    again = take_in(lake, tmp_path / "late")
    assert (again.edit_pairs, again.images, len(asked)) == (0, 0, 1)
    assert "nothing to inspect" in str(again)
    assert rows(lake, "FROM edit_scores ORDER BY ALL") == before


def test_an_unscored_pair_is_pending(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path / "lake")
    one = TARGETS[0]
    edits(lake, open_edits(str(deliver(tmp_path / "in", [(other(one, 1), one, one.caption)]))), engine=HERE)
    done = decide(lake, recipe(*RECIPE))
    assert done.counts["pending"] == 2
    missing = rows(lake, "SELECT DISTINCT missing_signals FROM decisions")
    assert missing == [(["edit_alignment_clip", "edit_similarity_clip"],)]
    assert inspect(lake, recipe(*RECIPE), engine=HERE, pending=True).edit_pairs == 1
    assert decide(lake, recipe(*RECIPE)).counts["pending"] == 0


def test_without_the_scorer_the_recipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.toml").touch()
    monkeypatch.setenv("GLYPHMILL_MODELS", str(tmp_path / "models.toml"))
    lake = empty_lake(tmp_path / "lake")
    with pytest.raises(UsageError, match=r"rule 'rule 0': extractor embedding_clip cannot run here: put a section"):
        inspect(lake, recipe(*RECIPE), engine=HERE)
