"""Where a training's own producers run, and how much they may leave on the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from model.feed import local
from model.feed.feed import Feed, FeedSettings
from model.feed.worker import JSON, ProducerSettings
from model.training.feeding import producer_devices, settings

Usage = namedtuple("Usage", "total used free")


def test_producers_go_to_idle_gpus_first_and_then_over_all() -> None:
    cuda = torch.device("cuda:0")
    assert producer_devices(torch.device("cpu"), 0, 1) == ("cpu",)
    assert producer_devices(cuda, 1, 1) == ("cuda:0",)
    assert producer_devices(torch.device("cuda:1"), 3, 1) == ("cuda:0", "cuda:2", "cuda:1")
    assert producer_devices(cuda, 4, 2) == ("cuda:2", "cuda:3", "cuda:1", "cuda:0")
    assert producer_devices(cuda, 2, 2) == ("cuda:1", "cuda:0")


def test_the_budget_is_what_was_asked_for_or_half_of_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(5000, 4000, 1000))
    assert settings(tmp_path / "run", 2.5, 7) == FeedSettings(7, 2_500_000_000)
    assert settings(tmp_path / "run", None).budget == 500
    shards = tmp_path / "run" / "feed" / "shards"
    shards.mkdir(parents=True)
    (shards / "one").write_bytes(b"x" * 300)
    assert settings(tmp_path / "run", None).budget == 650


def test_devices_are_dealt_out_and_a_producer_that_died_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[ProducerSettings] = []

    class Process:
        pid = 0
        code: int | None = None

        def poll(self) -> int | None:
            return self.code

        def wait(self, timeout: float | None = None) -> int:
            return 0

    def started(arguments: list[str], **_: Any) -> Process:
        told.append(JSON.validate_json(arguments[-1]))
        return Process()

    monkeypatch.setattr(local.subprocess, "Popen", started)
    monkeypatch.setattr(local, "_LOOK_S", 60.0)  # it looks when it is told to
    feed = Feed(tmp_path / "feed", FeedSettings())
    one = ProducerSettings(store="http://127.0.0.1:1", vae="vae", text="text")
    herd = local._Herd(feed, one, 3, tmp_path / "logs", ("cuda:1", "cuda:0"))
    assert [settings.device for settings in told] == ["cuda:1", "cuda:0", "cuda:1"]
    herd._replace(str(told[1].name), -9)
    assert told[-1].device == "cuda:0"
    feed.close()
    herd.end()
