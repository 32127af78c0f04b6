"""The training dataset: batches of original bytes and captions, of the images that a SQL query selects.

    dataset = ShardDataset("lake", sql="SELECT image_id FROM samples WHERE outcome = 'kept'", batch_size=64)
    for batch in dataset.batches():
        for sample in batch.samples: ...

DuckDB is needed once, to make the selection; after that a few mapped files and the shards are all. torch is not needed:
`warehouse.loader` puts a dataset into a DataLoader.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from warehouse.buckets import ASPECT_BUCKETS
from warehouse.errors import LakeError, UsageError
from warehouse.order import ORDERS, Blocks, BucketRange, EpochPlan, GlobalBatch, Order, key, mix
from warehouse.places import place
from warehouse.reader import Reader, Sample
from warehouse.selection import Selection, default_cache

__all__ = ["Batch", "Blocks", "Sample", "ShardDataset"]

_log = logging.getLogger("glyphmill")
_AHEAD = 8192  # samples planned at once: enough to make numpy's overhead small
_COPY = np.uint64(0x9E3779B97F4A7C15)


class Batch(NamedTuple):
    """This rank's share of one step: `samples` are Samples, or what `transform` made of them."""

    epoch: int
    step: int
    bucket: str
    samples: list[Any]


class ShardDataset:
    """Images of a lake, selected by SQL, with random access and a planned order.

    `len(dataset)` and `dataset[i]` are about images, in the order of the selection; `batches()` is about training.
    """

    def __init__(
        self,
        lake: str | PurePath,
        sql: str | None = None,
        *,
        batch_size: int | Mapping[str, int],
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        order: Order = "shuffle",
        blocks: Blocks = Blocks(),  # noqa: B008 (frozen)
        buckets: Sequence[str] = ASPECT_BUCKETS,
        captions_sql: str | None = None,
        cache_dir: str | Path | None = None,
        selection: str | Path | None = None,
        transform: Callable[[Sample], Any] | None = None,
        max_open_files: int = 256,
    ) -> None:
        """Select images and plan their order.

        `sql`: gives `image_id`, and may give `weight` (expected copies in an epoch, default 1) and `bucket` (any label;
        default the nearest of `buckets` to the image's upright size). `captions_sql`: gives `image_id` and `text`;
        default the captions of the best kind. `selection`: the folder of a selection made before, in place of `sql`; no
        database is opened then. `cache_dir`: where selections are kept, default `~/.cache/glyphmill/selections`.

        `batch_size`: images of one step over all ranks, or of each bucket; each must divide by `world_size`.
        `order`: "shuffle"; "block" (runs of `blocks.length` images stay together, for storage that seeks slowly);
        "sequential" (the order of the selection). `transform` is called on every Sample that `batches` and `[]` give.

        Raises UsageError for what does not fit together, LakeError where the lake cannot be read.
        """
        self.selection = _selection(lake, sql, selection, captions_sql, buckets, cache_dir)
        if order not in ORDERS:
            raise UsageError(f"order '{order}' is not one of {', '.join(ORDERS)}")
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} is not within a world of {world_size}: ranks count from 0")
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.order: Order = order
        self.blocks, self.transform = blocks, transform
        self.epoch, self.step = 0, 0
        self._ranges = tuple(
            BucketRange(b.name, b.start, b.stop, _batch(batch_size, b.name, world_size), b.weighted)
            for b in self.selection.header.buckets
        )
        self._reader = Reader(self.selection, _pool(lake), max_open_files)
        self._planned: EpochPlan | None = None
        unstored = self.selection.header.unstored
        if unstored:
            _log.warning("%d of %d selected images are not stored yet", unstored, self.selection.header.selected)

    def __len__(self) -> int:
        """Images in the selection."""
        return len(self.selection)

    def __getitem__(self, index: int) -> Any:
        """One image with its first caption, by its place in the selection; negative from the end."""
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        bucket = next(b.name for b in self._ranges if at < b.stop)
        captions = self.selection.captions(at)
        places = self._reader.places(np.array([at]))
        sample = next(self._reader.read(places, [captions[0] if captions else None], bucket), None)
        if sample is None:
            raise LakeError(f"image {index} of the selection was forgotten: make the selection anew")
        return sample if self.transform is None else self.transform(sample)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_planned": None}

    def captions(self, index: int) -> list[str]:
        """Every caption an image may be trained with."""
        return self.selection.captions(index)

    def plan(self, epoch: int) -> EpochPlan:
        """The order of an epoch: `.steps`, and per bucket `.batches` and `.dropped` (copies in the tail)."""
        if self._planned is None or self._planned.epoch != epoch:
            records = self.selection.records
            self._planned = EpochPlan(
                self._ranges, records, seed=self.seed, epoch=epoch, order=self.order, blocks=self.blocks
            )
        return self._planned

    def report(self, epoch: int | None = None) -> dict[str, Any]:
        """What an epoch holds: images selected, stored and not; per bucket images, copies, batches, dropped copies.
        `forgotten`: places that stayed empty so far, in what this process read."""
        plan, header = self.plan(self.epoch if epoch is None else epoch), self.selection.header
        return {
            "selected": header.selected,
            "stored": header.stored,
            "unstored": header.unstored,
            "steps": plan.steps,
            "dropped": sum(plan.dropped.values()),
            "forgotten": self._reader.forgotten,
            "buckets": {
                b.name: {
                    "images": b.stop - b.start,
                    "copies": copies,
                    "batches": plan.batches[b.name],
                    "dropped": plan.dropped[b.name],
                }
                for b, copies in zip(self._ranges, plan.totals, strict=True)
            },
        }

    def batches(self, epoch: int | None = None, start_step: int | None = None) -> Iterator[Batch]:
        """This rank's batches of one epoch, from the dataset's position on, or from the epoch and step given.

        The position moves with each batch handed out, and to the next epoch at the end. The place of an image that was
        forgotten since the selection was made stays empty: its batch is shorter, all others are as planned. Raises
        UsageError where no bucket fills a batch, LakeError for bytes that do not verify.
        """
        if epoch is not None:
            self.epoch, self.step = epoch, 0
        if start_step is not None:
            self.step = start_step
        for batch in self.stride(self.epoch, self.step):
            self.step = batch.step + 1
            yield batch
        self.epoch, self.step = self.epoch + 1, 0

    def stride(self, epoch: int, first: int, every: int = 1) -> Iterator[Batch]:
        """The batches of steps first, first + every, ...; the dataset's position stays. What one worker reads."""
        plan = self.plan(epoch)
        if not plan.steps:
            sizes = ", ".join(f"{b.name}: {n} of {b.batch}" for b, n in zip(self._ranges, plan.totals, strict=True))
            raise UsageError(f"no bucket fills a batch ({sizes}): choose a smaller batch_size")
        steps = np.arange(first, plan.steps, every, dtype=np.int64)
        ahead = max(1, _AHEAD * self.world_size // max(b.batch for b in self._ranges))
        for at in range(0, len(steps), ahead):
            yield from self._read(epoch, plan.slices(steps[at : at + ahead], self.rank, self.world_size))

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; within the current epoch the position stays, so a resumed loop may call it."""
        if epoch != self.epoch:
            self.epoch, self.step = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """The position, and two numbers that tell whether it belongs here: small integers, whatever was read."""
        return {"epoch": self.epoch, "step": self.step, "seed": self.seed, **self._guard()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue where `state` was taken, with any number of ranks and workers. Raises UsageError if it cannot be."""
        if set(state) != set(self.state_dict()):
            raise UsageError("this is no state of a ShardDataset: it must come from state_dict()")
        guard = self._guard()
        if state["selection"] != guard["selection"]:
            raise UsageError(
                "the state belongs to another selection: the query, or what is in the lake, is not what it was; pass "
                "`selection=` with the folder of the selection it was made with"
            )
        if state["plan"] != guard["plan"]:
            raise UsageError("the state belongs to another plan: batch sizes, order or blocks are not what they were")
        if state["seed"] != self.seed:
            raise UsageError(f"the state was made with seed {state['seed']}, this dataset has seed {self.seed}")
        self.epoch, self.step = state["epoch"], state["step"]

    def _guard(self) -> dict[str, int]:
        sizes = [(b.name, b.batch) for b in self._ranges]
        blocks = (self.blocks.length, self.blocks.window) if self.order == "block" else ()
        return {
            "selection": int(self.selection.header.digest[:15], 16),
            "plan": key("plan", self.order, repr(blocks), repr(sizes)) >> 1,  # 63 bits: a signed integer anywhere
        }

    def _read(self, epoch: int, planned: list[GlobalBatch]) -> Iterator[Batch]:
        """Look up all the places and captions at once, then read batch by batch."""
        records = np.concatenate([batch.records for batch in planned])
        copy = np.concatenate([batch.copies for batch in planned]).astype(np.uint64)
        secret = np.uint64(key("caption", self.seed, epoch))
        draw = mix((self.selection.records["check"][records] ^ secret) + copy * _COPY)
        places, captions = self._reader.places(records), self.selection.chosen_captions(records, draw)
        at = 0
        for batch in planned:
            name, end = self._ranges[batch.bucket].name, at + len(batch.records)
            read = self._reader.read(places.cut(at, end), captions[at:end], name)
            # transformed one by one, so that a batch's original bytes are never all in memory
            yield Batch(epoch, batch.step, name, list(read if self.transform is None else map(self.transform, read)))
            at = end


def _pool(lake: str | PurePath) -> PurePath:
    root = place(lake)
    return (root.absolute() if isinstance(root, Path) else root) / "shards" / "pool"


def _batch(sizes: int | Mapping[str, int], bucket: str, world_size: int) -> int:
    if isinstance(sizes, Mapping):
        if bucket not in sizes:
            raise UsageError(f"batch_size names no size for bucket {bucket}: it has {', '.join(sizes)}")
        size = sizes[bucket]
    else:
        size = sizes
    if size < 1 or size % world_size:
        raise UsageError(
            f"batch_size {size} (bucket {bucket}) must be a multiple of the world size {world_size}: "
            "it counts the images of one step over all ranks"
        )
    return size


def _selection(
    lake: str | PurePath,
    sql: str | None,
    folder: str | Path | None,
    captions_sql: str | None,
    buckets: Sequence[str],
    cache_dir: str | Path | None,
) -> Selection:
    if (sql is None) == (folder is None):
        raise UsageError("name either `sql`, which selects images, or `selection`, the folder of one made before")
    if folder is not None:
        try:
            return Selection(Path(folder))
        except (FileNotFoundError, ValueError) as error:
            raise UsageError(f"no selection at {folder} ({error}): make it again with `sql`") from error
    assert sql is not None  # one of the two is given
    from warehouse.lake import Lake
    from warehouse.select_images import select_images

    cache = default_cache() if cache_dir is None else Path(cache_dir)
    return select_images(Lake.open(lake, read_only=True), sql, cache, captions_sql=captions_sql, buckets=buckets)
