"""A ShardDataset in torch's DataLoader: workers read, batches come in the planned order, the position is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warehouse.dataset import Batch, ShardDataset
from warehouse.errors import MissingDependency

try:
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info
except ImportError as error:
    raise MissingDependency('loading with workers needs torch: pip install "glyphmill[train]"') from error


class StepDataset(IterableDataset[Batch]):
    """For a DataLoader with `batch_size=None`: worker w of N reads the steps w, w + N, ... after the position.

    A DataLoader asks its workers in turn, so batches arrive in the order of the steps with any number of workers. As
    `torchdata.StatefulDataLoader` expects, it keeps a position of its own in each worker.
    """

    def __init__(self, dataset: ShardDataset) -> None:
        self.dataset = dataset
        self._resume: dict[str, int] | None = None
        self._next: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        dataset, info = self.dataset, get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        first = dataset.step + worker
        if self._resume is not None:
            dataset.epoch, first, self._resume = self._resume["epoch"], self._resume["step"], None
        self._next = first
        for batch in dataset.stride(dataset.epoch, first, workers):
            self._next = batch.step + workers
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where this worker reads next."""
        return {**self.dataset.state_dict(), "step": self.dataset.step if self._next is None else self._next}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let this worker go on from its `state`; the number of workers must be the same (ShardLoader's need not)."""
        self.dataset.load_state_dict(state)
        self._resume = dict(state)


class ShardLoader:
    """Batches read by worker processes. Iterating gives one epoch, or what is left of it.

    The position counts what was handed out here, not what workers have read ahead, so `state_dict` is exact at any
    moment and can be loaded with another number of workers or ranks.
    """

    def __init__(
        self,
        dataset: ShardDataset,
        *,
        num_workers: int = 0,
        prefetch_factor: int | None = None,
        pin_memory: bool = False,
        multiprocessing_context: str | None = None,
    ) -> None:
        self.dataset = dataset
        self._loader = DataLoader(
            StepDataset(dataset),
            batch_size=None,
            num_workers=num_workers,
            prefetch_factor=prefetch_factor,
            pin_memory=pin_memory,
            multiprocessing_context=multiprocessing_context,
            collate_fn=_as_it_is,
        )

    def __len__(self) -> int:
        """Steps of the current epoch."""
        return self.dataset.plan(self.dataset.epoch).steps

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            self.dataset.step = batch.step + 1
            yield batch
        self.dataset.epoch, self.dataset.step = self.dataset.epoch + 1, 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; within the current epoch the position stays."""
        self.dataset.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """The position: a handful of integers."""
        return self.dataset.state_dict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue where `state` was taken. Raises UsageError where it belongs to another selection or plan."""
        self.dataset.load_state_dict(state)


def _as_it_is(batch: Any) -> Any:
    return batch
