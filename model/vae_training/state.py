"""The state of a training on disk: one file that is whole or not there."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from warehouse.errors import UsageError
from warehouse.files import replacing, told

KEYS = {"step", "weights", "optimizer", "data"}


@dataclass(frozen=True)
class State:
    """After `step` steps. `data`: where the pictures stand. Noise and crops need no state: they are drawn from seed and
    step."""

    step: int
    weights: dict[str, Any]
    optimizer: dict[str, Any]
    data: dict[str, int]


def write_state(path: Path, state: State) -> None:
    """Replaces what is there, all at once. Raises LakeError where the disk is full or read-only."""
    with told(f"writing {path}"), replacing(path) as temporary:
        torch.save({key: getattr(state, key) for key in sorted(KEYS)}, temporary)


def read_state(path: Path) -> State | None:
    """None where there is none. Raises UsageError for a file that is none of ours."""
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        first = (str(error).strip().splitlines() or ["it ends early"])[0]
        raise UsageError(f"{path} cannot be read ({first}): take it away to begin anew") from error
    if not isinstance(found, dict) or set(found) != KEYS:
        raise UsageError(f"{path} is no state of a VAE's training: take it away to begin anew")
    return State(**found)
