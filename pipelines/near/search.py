"""Nominating pairs by hash: block against block while the new images are few, by a shuffle of keys when they are many.

Block against block, a worker reads new hashes and others, and looks each key of the others up among those of the new:
nothing is shuffled, and the cost grows with blocks of new images times hashes in the lake. By shuffle each hash is sent
once for each of the 168 tables, and meets only those of its key: dear per hash, whatever the number of the others. The
second overtakes the first beyond `Sizes.shuffle_above`. Both nominate the same pairs and compare the same candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import pyarrow as pa

from pipelines.engines import Engine, beat
from pipelines.near import banding
from pipelines.near.blocks import PAIRS, Block, Writer, Written, as_binary, blocks, finished, read_hashes
from pipelines.near.shuffle import Sent, crowds, find_crowds, meet, send
from pipelines.progress import Progress, silent


@dataclass(frozen=True)
class Sizes:
    """How work is cut, in hashes or pairs; no result depends on it.

    `here`: what is not worth a worker's start is searched by this very process, in `here` * 200 bytes at most. `block`:
    of one unit of block against block, 200 bytes each. `sent`: of one unit of the shuffle, 10 kB each. `crowd`: rows
    of one key that one worker compares with each other. `measured`: pairs of one unit of measuring, 15 kB each.
    `shuffle_above`: new images, see docs/scale.md for the measurement.
    """

    here: int = 1 << 17
    block: int = 1 << 20
    sent: int = 1 << 13
    crowd: int = 1 << 14
    measured: int = 1 << 11
    shuffle_above: int = 1 << 24


@dataclass(frozen=True)
class Probe:
    """New hashes against others, or, without others, among themselves."""

    fresh: Block
    others: Block | None
    folder: str


def search(
    engine: Engine, fresh: tuple[Path, int], old: tuple[Path, int], folder: Path, sizes: Sizes, progress: Progress
) -> list[Written]:
    """Parts of PAIRS: every pair within the radius of which one at least is fresh, once, and the candidates compared.

    `fresh` and `old` are files of (id, phash) and their numbers of rows. Raises EngineError where a unit keeps failing.
    """
    if fresh[1] > sizes.shuffle_above:
        return shuffled(engine, fresh, old, folder, sizes, progress)
    new = blocks(*fresh, sizes.block)
    units = [Probe(block, None, str(folder)) for block in new]
    units += [Probe(x, y, str(folder)) for x, y in combinations(new, 2)]
    units += [Probe(x, y, str(folder)) for x in new for y in blocks(*old, sizes.block)]
    return list(finished(engine, probe, units, progress, "searching"))


def probe(unit: Probe) -> Written:
    """Search one block against another; module-level, for workers."""
    ids, hashes = read_hashes(unit.fresh)
    tally = banding.Tally()
    if unit.others is None:
        others, found = ids, banding.near(hashes, tally=tally, step=_beat)
    else:
        others, more = read_hashes(unit.others)
        found = banding.between(hashes, more, tally=tally, step=_beat)
    out = Writer(unit.folder, PAIRS)
    for pairs in found:
        out.write(
            pa.table([as_binary(ids[pairs.a]), as_binary(others[pairs.b]), pa.array(pairs.distance)], schema=PAIRS)
        )
    return out.written(tally.candidates)


def shuffled(
    engine: Engine,
    fresh: tuple[Path, int],
    old: tuple[Path, int],
    folder: Path,
    sizes: Sizes,
    progress: Progress = silent,
) -> list[Written]:
    """As `search`, by the engine's shuffle. Keys that too many hashes share are found first, and split."""
    where = str(folder)
    coarse = [(b, where) for path, count in (fresh, old) for b in blocks(Path(path), count, sizes.block)]
    limit = max(2, sizes.crowd // max(1, len(coarse)))
    seen = list(finished(engine, partial(crowds, limit), coarse, progress, "counting keys"))
    split = find_crowds(seen, sizes.crowd, folder)
    units = [Sent(block, True, split) for block in blocks(*fresh, sizes.sent)]
    units += [Sent(block, False, split) for block in blocks(*old, sizes.sent)]
    return list(engine.group(send, units, key="key", reduce=partial(meet, where)))


def _beat(done: int, total: int) -> None:
    beat()
