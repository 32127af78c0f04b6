"""The same input gives the same tables, whatever the workers, the hash seed, the order of listing or the units."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from acceptance_tools import Run

from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.export import export
from pipelines.near.pairs import near
from pipelines.recipe import load
from pipelines.scan import scan
from warehouse.digest import digests
from warehouse.lake import Lake
from warehouse.sources import Source, Unit, open_source


@dataclass(frozen=True)
class Shuffled:
    """A source whose units come in another order and another size."""

    source: Source
    max_samples: int
    seed: int

    @property
    def kind(self) -> str:
        return self.source.kind

    @property
    def root(self) -> str:
        return self.source.root

    def units(self, max_samples: int = 512) -> Iterator[Unit]:
        units = list(self.source.units(self.max_samples))
        random.Random(self.seed).shuffle(units)
        yield from units


@pytest.fixture(scope="module")
def curated(corpus: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> Path:
    lake = tmp_path_factory.mktemp("reference") / "lake"
    glyphmill("curate", corpus, "--lake", lake, "--workers", 1, env={"PYTHONHASHSEED": "0"})
    return lake


@pytest.fixture(scope="module")
def reference(curated: Path, glyphmill: Run) -> str:
    return glyphmill("digest", "--lake", curated).stdout


@pytest.mark.parametrize(("workers", "hash_seed"), [(2, "12345"), (3, "random")])
def test_workers_and_hash_seed(
    workers: int, hash_seed: str, corpus: Path, tmp_path: Path, reference: str, glyphmill: Run
) -> None:
    lake = tmp_path / "lake"
    glyphmill("curate", corpus, "--lake", lake, "--workers", workers, env={"PYTHONHASHSEED": hash_seed})
    assert glyphmill("digest", "--lake", lake).stdout == reference


@pytest.mark.parametrize(("max_samples", "seed"), [(7, 1), (64, 2)])
def test_order_and_size_of_units(
    max_samples: int, seed: int, corpus: Path, tmp_path: Path, reference: str, glyphmill: Run
) -> None:
    lake = Lake.open_or_create(tmp_path / "lake")
    engine, recipe = LocalEngine(workers=2), load("basic")
    scan(lake, Shuffled(open_source(str(corpus)), max_samples, seed), engine=engine)
    near(lake, engine=engine)
    decide(lake, recipe)
    export(lake, recipe, engine=engine)
    assert glyphmill("digest", "--lake", lake.root).stdout == reference


def test_running_again_changes_nothing(curated: Path, corpus: Path, tmp_path: Path, glyphmill: Run) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(curated, lake)
    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        before = con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()
        tables = digests(con)
    files = sorted(p for p in lake.rglob("*.parquet"))
    glyphmill("curate", corpus, "--lake", lake)
    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        assert con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone() == before
        assert digests(con) == tables
    assert sorted(p for p in lake.rglob("*.parquet")) == files
