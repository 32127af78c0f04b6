"""A feed with producers in threads, and what a step must hold, worked out without any feed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from feed_plans import open_listed, tiny_encoders

from model.batches import LatentBatch
from model.consumer import Consumer
from model.feed.client import Door, HttpDoor
from model.feed.encoders import Encoders, load_encoders
from model.feed.feed import Feed, FeedSettings
from model.feed.pixels import fitted
from model.feed.plans import OpenPlan, PlanLike, Plans
from model.feed.server import serving
from model.producer import Producer
from model.text.encoder import Prompt
from warehouse.errors import GlyphmillError


@dataclass
class Rig:
    """`url` serves `feed`. Producers and consumers that were started here end with it."""

    feed: Feed
    url: str
    plan: PlanLike
    encoders: Encoders
    stack: ExitStack
    opener: OpenPlan
    errors: list[GlyphmillError] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def produce(
        self, name: str = "p0", folder: Path | None = None, door: Door | None = None, *, look_ahead: bool = False
    ) -> Producer:
        plans = Plans(self.opener, known=[self.plan])
        at = door or HttpDoor(self.url)
        producer = Producer(at, self.encoders, plans, name, folder=folder, decoders=1, look_ahead=look_ahead)

        def run() -> None:
            try:
                producer.run()
            except GlyphmillError as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)
        return producer

    def consume(
        self, rank: int = 0, world: int = 1, *, prefetch: int = 2, local: bool = True, pad_to: int = 1
    ) -> Consumer:
        consumer = Consumer(
            self.plan, self.url, rank, world, prefetch=prefetch, local=local, pad_to=pad_to, stall_s=60.0,
            opener=self.opener,
        )  # fmt: skip
        return self.stack.enter_context(consumer)


@contextmanager
def rig(
    folder: Path,
    plan: PlanLike,
    settings: FeedSettings = FeedSettings(lease_s=5.0),  # noqa: B008 (frozen)
    *,
    producers: int = 1,
    rows: int | None = None,
    seed: int = 0,
    run: str = "run",
    opener: OpenPlan = open_listed,
) -> Iterator[Rig]:
    vae, text = tiny_encoders(folder, seed)
    feed = Feed(folder / run / "feed", settings, opener=opener)
    try:
        feed.begin(plan)
        with serving(feed.record.shards, feed) as url:
            feed.record.serving(url)
            with ExitStack() as stack:
                made = Rig(feed, url, plan, load_encoders(vae, text, device="cpu", rows=rows), stack, opener)
                for number in range(producers):
                    made.produce(f"p{number}")
                yield made
            feed.close()
            for thread in made.threads:
                thread.join(30)
                assert not thread.is_alive()
    finally:
        feed.close()


def expected(
    plan: PlanLike, encoders: Encoders, step: int, rank: int = 0, world: int = 1, pad_to: int = 1
) -> LatentBatch:
    """The batch of a step, each sample encoded alone, here and now."""
    planned = plan.batch(step)
    count = len(planned.samples)
    rows = []
    for place in range(count * rank // world, count * (rank + 1) // world):
        sample = planned.samples[place]
        data = [plan.read(p) for p in (sample.target, *sample.references)]
        if any(one is None for one in data):
            continue
        pixels = [fitted(one or b"", planned.height, planned.width).pixels for one in data]
        target, *references = (encoders.latents([one])[0] for one in pixels)
        told = " " if sample.dropped else sample.caption or ""
        text = encoders.text.encode([Prompt(told, tuple(pixels[1:]))])[0]
        rows.append((place, target, tuple(references), text))
    longest = max(len(row[3]) for row in rows)
    longest = -(-longest // pad_to) * pad_to
    context = torch.zeros(len(rows), longest, encoders.encoding.width)
    for number, row in enumerate(rows):
        context[number, : len(row[3])] = row[3]
    return LatentBatch(
        step, planned.phase, planned.task, tuple(row[0] for row in rows), torch.stack([row[1] for row in rows]),
        tuple(row[2] for row in rows), context, torch.tensor([len(row[3]) for row in rows]),
    )  # fmt: skip


def same(one: LatentBatch, other: LatentBatch) -> None:
    """Bit for bit."""
    assert (one.step, one.phase, one.task, one.positions) == (other.step, other.phase, other.task, other.positions)
    assert one.latents.dtype == other.latents.dtype == torch.float32
    assert torch.equal(one.latents, other.latents)
    assert torch.equal(one.context, other.context)
    assert one.lengths.dtype == torch.int64
    assert torch.equal(one.lengths, other.lengths)
    assert [len(row) for row in one.references] == [len(row) for row in other.references]
    for mine, theirs in zip(one.references, other.references, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def batches(consumer: Consumer, steps: Sequence[int]) -> list[LatentBatch]:
    return [consumer.batch(step) for step in steps]
