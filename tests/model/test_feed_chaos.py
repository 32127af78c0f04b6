"""Producers are real processes here, killed with SIGKILL at random moments; every batch is as planned all the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from feed_plans import ListedPlan, open_listed, plain_plan, tiny_encoders
from feed_rig import expected, same

from model.consumer import Consumer
from model.feed.encoders import load_encoders
from model.feed.feed import Feed, FeedSettings
from model.feed.local import local_feed
from model.feed.server import serving
from model.feed.shard import read_manifest
from model.feed.worker import ProducerSettings, work
from warehouse.errors import LakeError

SOAK = os.environ.get("GLYPHMILL_SOAK") == "1"
KILLS = 200 if SOAK else 12
OPENER = "feed_plans:open_listed"


def produce(settings: ProducerSettings) -> None:
    """One producer. It ends with the test's process, and its last words matter to nobody."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        work(settings)


class Killer(threading.Thread):
    """Keeps `count` producers alive and kills `kills` of them, each after a random time; never says that it did."""

    def __init__(self, settings: list[ProducerSettings], kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.settings, self.kills, self.killed = settings, kills, 0
        self.ended = threading.Event()
        self._draw = random.Random(seed)
        # forked from a process that has imported everything: a start costs milliseconds
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["model.feed.worker", "model.producer", "feed_plans"])
        self.alive: list[BaseProcess] = [self._start(number) for number in range(len(settings))]

    def _start(self, number: int) -> BaseProcess:
        process = self._context.Process(target=produce, args=(self.settings[number],), daemon=True)
        process.start()
        return process

    def run(self) -> None:
        while self.killed < self.kills and not self.ended.wait(self._draw.uniform(0.02, 0.5)):
            number = self._draw.randrange(len(self.alive))
            self.alive[number].kill()
            self.alive[number].join()
            self.killed += 1
            self.alive[number] = self._start(number)

    def end(self) -> None:
        self.ended.set()
        self.join()
        for process in self.alive:
            process.join(30)
            assert process.exitcode == 0


@pytest.mark.parametrize("own_folders", [False, True])
@pytest.mark.parametrize("seed", range(5 if SOAK else 1))
def test_no_batch_is_lost_or_doubled(
    tmp_path: Path, own_folders: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a slow machine the kills come before anything is encoded, again and again; that says nothing of the sample.
    monkeypatch.setattr("model.feed.choose.HOPELESS", 10_000)
    plan = plain_plan(tmp_path / "plan", steps=1000 if SOAK else 60, pictures=400 if SOAK else 80)
    vae, text = tiny_encoders(tmp_path)
    encoders = load_encoders(vae, text, device="cpu")
    feed = Feed(tmp_path / "feed", FeedSettings(ahead=6, lease_s=0.6, most=3), opener=open_listed)
    feed.begin(plan)
    with serving(feed.record.shards, feed) as url:
        settings = [
            ProducerSettings(
                url, str(vae), str(text), f"p{number}", str(tmp_path / f"own{number}") if own_folders else None,
                opener=OPENER, device="cpu", patience_s=5.0,
            )
            for number in range(2)
        ]  # fmt: skip
        killer = Killer(settings, KILLS, seed)
        killer.start()
        seen: Counter[tuple[int, int]] = Counter()
        with (
            Consumer(plan, url, 0, 2, prefetch=2, opener=open_listed, stall_s=120, local=not own_folders) as zero,
            Consumer(plan, url, 1, 2, prefetch=1, opener=open_listed, stall_s=120) as one,
        ):
            for step in range(plan.steps):
                for rank, consumer in enumerate((zero, one)):
                    batch = consumer.batch(step)
                    same(batch, expected(plan, encoders, step, rank, 2))
                    seen.update((step, place) for place in batch.positions)
        status = feed.status()
        feed.close()
        killer.end()
    assert killer.killed > 3
    assert set(seen.values()) == {1}
    assert len(seen) == plan.steps * 4
    assert status.failure is None
    where = [tmp_path / f"own{number}" for number in range(2)] if own_folders else [feed.record.shards]
    # every entry was taken into the index once, whoever made it and however often
    indexed: Counter[str] = Counter()
    for held in feed.store._shards.values():
        indexed.update(held.keys)
    assert set(indexed.values()) == {1}
    assert len(indexed) == status.entries
    for folder in where:  # what has a shard's name is a whole shard, whatever was killed
        for path in folder.glob("*.safetensors"):
            read_manifest(path)


def test_local_producers_are_replaced(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path / "plan", steps=10)
    vae, text = tiny_encoders(tmp_path)
    encoders = load_encoders(vae, text, device="cpu")
    run = tmp_path / "run"
    with local_feed(run, plan, vae, text, settings=FeedSettings(ahead=2), opener=open_listed) as feed:
        with Consumer(plan, run, opener=open_listed, stall_s=120, prefetch=0) as consumer:
            same(consumer.batch(0), expected(plan, encoders, 0))
            (first,) = feed.processes
            os.kill(first, 9)
            for step in range(1, plan.steps):
                same(consumer.batch(step), expected(plan, encoders, step))
        assert feed.replaced == 1
        assert feed.processes != [first]
        ended = feed.processes
    assert not (run / "feed" / "server.json").exists()
    for process in ended:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_producer_that_cannot_be_replaced_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plain_plan(tmp_path / "plan", steps=2)
    vae, text = tiny_encoders(tmp_path)
    with local_feed(tmp_path / "run", plan, vae, text, opener=open_listed) as feed:

        def full(*asked: object, **settings: object) -> None:
            raise OSError(12, "Cannot allocate memory")

        monkeypatch.setattr("model.feed.local.subprocess.Popen", full)
        (first,) = feed.processes
        os.kill(first, 9)
        with (
            Consumer(plan, feed.url, opener=open_listed, stall_s=120) as consumer,
            pytest.raises(LakeError, match=r"no new one can be started .*Cannot allocate memory"),
        ):
            consumer.batch(0)


def test_an_error_of_a_local_producer_is_told_in_one_line(tmp_path: Path) -> None:
    plan: ListedPlan = plain_plan(tmp_path / "plan", steps=2)
    _, text = tiny_encoders(tmp_path)
    with (
        local_feed(tmp_path / "run", plan, tmp_path / "no-vae", text, opener=open_listed) as feed,
        Consumer(plan, feed.url, opener=open_listed, stall_s=120) as consumer,
        pytest.raises(
            LakeError, match=r"producer local-.*no config.json in .*no-vae: name the folder of a VAE"
        ) as told,
    ):
        consumer.batch(0)
    assert "\n" not in str(told.value)
