"""The folder of a run: what lies where, what it was started with, and who is in it.

run.json                what was asked for: configuration, hashes, versions
metrics.jsonl           one line a step
validation.jsonl        one line a validation
checkpoints/step-...    everything, to go on from
samples/step-....png    sheets of pictures
tensorboard/            the numbers again
plan/, feed/            what is trained on, step by step; the latents that producers left
diagnosis/              of steps that went wrong
"""

from __future__ import annotations

import fcntl
import json
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from model.checkpoint_files import differences
from model.ranks import on_first
from warehouse.errors import UsageError
from warehouse.files import make_folder, replacing

FORMAT = 1


class RunFolder:
    """Paths in a run's folder, and its `run.json`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "run.json"
        self.metrics, self.validation = path / "metrics.jsonl", path / "validation.jsonl"
        self.checkpoints, self.samples = path / "checkpoints", path / "samples"
        self.tensorboard, self.diagnosis = path / "tensorboard", path / "diagnosis"
        self.plan, self.held_out, self.text = path / "plan", path / "held-out", path / "text_encoder"

    def read(self) -> dict[str, Any] | None:
        """What `run.json` says; None where there is none. Raises UsageError where it is none of ours."""
        if not self.file.exists():
            return None
        try:
            told = json.loads(self.file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{self.file} is damaged ({error}): restore it, or train into another folder") from error
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise UsageError(f"{self.file} is of another version of the program (format {FORMAT} is read here)")
        return told

    def start(self, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Write `run.json`, or compare with what is there: a run goes on only as what it is. `identity`: what decides
        its numbers; `settings`: what does not. Raises UsageError, naming what differs, and changes nothing then."""
        there = self.read()
        if there is None:
            if self.path.is_dir() and any(self.checkpoints.glob("step-*")):
                raise UsageError(
                    f"{self.path} has checkpoints and no run.json: restore it, or train into another folder"
                )
            told = {"format": FORMAT, "identity": identity, "settings": settings, "versions": versions()}
            with replacing(self.file) as temporary:
                temporary.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            return
        here = json.loads(json.dumps(identity))
        different = differences(there["identity"], here)
        if different:
            more = f", and {len(different) - 3} more" if len(different) > 3 else ""
            raise UsageError(
                f"{self.path} is a run of another configuration: {'; '.join(different[:3])}{more}. Ask for what it was "
                "started with, or train into another folder"
            )

    def begin(self, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """`start` by the first rank, for all of them: what it raises is raised on every one."""
        on_first(lambda: self.start(identity, settings))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder. Raises UsageError where another process trains in it."""
        make_folder(self.path)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another process trains in {self.path}: wait for it, or choose another folder"
                ) from error
            yield


@contextmanager
def opened(path: Path, *, dry_run: bool = False, first: bool = True) -> Iterator[RunFolder]:
    """The folder of a run, held by the first rank alone. For a dry run of what has not begun, a folder that goes away
    again, so that nothing is left where it was only asked for. Raises UsageError where another process trains in it."""
    with ExitStack() as stack:
        if dry_run and not path.exists():
            made = on_first(lambda: tempfile.mkdtemp(prefix="glyphmill-run-"))
            if first:
                stack.callback(shutil.rmtree, made, ignore_errors=True)
            yield RunFolder(Path(made))
            return
        if first:
            # the other ranks wait in the next thing that all do together; a refusal ends torchrun's whole group
            stack.enter_context(RunFolder(path).alone())
        yield RunFolder(path)


def versions() -> dict[str, str]:
    """Of what decides how numbers come out."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("glyphmill", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
