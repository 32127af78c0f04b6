"""A ShardDataset in torch's DataLoader: the planned order with any workers, exact resume with any other number."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from torch.utils.data import DataLoader

from warehouse.dataset import Sample, ShardDataset
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.loader import ShardLoader, StepDataset
from warehouse.schema import SHARD_INDEX
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

SQL = "SELECT image_id, CASE WHEN image_id < '8' THEN 'a' ELSE 'b' END AS bucket FROM shard_index"
STEPS = 37


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("loader") / "lake"
    made, draw = Lake.create(root), random.Random(1)
    group = [ShardSample(image_id_of(d), d, {"n": 1}) for d in (draw.randbytes(200) for _ in range(300))]
    with made.connect() as con:
        for part in (group[:120], group[120:]):
            rows = write_shard(made.pool, "bin", part, key=shard_key(s.image_id for s in part)).rows
            con.register("rows", SHARD_INDEX.from_rows(rows))
            con.execute("INSERT INTO shard_index SELECT * FROM rows")
    return root


def dataset(lake: Path, **options: Any) -> ShardDataset:
    cache = lake.parent / "cache"
    if not cache.exists():
        ShardDataset(lake, SQL, batch_size=8, cache_dir=cache)
    (folder,) = cache.iterdir()
    return ShardDataset(lake, selection=folder, batch_size=8, seed=5, **options)


def ids(batches: Iterator[Any] | ShardLoader) -> list[tuple[int, int, list[str]]]:
    return [(b.epoch, b.step, [s.image_id for s in b.samples]) for b in batches]


def two_epochs(lake: Path) -> list[tuple[int, int, list[str]]]:
    plain = dataset(lake)
    return [*ids(plain.batches()), *ids(plain.batches())]


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_workers_give_the_planned_order(lake: Path, workers: int) -> None:
    loader = ShardLoader(dataset(lake), num_workers=workers)
    assert len(loader) == STEPS
    assert [*ids(loader), *ids(loader)] == two_epochs(lake)


@pytest.mark.parametrize(("before", "after", "worlds"), [(0, 0, 1), (2, 2, 1), (2, 3, 2), (3, 0, 4), (0, 2, 8)])
def test_resume_with_other_workers_and_ranks(lake: Path, before: int, after: int, worlds: int) -> None:
    expected = two_epochs(lake)
    loader, got = ShardLoader(dataset(lake), num_workers=before), []
    for batch in loader:
        got += ids(iter([batch]))
        if len(got) == 13:
            break  # workers have read ahead by now
    state = loader.state_dict()
    assert (state["epoch"], state["step"]) == (0, 13)
    ranks = []
    for rank in range(worlds) if worlds < 8 else (0, 7):
        resumed = ShardLoader(dataset(lake, rank=rank, world_size=worlds), num_workers=after if rank == 0 else 0)
        resumed.load_state_dict(state)
        resumed.set_epoch(0)
        ranks.append((rank, [*ids(resumed), *ids(resumed)]))
    share = 8 // worlds
    for rank, rest in ranks:
        assert rest == [(e, s, rows[rank * share :][:share]) for e, s, rows in expected[13:]]
    assert got == expected[:13]


def test_a_plain_dataloader_takes_it_too(lake: Path) -> None:
    steps = StepDataset(dataset(lake))
    assert ids(iter(DataLoader(steps, batch_size=None, num_workers=2))) == two_epochs(lake)[:STEPS]


def test_each_worker_can_keep_its_own_position(lake: Path) -> None:
    """What torchdata's StatefulDataLoader asks of a dataset: state after each batch, and to go on from there."""
    steps = StepDataset(dataset(lake))
    running = iter(steps)
    for _ in range(5):
        next(running)
    again = StepDataset(dataset(lake))
    again.load_state_dict(steps.state_dict())
    assert ids(iter(again)) == two_epochs(lake)[5:STEPS]


def test_transforms_run_in_the_workers_and_spawned_ones_serve(lake: Path) -> None:
    loader = ShardLoader(dataset(lake, transform=length), num_workers=1, multiprocessing_context="spawn")
    assert next(iter(loader)).samples == [200] * 8


def length(sample: Sample) -> int:
    return len(sample.data)


def test_a_damaged_image_is_told_through_a_worker(lake: Path, tmp_path: Path) -> None:
    found = dataset(lake)
    found._reader.pool = tmp_path  # where no shard is
    with pytest.raises(LakeError, match="is not in"):
        list(ShardLoader(found, num_workers=2))
