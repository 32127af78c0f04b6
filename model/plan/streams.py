"""The steps of a phase as arrays: which kind of batch each step is, and how many of its samples each source gives.

A *stream* is what one batch can be: a segment, a task, a resolution and a bucket. Steps are dealt to tasks and
resolutions by their shares, within these to buckets by what the sources hold of each; samples are dealt to sources by
their shares, among all streams that the same sources feed. All dealing is exact to within one, see `model.plan.deal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.batches import Task
from model.curriculum.ramp import fractions
from model.curriculum.schema import TASKS, Curriculum, Phase, Resolution
from model.plan.deal import deal, deal_ones
from model.plan.items import Items
from warehouse.errors import UsageError

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

BLOCK = 1024  # steps between two cursors that are written down
_LOOKS = 257  # places of a phase at which the need of a bucket is looked at: ramps are straight between few points


@dataclass(frozen=True)
class Stream:
    """One kind of batch. `cells`: for each source of the phase the number of the cell that it is fed from, or -1."""

    segment: int
    task: Task
    resolution: int
    bucket: str
    batch: int
    height: int
    width: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """A bucket of a source's items: one endless stream of samples."""

    items: str
    bucket: str


@dataclass(frozen=True)
class Tables:
    """A phase worked out. `stream` (steps,): number of each step's stream; `counts` (steps, sources): samples of each;
    `cursors` (blocks, cells): samples taken of each cell before each block of steps, and at the end. `unused`: cells
    too small for what a batch takes of them."""

    streams: tuple[Stream, ...]
    cells: tuple[Cell, ...]
    stream: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.uint32]
    cursors: Int64
    unused: tuple[Cell, ...]


Held = Mapping[tuple[int, int, str], Items]
"""What a source holds, by segment, number of the resolution and name of the source."""


def tables(curriculum: Curriculum, phase: Phase, held: Held) -> Tables:
    """Work out a phase. Raises UsageError where a source cannot fill its part of a batch in any bucket."""
    at = fractions(np.arange(phase.steps, dtype=np.int64), phase.steps)
    group = deal_ones(_group_shares(phase, at))
    streams: list[Stream] = []
    mixes: list[Float64] = []  # of each stream, what its bucket is of each source
    cells: dict[Cell, int] = {}
    unused: dict[Cell, None] = {}
    stream = np.zeros(phase.steps, np.int64)
    starts = phase.segment_starts()
    for segment in range(phase.segments):
        for number in range(len(TASKS) * len(phase.resolutions)):
            here = np.arange(starts[segment], starts[segment + 1])
            steps = here[group[here] == number]
            if not len(steps):
                continue
            resolution, task = divmod(number, len(TASKS))
            found = _buckets(curriculum, phase, held, segment, resolution, TASKS[task], at[steps])
            unused.update(dict.fromkeys(found.unused))
            shares = _normal(_source_shares(phase, at[steps])) @ found.parts
            bucket = deal_ones(np.where(shares.sum(axis=1, keepdims=True) > 0, shares, 1.0))
            stream[steps] = bucket + len(streams)
            for column, name in enumerate(found.names):
                feeding = tuple(
                    cells.setdefault(Cell(held[segment, resolution, source].name, name), len(cells)) if part else -1
                    for source, part in zip(phase.shares, found.parts[:, column].tolist(), strict=True)
                )
                size = phase.resolutions[resolution].size(name, curriculum.multiple)
                batch = phase.resolutions[resolution].images(*size, curriculum.token)
                streams.append(Stream(segment, TASKS[task], resolution, name, batch, *size, feeding))
                mixes.append(found.parts[:, column])
    counts = _counts(phase, streams, mixes, stream, at)
    return Tables(
        tuple(streams),
        tuple(cells),
        stream.astype(np.uint16),
        counts.astype(np.uint32),
        _cursors(streams, stream, counts, len(cells)),
        tuple(unused),
    )


def _group_shares(phase: Phase, at: Float64) -> Float64:
    """Share of each (resolution, task) at each step."""
    edits = phase.edits.at(at)
    columns = []
    for resolution in phase.resolutions:
        share = resolution.share.at(at)
        columns += [share * (1 - edits), share * edits]
    return np.stack(columns, axis=1)


def _source_shares(phase: Phase, at: Float64) -> Float64:
    return np.stack([ramp.at(at) for ramp in phase.shares.values()], axis=1)


def _normal(shares: Float64) -> Float64:
    total = shares.sum(axis=1, keepdims=True)
    normal: Float64 = shares / np.where(total > 0, total, 1.0)
    return normal


@dataclass(frozen=True)
class _Buckets:
    """Buckets that batches are made of, and `parts` (sources, buckets): what each is of the source's samples."""

    names: list[str]
    parts: Float64
    unused: list[Cell]


def _buckets(
    curriculum: Curriculum, phase: Phase, held: Held, segment: int, resolution: int, task: Task, at: Float64
) -> _Buckets:
    """Buckets of one task, resolution and segment. One that holds less of a source than a batch takes of it would
    repeat images within a batch: it is set aside, the smallest first, until all that is left can be filled."""
    sources = list(phase.shares)
    mine = [held.get((segment, resolution, s)) if curriculum.sources[s].task == task else None for s in sources]
    names = sorted({bucket for items in mine if items for bucket in items.buckets})
    places = np.array([[items.places(b) if items else 0 for b in names] for items in mine], np.float64)
    there = places.copy()
    sizes = np.array([_batch(curriculum, phase.resolutions[resolution], b, phase) for b in names], np.float64)
    looks = _source_shares(phase, at[np.linspace(0, len(at) - 1, min(len(at), _LOOKS)).astype(int)])
    wanted = looks.max(axis=0) > 0
    unused = []
    while True:
        lacking = [
            s for s, items, w, row in zip(sources, mine, wanted, there, strict=True) if items and w and not row.any()
        ]
        if lacking:
            row = places[sources.index(lacking[0])]
            best = int(row.argmax())
            raise UsageError(
                f"phase {phase.name}, source {lacking[0]}: no bucket fills its part of a batch: bucket {names[best]} "
                f"has {int(row[best])} for batches of {int(sizes[best])} at {phase.resolutions[resolution].side}; "
                "choose a smaller batch or share, or select more"
            )
        total = there.sum(axis=1, keepdims=True)
        parts = there / np.where(total > 0, total, 1.0)
        need = np.zeros_like(parts)
        for row in looks:
            mixed = row[:, None] * parts
            column = mixed.sum(axis=0)
            need = np.maximum(need, mixed / np.where(column > 0, column, 1.0) * sizes)
        short = np.where(there > 0, np.ceil(need - 1e-9) / np.maximum(there, 1e-9), 0.0)
        worst = np.unravel_index(int(short.argmax()), short.shape)
        if short[worst] <= 1:
            break
        items = mine[int(worst[0])]
        assert items is not None  # only what is there can be short
        unused.append(Cell(items.name, names[int(worst[1])]))
        there[worst] = 0
    used = np.flatnonzero((parts * wanted[:, None]).any(axis=0))
    return _Buckets([names[i] for i in used], (parts * wanted[:, None])[:, used], unused)


def _batch(curriculum: Curriculum, resolution: Resolution, bucket: str, phase: Phase) -> int:
    try:
        height, width = resolution.size(bucket, curriculum.multiple)
    except ValueError as error:
        raise UsageError(f"phase {phase.name}: {error}, or give its size under sizes of the resolution") from error
    return resolution.images(height, width, curriculum.token)


def _counts(phase: Phase, streams: list[Stream], mixes: list[Float64], stream: Int64, at: Float64) -> Int64:
    """Samples of each source in each step: one dealing for all streams that the same sources feed."""
    counts = np.zeros((phase.steps, len(phase.shares)), np.int64)
    fed: dict[tuple[int, ...], list[int]] = {}
    for number, one in enumerate(streams):
        fed.setdefault(tuple(i for i, cell in enumerate(one.cells) if cell >= 0), []).append(number)
    sizes = np.array([one.batch for one in streams], np.int64)
    mix = np.stack(mixes)
    for columns, numbers in fed.items():
        steps = np.flatnonzero(np.isin(stream, numbers))
        if not len(steps):
            continue
        part = mix[stream[steps]][:, columns]
        shares = _source_shares(phase, at[steps])[:, columns] * part
        # a ramp that has come to 0 may leave a step that was due before to sources with no share
        shares = np.where(shares.sum(axis=1, keepdims=True) > 0, shares, part)
        counts[steps[:, None], np.array(columns)] = deal(shares, sizes[stream[steps]])
    return counts


def _cursors(streams: list[Stream], stream: Int64, counts: Int64, cells: int) -> Int64:
    """Samples taken of each cell before each block of steps; the last row is the whole phase."""
    blocks = -(-len(stream) // BLOCK)
    of = np.array([one.cells for one in streams], np.int64)
    taken = np.zeros((blocks + 1, cells), np.int64)
    for block in range(blocks):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        cell, number = of[stream[part]], counts[part]
        fed = cell >= 0
        taken[block + 1] = np.bincount(cell[fed], weights=number[fed], minlength=cells).astype(np.int64)
    return np.cumsum(taken, axis=0)
