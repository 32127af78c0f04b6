"""The feed that a training serves for itself: where its producers run, and how much of the disk it may fill."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from model.feed.feed import FeedSettings
from model.feed.record import FOLDER

AHEAD = 16


def settings(run: Path, budget_gb: float | None, ahead: int = AHEAD) -> FeedSettings:
    """`budget_gb`: most gigabytes of shards; None: half of what the disk of `run` has for them, which is what is free
    and what they take already."""
    if budget_gb is not None:
        return FeedSettings(ahead, int(budget_gb * 1e9))
    shards = run / FOLDER / "shards"
    held = sum(path.stat().st_size for path in shards.iterdir() if path.is_file()) if shards.is_dir() else 0
    there = next(path for path in (run, *run.absolute().parents) if path.exists())
    return FeedSettings(ahead, (shutil.disk_usage(there).free + held) // 2)


def producer_devices(device: torch.device, gpus: int, ranks: int) -> tuple[str, ...]:
    """Devices for producers, the best first: a machine's GPUs (`gpus` of them) on which none of its `ranks` trains,
    then the others, those of the last ranks first. Without a GPU to train on, the CPU."""
    if device.type != "cuda":
        return (str(device),)
    taken = range(ranks) if ranks > 1 else (device.index or 0,)
    free = [gpu for gpu in range(gpus) if gpu not in taken]
    return tuple(f"cuda:{gpu}" for gpu in [*free, *(gpu for gpu in reversed(range(gpus)) if gpu not in free)])


def devices_here(device: torch.device) -> tuple[str, ...]:
    """`producer_devices` of this machine."""
    gpus = torch.cuda.device_count() if device.type == "cuda" else 0
    return producer_devices(device, gpus, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
