"""Alignment, nsfw and aesthetic through the inspect pass: pictures are read once, captions cost no byte, an absent
model refuses the recipe by name, and what is stored can be queried."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import ALL, HELD_OUT, drawn, random_classifier, trained_open_clip, write_models

from annotate.scoring import alignment
from annotate.scoring.classifiers import Classifier, HeadOf, head
from annotate.scoring.forward import Floats
from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.extractors import discover
from pipelines.extractors.base import CaptionText, Described
from pipelines.inspect import InspectSummary, chosen_extractors, inspect
from pipelines.recipe import Recipe, installed_tables, loads
from pipelines.scan import scan
from pipelines.signals import known_signals
from warehouse.digest import digests
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.snapshot import snapshot
from warehouse.sources import open_source

HERE = LocalEngine(workers=0)
SHOWN = HELD_OUT[:4]
WRONG = ALL[ALL.index(SHOWN[0]) - 40].caption


RULES = (
    *("alignment_clip >= 0.2", "alignment_other >= -1", "alignment_clip_mean >= -1", "alignment_clip_raw >= -1"),
    *("nsfw_sexual < 2", "nsfw_violence < 2", "aesthetic > -99"),
)


def recipe(*rules: str) -> Recipe:
    listed = ", ".join(f'{{ name = "rule {i}", when = "{rule}" }}' for i, rule in enumerate(rules))
    text = f'name = "r"\nstore_from = 1\nscales = [256]\n[[stage]]\nnumber = 3\nname = "fit"\nrules = [{listed}]\n'
    return loads(text, "test.toml", installed_tables())


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with lake.connect(read_only=True) as con:
        return con.execute(sql).fetchall()


@dataclass
class Measured:
    """A lake that was inspected for everything, of pictures that are still there, and what the inspection said."""

    lake: Lake
    pictures: Path
    recipe: Recipe
    summary: InspectSummary
    classified: list[int]


@pytest.fixture(scope="module")
def models_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of model, all tiny; one classifier for both kinds of content."""
    import torch

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(32, 1).state_dict(), folder / "head.pt")
    architecture, weights = trained_open_clip()
    scorer = {"library": "open_clip", "model": architecture, "weights": weights}
    classifier = {"model": random_classifier(("safe", "porn", "gore"))}
    sections = {
        "alignment.clip": scorer,
        "alignment.other": {**scorer, "batch": 3},
        "nsfw.sexual": {**classifier, "labels": ["porn"]},
        "nsfw.violence": {**classifier, "labels": ["gore"]},
        "aesthetic": {"scorer": "clip", "head": folder / "head.pt"},
    }
    return write_models(folder / "models.toml", sections)


@pytest.fixture
def models(models_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLYPHMILL_MODELS", str(models_file))
    return models_file


@pytest.fixture(scope="module")
def inspected(models_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("inspected")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number, what in enumerate(SHOWN):
        drawn(what, random.Random(number), side=200 + number).save(pictures / f"{number}.png")
        (pictures / f"{number}.txt").write_text(what.caption)
    classified: list[int] = []
    run = Classifier.probabilities

    def counted(self: Classifier, images: Sequence[Image.Image]) -> Floats:
        classified.append(len(images))
        return run(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHMILL_MODELS", str(models_file))
        patch.setattr(Classifier, "probabilities", counted)
        chosen = recipe(*RULES)
        lake = Lake.open_or_create(folder / "lake")
        scan(lake, open_source(str(pictures)), engine=HERE)
        decide(lake, chosen)
        return Measured(lake, pictures, chosen, inspect(lake, chosen, engine=HERE), classified)


@pytest.fixture
def measured(inspected: Measured, models: Path, tmp_path: Path) -> Measured:
    """A copy to change."""
    for name in ("lake", "pictures"):
        shutil.copytree(inspected.lake.root.parent / name, tmp_path / name)
    return replace(inspected, lake=Lake.open(tmp_path / "lake"), pictures=tmp_path / "pictures")


def test_every_extractor_ran_once_and_stored_what_its_model_says(inspected: Measured, models: Path) -> None:
    lake = inspected.lake
    assert (inspected.summary.images, inspected.summary.errors) == (4, {})
    assert set(inspected.summary.extractors) == {
        *("embedding_clip", "embedding_other", "alignment_clip", "alignment_other"),
        *("nsfw_sexual", "nsfw_violence", "aesthetic"),
    }
    assert inspected.classified == [4]  # one classifier answers both questions, and ran once for each picture
    found = rows(
        lake,
        "SELECT uri, score, text, truncated, nsfw_sexual, nsfw_violence, aesthetic FROM inputs JOIN captions "
        "USING (image_id) JOIN signals_alignment_clip USING (image_id, caption_id) JOIN signals_nsfw_sexual "
        "USING (image_id) JOIN signals_nsfw_violence USING (image_id) JOIN signals_aesthetic USING (image_id)",
    )
    assert len(found) == 4
    scorer, told = alignment.scorer("clip"), HeadOf(scorer="clip", head=str(models.parent / "head.pt"))
    for uri, score, text, truncated, sexual, violence, aesthetic in found:
        with Image.open(str(uri)) as opened:
            (picture,) = scorer.images([opened.convert("RGB")])
        assert score == pytest.approx(alignment.cosine(picture, scorer.texts([str(text)]).embeddings[0]), abs=1e-6)
        assert aesthetic == pytest.approx(head("aesthetic", told)(picture), abs=1e-4)
        assert truncated is False
        assert 0 < sexual + violence < 1  # type: ignore[operator]


def test_a_later_caption_is_scored_alone_when_the_bytes_are_gone(measured: Measured, tmp_path: Path) -> None:
    lake, chosen = measured.lake, measured.recipe
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(measured.pictures / "0.png", again)
    (again / "0.txt").write_text(WRONG)
    scan(lake, open_source(str(again)), engine=HERE, batch="later")
    for folder in (again, measured.pictures, measured.lake.pool):
        shutil.rmtree(folder)
    decide(lake, chosen)
    missing = ["alignment_clip", "alignment_clip_mean", "alignment_clip_raw", "alignment_other"]
    assert rows(lake, "SELECT missing_signals FROM decisions WHERE outcome = 'pending'") == [(missing,)]
    later = inspect(lake, chosen, engine=HERE, pending=True)
    assert (later.images, later.errors, later.unread) == (1, {}, [])
    scores = rows(
        lake,
        "SELECT text FROM signals_alignment_clip JOIN captions USING (image_id, caption_id) "
        f"WHERE text IN ('{WRONG}', '{SHOWN[0].caption}') ORDER BY score DESC",
    )
    assert scores == [(SHOWN[0].caption,), (WRONG,)]


def test_embeddings_are_queried_as_numbers_and_stay_out_of_digests(measured: Measured, tmp_path: Path) -> None:
    lake = measured.lake
    for stored, numbers in rows(
        lake, "SELECT embedding_clip, lake.unpack_float16(embedding_clip) FROM signals_embedding_clip"
    ):
        assert isinstance(stored, bytes)
        assert np.array_equal(np.array(numbers, np.float32), alignment.unpack(stored))
        assert np.linalg.norm(numbers) == pytest.approx(1, abs=1e-3)  # type: ignore[arg-type]
    both = "SELECT scorer, count(*), count(score) FROM signals_alignment GROUP BY ALL ORDER BY ALL"
    assert rows(lake, both) == [("clip", 4, 4), ("other", 4, 4)]
    snapshot(lake, tmp_path / "plain.duckdb")
    import duckdb

    with duckdb.connect(str(tmp_path / "plain.duckdb"), read_only=True) as plain:
        assert plain.execute(both).fetchall() == [("clip", 4, 4), ("other", 4, 4)]
        (numbers,) = plain.execute("SELECT unpack_float16(embedding_clip) FROM signals_embedding_clip").fetchall()[0]
        assert len(numbers) == 32
    with lake.connect() as con:
        before = digests(con)
        con.execute("UPDATE lake.signals_embedding_clip SET embedding_clip = '\\x00'::BLOB")
        assert digests(con) == before
        con.execute("UPDATE lake.signals_alignment_clip SET score = 0")
        assert digests(con) != before


def test_scores_do_not_depend_on_batches_units_or_workers(models: Path) -> None:
    (extractor,) = (e for e in discover() if e.name == "alignment_clip")
    scorer = alignment.scorer("clip")
    rng = random.Random(3)
    embeddings = scorer.images([drawn(what, rng) for what in ALL[:9]])
    samples = [
        Described(
            f"{i:032x}",
            captions=tuple(CaptionText(f"{i}{j}", "raw", ALL[(i * 7 + j) % 90].caption, "en") for j in range(i % 4)),
            rows={"embedding_clip": {"embedding_clip": alignment.pack(embedding)}},
        )
        for i, embedding in enumerate(embeddings)
    ]
    together = extractor.fn(samples)  # type: ignore[arg-type]
    assert [len(found) for found in together] == [i % 4 for i in range(9)]
    assert list(together) == [extractor.fn([sample])[0] for sample in samples]  # type: ignore[list-item]
    assert together[3][0] == {"caption_id": "30", "score": pytest.approx(0, abs=1), "truncated": False}  # type: ignore[index]
    with pytest.raises(ValueError, match="the image has no embedding_clip"):
        extractor.fn([Described("f" * 32, captions=samples[1].captions)])  # type: ignore[list-item]


def test_a_recipe_is_refused_by_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.toml").touch()
    monkeypatch.setenv("GLYPHMILL_MODELS", str(tmp_path / "models.toml"))
    for signal, section in (
        ("alignment_clip", "alignment.clip"),
        ("alignment_siglip_mean", "alignment.siglip"),
        ("nsfw_sexual", "nsfw.sexual"),
        ("nsfw_violence", "nsfw.violence"),
        ("aesthetic", "aesthetic"),
    ):
        says = rf"rule 'rule 0': extractor \w+ cannot run here: put a section \[{section}\]"
        with pytest.raises(UsageError, match=says):
            chosen_extractors(recipe(f"{signal} >= 0.2"))
    write_models(tmp_path / "models.toml", {"aesthetic": {"scorer": "clip", "head": tmp_path / "head.pt"}})
    with pytest.raises(UsageError, match=r"put a section \[alignment.clip\]"):
        chosen_extractors(recipe("aesthetic > 5"))


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"alignment.clip": {"library": "torch"}}, r"\[alignment.clip\] needs library"),
        ({"nsfw.sexual": {"model": "/x"}}, r"\[nsfw.sexual\] labels: field required"),
        ({"nsfw.sexual": {"model": "/x", "labels": []}}, r"\[nsfw.sexual\] labels: tuple should have at least 1 item"),
        ({"aesthetic": {"scorer": "clip"}}, r"\[aesthetic\] head: field required"),
    ],
)
def test_a_wrong_section_is_refused_before_any_work(
    sections: dict[str, dict[str, object]], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHMILL_MODELS", str(write_models(tmp_path / "models.toml", sections)))
    with pytest.raises(UsageError, match=says):
        discover()


def test_scorers_bring_their_signals() -> None:
    assert {"alignment_clip", "alignment_clip_mean", "alignment_clip_raw", "embedding_siglip", "aesthetic"} <= set(
        known_signals(installed_tables())
    )
