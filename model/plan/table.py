"""What a plan holds, as plain rows: for people before a training begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.plan.plan import PhaseTables, Plan

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SourceRow:
    """A source in a phase. `share`: of its task's samples as asked for; `samples` it gives, of `images` that it has in
    all its segments' selections together; `epochs`: how often each of them is seen, on average of the largest of its
    selections; `buckets`: images by bucket; `words`: bytes of its captions at the 10th, 50th and 90th percentile;
    `unstored`, `uncaptioned`: what its queries selected and training leaves out; `unused`: buckets too small."""

    source: str
    task: str
    share: str
    samples: int
    images: int
    epochs: float
    buckets: dict[str, int]
    words: tuple[int, int, int]
    unstored: int
    uncaptioned: int
    unused: tuple[str, ...]


@dataclass(frozen=True)
class BatchRow:
    """One kind of batch of a phase. `tokens`: of the targets of one step."""

    task: str
    side: int
    bucket: str
    height: int
    width: int
    batch: int
    tokens: int
    steps: int


def source_rows(plan: Plan, tables: PhaseTables) -> list[SourceRow]:
    """A row for each source of a phase."""
    rows = []
    for column, (name, share) in enumerate(tables.phase.shares.items()):
        names = list(dict.fromkeys(n for (_, _, source), n in tables.uses.items() if source == name))
        held = [plan.held[n] for n in names]
        given = int(np.asarray(tables.counts[:, column], np.int64).sum())
        buckets: dict[str, int] = {}
        for one in held:
            for bucket in one.buckets:
                buckets[bucket.name] = max(buckets.get(bucket.name, 0), bucket.stop - bucket.start)
        used = {cell for stream in tables.streams if (cell := stream.cells[column]) >= 0}
        taken = tables.cursors[-1]
        epochs = [
            int(taken[cell]) / plan.items[tables.cells[cell].items].places(tables.cells[cell].bucket) for cell in used
        ]
        lengths = np.concatenate([plan.items[n].words.lengths() for n in names])
        low, middle, high = (int(v) for v in np.percentile(lengths, [10, 50, 90])) if len(lengths) else (0, 0, 0)
        rows.append(
            SourceRow(
                source=name,
                task=plan.curriculum.sources[name].task,
                share=str(share),
                samples=given,
                images=max(one.stored for one in held),
                epochs=max(epochs, default=0.0),
                buckets=dict(sorted(buckets.items(), key=lambda item: -item[1])),
                words=(low, middle, high),
                unstored=max(one.unstored for one in held),
                uncaptioned=max(one.uncaptioned for one in held),
                unused=tuple(sorted({cell.bucket for cell in tables.unused if cell.items in names})),
            )
        )
    return rows


def batch_rows(plan: Plan, tables: PhaseTables) -> list[BatchRow]:
    """A row for each task, resolution and bucket, segments together."""
    number = np.bincount(tables.stream, minlength=len(tables.streams))
    steps: dict[tuple[str, int, str, int, int, int], int] = {}
    for stream, here in zip(tables.streams, number.tolist(), strict=True):
        side = tables.phase.resolutions[stream.resolution].side
        key = (stream.task, side, stream.bucket, stream.height, stream.width, stream.batch)
        steps[key] = steps.get(key, 0) + here
    token = plan.curriculum.token
    return [
        BatchRow(*key, tokens=key[5] * (key[3] // token) * (key[4] // token), steps=here)
        for key, here in sorted(steps.items(), key=lambda item: (item[0][0], item[0][1], -item[1]))
    ]


def totals(plan: Plan, tables: PhaseTables) -> tuple[int, int, int]:
    """Samples, target tokens, and the most target tokens of one step of a phase."""
    rows = batch_rows(plan, tables)
    samples = sum(row.steps * row.batch for row in rows)
    return samples, sum(row.steps * row.tokens for row in rows), max(row.tokens for row in rows)


def shares(plan: Plan, points: int = 40) -> Iterator[tuple[str, Float64, Float64]]:
    """Lines of a picture: name, steps, and value from 0 to 1, of what each source gives, each resolution, and TI2I; as
    dealt, in at most `points` windows of steps."""
    names = list(plan.curriculum.sources)
    sides = sorted({r.side for phase in plan.curriculum.phases for r in phase.resolutions})
    lines: dict[str, list[tuple[float, float]]] = {}
    for tables in plan.phases:
        width = max(1, plan.steps // points)
        batch = np.array([stream.batch for stream in tables.streams], np.int64)
        side = np.array([tables.phase.resolutions[stream.resolution].side for stream in tables.streams])
        edits = np.array([stream.task == "ti2i" for stream in tables.streams])
        for begin in range(0, tables.phase.steps, width):
            part = slice(begin, begin + width)
            stream = tables.stream[part]
            middle = tables.first + begin + len(stream) / 2
            given = tables.counts[part].sum(axis=0, dtype=np.int64)
            all_given = int(batch[stream].sum())
            column = {name: given[number] for number, name in enumerate(tables.phase.shares)}
            for name in names:
                lines.setdefault(f"source {name}", []).append((middle, column.get(name, 0) / all_given))
            for one in sides:
                lines.setdefault(f"{one} pixels", []).append((middle, float((side[stream] == one).mean())))
            lines.setdefault("ti2i", []).append((middle, float(edits[stream].mean())))
    for name, found in lines.items():
        at, value = np.array(found).T
        yield name, at, value
