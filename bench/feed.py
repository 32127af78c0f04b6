"""The feed: what a training step waits for it, and how fast entries are pulled.

    python bench/feed.py --producers 1 --epochs 6 --repeats 3

A small MMDiT (D 128, 4 layers, 16 image tokens, batch 48, one thread: the configuration that learns to draw characters)
trains on batches that producer processes encode while it runs, with a VAE of the public shape (f8c16, base 8). Told are
the consumer's wait as a share of the loop's time: in the first epoch, in which every picture is encoded while the model
trains, and in the later ones; and the time of a step over that of the same step with the batch already in memory, in
turns. Then how many bytes a second one consumer gets of large latents, mapped and over HTTP on loopback, every checksum
verified.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from feed_plan import BenchPlan, make, open_bench

from model.batches import LatentBatch
from model.config import MMDiTConfig
from model.consumer import Consumer
from model.feed.feed import FeedSettings
from model.feed.fetch import Fetcher
from model.feed.local import local_feed
from model.feed.messages import Encoding, Located, Place, ShardAt, Spot
from model.feed.server import serving
from model.feed.shard import read_manifest, write_shard
from model.mmdit import MMDiT
from model.text.characters import CharacterEncoder
from model.text.encoder import save_text
from model.vae import small
from model.vae_loading import build, save_vae

WIDTH = 64
SMALL = MMDiTConfig(
    num_layers=4, attention_head_dim=32, num_attention_heads=4, joint_attention_dim=WIDTH, axes_dims_rope=(8, 12, 12)
)


class Training:
    """One step: noise, forward, backward, AdamW."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = MMDiT(SMALL)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3)

    def step(self, batch: LatentBatch) -> None:
        noise, sigma = torch.randn_like(batch.latents), torch.rand(len(batch.latents))
        at = sigma[:, None, None, None]
        velocity = self.model.velocity((1 - at) * batch.latents + at * noise, sigma, batch.context, batch.lengths)
        (velocity - (noise - batch.latents)).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def train(plan: BenchPlan, folder: Path, producers: int, first_epoch: int) -> dict[str, float]:
    """One run from an empty store; shares of time and seconds a step."""
    torch.manual_seed(0)
    vae, text = folder / "vae", folder / "text"
    if not vae.exists():
        save_vae(build(small(8)), vae)
        save_text(CharacterEncoder(WIDTH), text)
    training, found = Training(), {}
    run = Path(tempfile.mkdtemp(dir=folder))
    settings = FeedSettings(ahead=8)
    with (
        local_feed(run, plan, vae, text, producers=producers, settings=settings, opener=open_bench) as feed,
        Consumer(plan, feed.url, opener=open_bench, prefetch=4, stall_s=300) as consumer,
    ):

        def fed(steps: range) -> tuple[float, float]:
            """Seconds that these steps took, and seconds waited for the feed within."""
            begin, waited = time.perf_counter(), consumer.waited_s
            for step in steps:
                training.step(consumer.batch(step))
            return time.perf_counter() - begin, consumer.waited_s - waited

        def held(steps: range) -> float:
            """Seconds of as many steps on a batch in memory."""
            begin = time.perf_counter()
            for _ in steps:
                training.step(batch)
            return time.perf_counter() - begin

        batch = consumer.batch(0)  # producers are up
        training.step(batch)
        took, waited = fed(range(1, first_epoch))
        found["first wait"], found["first step"] = waited / took, took / (first_epoch - 1)
        epochs = [range(at, at + first_epoch) for at in range(first_epoch, plan.steps, first_epoch)]
        pairs = [(*fed(steps), held(steps)) for steps in epochs]
        took, waited, memory = (sum(column) for column in zip(*pairs, strict=True))
        steps = plan.steps - first_epoch
        found["later wait"], found["later step"], found["held step"] = waited / took, took / steps, memory / steps
        found["encoded"] = feed.status().encoded
    return found


def pulls(folder: Path, megabytes: int, repeats: int) -> dict[str, list[float]]:
    """Bytes a second of latents of 1328 x 1328 pixels (1.76 MB each), mapped and pulled, from warm pages."""
    encoding = Encoding("bench", "bench", "bench", 16, 8, WIDTH)
    shape = (16, 166, 166)
    count = max(1, megabytes * 1_000_000 // (4 * 16 * 166 * 166))
    tensors = [(f"{number:032x}", torch.randn(shape)) for number in range(count)]
    name, _ = write_shard(folder / "pull", "latent", (1328, 1328), encoding, tensors, {}, {})
    manifest, start = read_manifest(folder / "pull" / name)
    spots = {e.key: Spot(name, start + e.offset, e.shape, e.check) for e in manifest.entries}
    located = Located(spots, {name: ShardAt("float32", (Place(str(folder / "pull"), ""),))}, {})
    rates: dict[str, list[float]] = {"mapped": [], "over HTTP": [], "mapped, into a batch": []}
    with serving(folder / "pull", None) as url:
        for _ in range(repeats):
            for way, local in (("mapped", True), ("over HTTP", False)):
                fetcher = Fetcher(url, local=local)
                begin = time.perf_counter()
                found = fetcher.fetch(located)
                rates[way].append(sum(t.nbytes for t in found.values()) / (time.perf_counter() - begin))
                if local:
                    begin = time.perf_counter()
                    found = fetcher.fetch(located)
                    batch = torch.empty(count, *shape)
                    for row, tensor in enumerate(found.values()):
                        batch[row] = tensor
                    rates["mapped, into a batch"].append(batch.nbytes / (time.perf_counter() - begin))
                fetcher.close()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=480)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--producers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=256)
    args = parser.parse_args()
    torch.set_num_threads(1)
    each = args.images // args.batch
    runs = []
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as folder:
        root = Path(folder)
        plan = make(root / "plan", args.images, args.batch, args.size, each * args.epochs)
        for _ in range(args.repeats):
            runs.append(train(plan, root, args.producers, each))
        rates = pulls(root, args.megabytes, max(3, args.repeats))
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    print(
        f"{args.producers} producers, {args.images} images of {args.size} px, batch {args.batch}, {args.epochs} epochs"
    )
    print(f"first epoch    waits {middle['first wait']:6.1%} of its time, {middle['first step'] * 1e3:6.1f} ms a step")
    print(
        f"later epochs   waits {middle['later wait']:6.1%} of their time, {middle['later step'] * 1e3:6.1f} ms a step"
    )
    print(f"in memory      {middle['held step'] * 1e3:6.1f} ms a step")
    for way, found in rates.items():
        print(f"{way:22} {statistics.median(found) / 1e9:6.2f} GB/s")
    ratios = [run["later step"] / run["held step"] for run in runs]
    last = {
        "name": "feed",
        "ratio": round(statistics.median(ratios), 3),
        "ours": round(middle["later step"] * 1e3, 2),
        "peer": round(middle["held step"] * 1e3, 2),
        "unit": "ms/step",
        "repeats": args.repeats,
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "wait_share": round(middle["later wait"], 4),
        "wait_share_first_epoch": round(middle["first wait"], 4),
        "gb_per_s": {way: round(statistics.median(found) / 1e9, 2) for way, found in rates.items()},
    }
    print(json.dumps(last))


if __name__ == "__main__":
    main()
