"""Reading for training: ShardDataset against a bare offset index with `pread`, and against `webdataset`.

One process, bytes without decode, the same shards, each repeat runs every reader once, one after another. The bare
reader knows every offset beforehand and does nothing but `pread` in a shuffled order: no check, no name, no caption.
ShardDataset is shuffled, verifies every image's checksum and hands out names and captions.

    python bench/loader.py --images 10000 --kilobytes 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa

from warehouse.dataset import ShardDataset
from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, SHARD_INDEX
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard

SQL = "SELECT image_id, 'all' AS bucket FROM shard_index"


def make_lake(root: Path, images: int, size: int, per_shard: int, seed: int) -> Lake:
    """A lake with random bytes in place of JPEGs: no reader here decodes."""
    lake, draw = Lake.create(root), random.Random(seed)
    rows, captions = [], []
    for first in range(0, images, per_shard):
        group = []
        for i in range(first, min(first + per_shard, images)):
            data = draw.randbytes(draw.randint(size * 3 // 4, size * 5 // 4))
            meta = {"width": 256, "height": 256, "source": "bench", "license": ""}
            group.append(ShardSample(image_id_of(data), data, meta, f"picture {i} of the benchmark, 基准测试"))
        rows += write_shard(lake.pool, "jpg", group, key=shard_key(s.image_id for s in group)).rows
        for sample in group:
            row = {"image_id": sample.image_id, "caption_id": "0", "kind": "raw", "text": sample.caption}
            captions.append({**row, "lang": "en", "origin": "bench"})
    with lake.connect() as con:
        for table, made in ((SHARD_INDEX, rows), (CAPTIONS, captions)):
            con.register("made", pa.Table.from_pylist(made, schema=table.arrow))
            con.execute(f"INSERT INTO {table.name} SELECT * FROM made")
            con.unregister("made")
    return lake


def bare(lake: Lake, epoch: int) -> Callable[[], int]:
    """Shuffled `pread` over an index in memory: the floor."""
    with lake.connect(read_only=True) as con:
        rows = con.execute('SELECT shard, "offset", size FROM shard_index ORDER BY image_id').fetchall()
    random.Random(epoch).shuffle(rows)
    files = {name: os.open(lake.pool / name, os.O_RDONLY) for name in {row[0] for row in rows}}
    index = [(files[name], size, offset) for name, offset, size in rows]

    def run() -> int:
        pread, count = os.pread, 0
        for descriptor, size, offset in index:
            if len(pread(descriptor, size, offset)) == size:
                count += 1
        return count

    return run


def ours(dataset: ShardDataset, epoch: int, start_step: int = 0) -> Callable[[], int]:
    def run() -> int:
        count = 0
        for batch in dataset.batches(epoch, start_step):
            for sample in batch.samples:
                if sample.data:
                    count += 1
        return count

    return run


def webdataset(lake: Lake) -> Callable[[], int] | None:
    try:
        import webdataset as wds  # type: ignore[import-untyped]
    except ImportError:
        return None
    shards = sorted(str(path) for path in lake.pool.glob("*.tar"))

    def run() -> int:
        return sum(1 for sample in wds.WebDataset(shards, shardshuffle=False) if sample["jpg"])

    return run


def forget_pages(lake: Lake) -> None:
    """Ask the kernel to drop the shards from its page cache."""
    for path in lake.pool.glob("*.tar"):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def rate(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    count = run()
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--kilobytes", type=int, default=20)
    parser.add_argument("--per-shard", type=int, default=2_500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as folder:
        lake = make_lake(Path(folder) / "lake", args.images, args.kilobytes * 1024, args.per_shard, args.seed)
        dataset = ShardDataset(
            lake.root, SQL, batch_size=args.batch_size, seed=args.seed, cache_dir=Path(folder) / "cache"
        )
        half = dataset.plan(0).steps // 2
        found: dict[str, list[float]] = {}
        for repeat in range(args.repeats):
            readers = {
                "bare pread, shuffled": bare(lake, repeat),
                "ShardDataset, shuffled": ours(dataset, repeat),
                "ShardDataset, resumed in mid-epoch": ours(dataset, repeat, half),
                "webdataset, sequential": webdataset(lake),
            }
            for name, run in readers.items():
                if run is not None:
                    found.setdefault(name, []).append(rate(run))
        for repeat in range(3):
            for name, run in (("bare pread, cold", bare(lake, repeat)), ("ShardDataset, cold", ours(dataset, repeat))):
                forget_pages(lake)
                found.setdefault(name, []).append(rate(run))
    for name, rates in found.items():
        spread = f"{min(rates):10,.0f} - {max(rates):10,.0f}"
        print(f"{name:36} {statistics.median(rates):10,.0f} images/s   ({spread})")

    def ratios(one: str, other: str) -> list[float]:
        return [a / b for a, b in zip(found[one], found[other], strict=True)]

    pairs = [
        ("shuffled over bare pread", "ShardDataset, shuffled", "bare pread, shuffled"),
        ("resumed over bare pread", "ShardDataset, resumed in mid-epoch", "bare pread, shuffled"),
        ("cold over cold bare pread", "ShardDataset, cold", "bare pread, cold"),
        ("shuffled over webdataset sequential", "ShardDataset, shuffled", "webdataset, sequential"),
    ]
    for label, one, other in pairs:
        if other in found:
            print(f"{label:36} {statistics.median(ratios(one, other)):10.2f} x")
    main_ratios = ratios("ShardDataset, shuffled", "bare pread, shuffled")
    last = {
        "name": "loader",
        "ratio": round(statistics.median(main_ratios), 3),
        "ours": round(statistics.median(found["ShardDataset, shuffled"])),
        "peer": round(statistics.median(found["bare pread, shuffled"])),
        "unit": "images/s",
        "repeats": args.repeats,
        "spread": [round(min(main_ratios), 3), round(max(main_ratios), 3)],
    }
    if "webdataset, sequential" in found:
        last["over_webdataset"] = round(
            statistics.median(ratios("ShardDataset, shuffled", "webdataset, sequential")), 1
        )
    print(json.dumps(last))


if __name__ == "__main__":
    main()
