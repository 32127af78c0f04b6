"""Folders of checkpoints: their names, which of them stay, and whether what lies in one is what was written."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from warehouse.errors import GlyphmillError, UsageError
from warehouse.files import sync

#: JSON values: what the non-tensor part of a checkpoint is made of.
Json = Any

STATE = "state.json"
FORMAT = 1
_NAME = re.compile(r"step-(\d{9})")
_UNFINISHED = ".unfinished-"
_PIECE = 1 << 24  # bytes read at a time


class CheckpointError(GlyphmillError):
    """A checkpoint could not be written, or what lies there is not what was written."""


@dataclass(frozen=True)
class Retention:
    """Which checkpoints stay: the newest `last`, and every one whose step is a multiple of `every` (None: no others).

    Raises UsageError where nothing would stay.
    """

    last: int = 3
    every: int | None = None

    def __post_init__(self) -> None:
        if self.last < 1 or (self.every is not None and self.every < 1):
            raise UsageError(f"keep at least the newest checkpoint, not last={self.last}, every={self.every}")

    def kept(self, steps: Sequence[int]) -> set[int]:
        newest = set(sorted(steps)[-self.last :])
        return newest | {step for step in steps if self.every is not None and step % self.every == 0}


def name_of(step: int) -> str:
    if not 0 <= step < 10**9:
        raise UsageError(f"a checkpoint's step is 0 to 999,999,999, not {step}")
    return f"step-{step:09d}"


def step_of(path: Path) -> int | None:
    """The step that a folder's name tells; None: no finished checkpoint's name."""
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else None


def checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints of a run, oldest step first. A folder has its name only once it is whole."""
    if not folder.is_dir():
        return []
    found = [(step, path) for path in folder.iterdir() if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found)]


def latest(folder: Path) -> Path | None:
    """The newest finished checkpoint of a run; None: it has none yet."""
    found = checkpoints(folder)
    return found[-1] if found else None


def begin(folder: Path, step: int) -> Path:
    """A new folder to write into, that no reader takes for a checkpoint. Sweeps what killed runs left behind: one run
    at a time owns `folder`. Raises UsageError where the step is there already: finished output is never replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
    if (folder / name_of(step)).exists():
        raise UsageError(
            f"{folder / name_of(step)} is there already: go on from it, or train into another folder (or move it away)"
        )
    path = folder / f"{_UNFINISHED}{name_of(step)}-{os.getpid()}-{secrets.token_hex(4)}"
    path.mkdir()
    return path


def finish(unfinished: Path, step: int, state: Mapping[str, Json], keep: Retention | None) -> Path:
    """Writes the JSON part, makes all durable, gives the folder its name; only then do older checkpoints go."""
    target = unfinished / STATE
    target.write_text(json.dumps(state, indent=1))
    for path in unfinished.iterdir():
        sync(path)
    sync(unfinished)
    final = unfinished.parent / name_of(step)
    unfinished.rename(final)
    sync(final.parent)
    if keep is not None:
        prune(final.parent, keep)
    return final


def prune(folder: Path, keep: Retention) -> None:
    """Removes what `keep` does not name. Each first loses its name: a kill leaves no half one that has it."""
    by_step = {step: path for path in checkpoints(folder) if (step := step_of(path)) is not None}
    for step in sorted(set(by_step) - keep.kept(list(by_step))):
        leaving = folder / f"{_UNFINISHED}{by_step[step].name}-{secrets.token_hex(4)}"
        by_step[step].rename(leaving)
        shutil.rmtree(leaving)


def digest(path: Path) -> str:
    """16 hex of a file's content."""
    seen = xxhash.xxh3_64()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            seen.update(piece)
    return seen.hexdigest()


def data_files(path: Path) -> list[Path]:
    """The files of a checkpoint that its state.json vouches for, by name."""
    return sorted(file for file in path.iterdir() if file.name != STATE)


def read_state(path: Path) -> dict[str, Json]:
    """The JSON part of a finished checkpoint. Raises UsageError where `path` is none, CheckpointError where torn."""
    try:
        state = json.loads((path / STATE).read_text())
    except FileNotFoundError as error:
        raise UsageError(f"{path} is no checkpoint of ours: it has no {STATE}") from error
    except ValueError as error:
        raise CheckpointError(f"{path / STATE} is damaged ({error}): take an older checkpoint") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UsageError(f"{path} is of another version of the program (format {FORMAT} is read here)")
    return state


def verify(path: Path, files: Mapping[str, Sequence[Json]], share: int = 0, of: int = 1) -> None:
    """Every `of`-th file from `share` on has the size and content that were written. Raises CheckpointError.

    `files`: name to (bytes, digest).
    """
    for name in sorted(files)[share::of]:
        size, content = files[name]
        file = path / name
        if not file.is_file():
            raise CheckpointError(f"{path} is damaged: {name} is missing; take an older checkpoint")
        if file.stat().st_size != size or digest(file) != content:
            raise CheckpointError(f"{path} is damaged: {name} is not what was written; take an older checkpoint")


def differences(there: Json, here: Json, name: str = "") -> list[str]:
    """Where two JSON values differ, each as `dotted.name is X there, Y here`; lists are compared as a whole."""
    if isinstance(there, dict) and isinstance(here, dict):
        found: list[str] = []
        for key in sorted(there.keys() | here.keys()):
            dotted = f"{name}.{key}" if name else str(key)
            if key not in there or key not in here:
                where = "here" if key not in there else "there"
                found.append(f"{dotted} is only {where}")
            else:
                found += differences(there[key], here[key], dotted)
        return found
    return [] if there == here else [f"{name} is {there!r} there, {here!r} here"]
