"""A plan: a folder from which the batch of any step is worked out, by any process, in any order.

    plan = Plan.make(load("small"), Lake.open("lake", read_only=True), Path("run/plan"), seed=1)
    batch = plan.batch(1000)  # a PlannedBatch: no file of the lake was touched
    data = plan.read(batch.samples[0].target)  # original bytes, or None where the image was forgotten

The number of ranks and workers does not enter: a rank takes its slice of the batch.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from model.batches import Picture, PlannedBatch, PlannedSample
from model.curriculum.schema import Curriculum, Phase
from model.curriculum.stored import from_dict
from model.plan.items import Items
from model.plan.make import FORMAT, MAIN, make
from model.plan.select import Held
from model.plan.shuffle import shuffled
from model.plan.streams import BLOCK, Cell, Stream
from model.plan.words import shares_of
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake
from warehouse.order import key, mix
from warehouse.places import place
from warehouse.reader import Reader
from warehouse.selection import Selection

Int64 = npt.NDArray[np.int64]
_POSITION = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class PhaseTables:
    """A phase of a plan: what `model.plan.streams` worked out, mapped. `first`: its first step in the plan."""

    number: int
    first: int
    phase: Phase
    streams: tuple[Stream, ...]
    cells: tuple[Cell, ...]
    unused: tuple[Cell, ...]
    uses: Mapping[tuple[int, int, str], str]
    stream: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.unsignedinteger[npt.NBitBase]]
    cursors: Int64

    @cached_property
    def feeding(self) -> npt.NDArray[np.int64]:
        """(streams, sources): the cell that feeds, or -1."""
        return np.array([stream.cells for stream in self.streams], np.int64)

    def cursor(self, step: int, source: int, cell: int) -> int:
        """Samples that all steps of the phase before this one took of a cell."""
        block = step // BLOCK
        part = slice(block * BLOCK, step)
        same = self.feeding[self.stream[part], source] == cell
        return int(self.cursors[block, cell]) + int(self.counts[part, source][same].sum())


class Plan:
    """A curriculum on a lake. Opened from its folder, it needs the lake's shards for `read` and nothing else."""

    def __init__(self, folder: Path, lake: str | PurePath | None = None) -> None:
        """See `open`."""
        self.folder = folder
        content = _content(folder)
        self.seed, self.digest, self.snapshot = int(content["seed"]), str(content["digest"]), int(content["snapshot"])
        self.curriculum: Curriculum = from_dict(content["curriculum"])
        self.lake = place(content["lake"] if lake is None else lake)
        self.held = {held.name: held for held in map(Held.from_dict, content["held"])}
        self._selections: dict[str, Selection] = {}
        self.items: dict[str, Items] = {n: held.open(folder, self._selections) for n, held in self.held.items()}
        self._local = threading.local()  # a reader of its own for each thread: they close files as they need
        firsts = [0, *accumulate(phase.steps for phase in self.curriculum.phases)]
        self.steps = firsts[-1]
        self.phases = tuple(
            _phase(folder, number, first, phase, entry)
            for number, (first, phase, entry) in enumerate(
                zip(firsts, self.curriculum.phases, content["phases"], strict=False)
            )
        )
        self._firsts = np.array(firsts[:-1], np.int64)

    @classmethod
    def make(
        cls,
        curriculum: Curriculum,
        lake: Lake,
        folder: Path,
        seed: int,
        note: Callable[[str], None] = lambda text: None,
    ) -> Plan:
        """Run the curriculum's queries on the lake as it is now, deal its steps and write the plan folder, whole or not
        at all. `note` is told what is being done.

        Raises UsageError: the folder is taken, a phase has no learning rate, or, naming phase and source, a query that
        gives nothing, a source that fills no batch, a sample without a caption. LakeError: the lake cannot be read.
        """
        make(curriculum, lake, folder, seed, note)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, lake: str | PurePath | None = None) -> Plan:
        """The plan in a folder. `lake`: where its lake is now, if it was moved. Raises UsageError: there is none."""
        return cls(folder, lake)

    def __reduce__(self) -> tuple[type[Plan], tuple[Path, PurePath]]:
        return Plan, (self.folder, self.lake)

    def at(self, step: int) -> tuple[PhaseTables, int]:
        """The phase of a step, and the step counted from the phase's first. IndexError beyond the plan."""
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of a plan of {self.steps}")
        found = self.phases[int(np.searchsorted(self._firsts, step, side="right")) - 1]
        return found, step - found.first

    def phase(self, step: int) -> Phase:
        """The phase that a step is in."""
        return self.at(step)[0].phase

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step, warm-up included."""
        found, within = self.at(step)
        return found.phase.rate(within)

    def stream(self, step: int) -> Stream:
        """Task, resolution, bucket, batch and size of a step: its batch without its samples."""
        found, within = self.at(step)
        return found.streams[int(found.stream[within])]

    def batch(self, step: int) -> PlannedBatch:
        """The global batch of a step: a pure function of the plan and the step."""
        stream = self.stream(step)
        return PlannedBatch(step, self.phase(step).name, stream.task, stream.height, stream.width, self.samples(step))

    def samples(self, step: int, start: int = 0, stop: int | None = None) -> tuple[PlannedSample, ...]:
        """Places start..stop-1 of a step's global batch: what one rank needs, at the cost of that alone."""
        found, within = self.at(step)
        stream = found.streams[int(found.stream[within])]
        positions = np.arange(start, stream.batch if stop is None else min(stop, stream.batch), dtype=np.int64)
        # sources are shuffled within a batch, so that every rank has its part of each
        place_of = shuffled(positions, stream.batch, key("place", self.seed, step))
        dropped = self._dropped(step, positions, found.phase.dropout)
        samples: list[PlannedSample | None] = [None] * len(positions)
        begin = 0
        for source, number in enumerate(found.counts[within].tolist()):
            mine = np.flatnonzero((place_of >= begin) & (place_of < begin + number))
            if len(mine):
                cursor = found.cursor(within, source, stream.cells[source]) + place_of[mine] - begin
                drawn = self._drawn(found, within, stream, source, cursor)
                for at, (target, references), caption in zip(mine.tolist(), *drawn, strict=True):
                    samples[at] = PlannedSample(target, caption, references, bool(dropped[at]))
            begin += number
        return tuple(cast(list[PlannedSample], samples))

    def _drawn(
        self, found: PhaseTables, within: int, stream: Stream, source: int, cursor: Int64
    ) -> tuple[list[tuple[Picture, tuple[Picture, ...]]], list[str | None]]:
        cell = found.cells[stream.cells[source]]
        items = self.items[cell.items]
        drawn = items.draw(cell.bucket, cursor, self.seed, found.number, cell.items)
        name = list(found.phase.shares)[source]
        kinds = self.curriculum.captions(found.phase, self.curriculum.sources[name])
        fraction = within / max(1, found.phase.steps - 1)
        shares = shares_of(kinds, items.words.kinds, fraction)
        return items.pictures(drawn.records), items.words.chosen(drawn.records, drawn.draw, shares)

    def _dropped(self, step: int, positions: Int64, share: float) -> npt.NDArray[np.bool_]:
        """Which places are told the blank prompt."""
        salt = np.uint64(key("dropout", self.seed, step))
        draw = mix(mix(positions.astype(np.uint64) * _POSITION + salt) ^ salt)
        chance: npt.NDArray[np.bool_] = (draw >> np.uint64(11)).astype(np.float64) * 2.0**-53 < share
        return chance

    def read(self, picture: Picture) -> bytes | None:
        """Original bytes of a picture, checksum verified; None where it was forgotten since. May be called from several
        threads. Raises LakeError where the shard is missing or the bytes do not verify."""
        return self.read_many([picture])[0]

    def read_many(self, pictures: list[Picture]) -> list[bytes | None]:
        """The same for many pictures at once: from an object store they are asked for together."""
        found: list[bytes | None] = [None] * len(pictures)
        by_selection: dict[str, list[int]] = {}
        for at, picture in enumerate(pictures):
            by_selection.setdefault(picture.selection, []).append(at)
        for name, places in by_selection.items():
            reader = self._reader(name)
            records = [pictures[at].record for at in places]
            read = reader.read(reader.places(np.array(records, np.int64)), [None] * len(records), "")
            data = {sample.record: sample.data for sample in read}
            for at, record in zip(places, records, strict=True):
                found[at] = data.get(record)
        return found

    def content(self, picture: Picture) -> str:
        """A name of the picture's bytes: their size and XXH3, the same in every plan that has them."""
        row = self._selections[picture.selection].records[picture.record]
        return f"{int(row['check']):016x}{int(row['size']):x}"

    def image_id(self, picture: Picture) -> str | None:
        """The image's id, read from its shard; None where it was forgotten."""
        reader = self._reader(picture.selection)
        read = reader.read(reader.places(np.array([picture.record], np.int64)), [None], "")
        return next((sample.image_id for sample in read), None)

    def _reader(self, selection: str) -> Reader:
        readers: dict[str, Reader] = self._local.__dict__
        if selection not in readers:
            root = self.lake.absolute() if isinstance(self.lake, Path) else self.lake
            pool = root / "shards" / "pool"
            if isinstance(pool, Path) and not pool.is_dir():
                raise LakeError(f"the plan's lake is not at {self.lake}: say where it is now")
            readers[selection] = Reader(self._selections[selection], pool)
        return readers[selection]


def _content(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / MAIN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"no plan at {folder} ({error}): make one with `glyphmill train plan`") from error
    if content.get("format") != FORMAT:
        raise UsageError(f"the plan at {folder} has format {content.get('format')}, this version reads {FORMAT}")
    return content


def _phase(folder: Path, number: int, first: int, phase: Phase, entry: Mapping[str, Any]) -> PhaseTables:
    files = folder / f"phase-{number}"
    stream, counts, cursors = (
        np.asarray(np.load(files / f"{name}.npy", mmap_mode="r")) for name in ("stream", "counts", "cursors")
    )
    return PhaseTables(
        number=number,
        first=first,
        phase=phase,
        streams=tuple(Stream(**{**one, "cells": tuple(one["cells"])}) for one in entry["streams"]),
        cells=tuple(Cell(**cell) for cell in entry["cells"]),
        unused=tuple(Cell(**cell) for cell in entry["unused"]),
        uses={(segment, resolution, source): name for segment, resolution, source, name in entry["uses"]},
        stream=stream,
        counts=counts,
        cursors=cursors,
    )
