"""Files of weights: where they are, what they hold, and one line about those that cannot be used."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from annotate import models
from warehouse.errors import GlyphmillError, UsageError

#: What of a folder of weights decides a model's output: weights, configuration, vocabulary.
SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".npz", ".onnx", ".json", ".txt", ".model", ".gz"}


def local(name: str | None) -> Path | None:
    """The path that a setting names, or None where it names something else: an architecture, a tag, a model of a hub.

    A path starts with / or ~, so that none is ever taken for a tag.
    """
    path = Path(name or "").expanduser()
    return path if path.is_absolute() else None


def lacking(section: str, modules: Iterable[str], settings: Iterable[str | None]) -> str | None:
    """One line on what this machine lacks of a configured model: a library, or a file that its settings name."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: install glyphmill[clip]"
    for setting in settings:
        path = local(setting)
        if path is not None and not path.exists():
            return f"there is nothing at {path}: put the weights there, or correct [{section}] in {models.path()}"
    return None


def not_configured(section: str) -> str:
    """One line on a model that no section tells of."""
    return f"put a section [{section}] in {models.path()}, see docs/models.md"


def fingerprint(*settings: str | None) -> str:
    """What the settings stand for, 32 hex digits: the content of files and folders, the name of anything else.

    Raises UsageError for a path where nothing is.
    """
    told: list[str] = []
    for setting in settings:
        path = local(setting)
        told.append(repr(setting) if path is None else _content(path))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def _content(path: Path) -> str:
    try:
        files = [path] if path.is_file() else [p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file()]
        states = [(file, file.stat()) for file in sorted(files)]
        return "\n".join(f"{f.name} {_sha256(f, s.st_size, s.st_mtime_ns)}" for f, s in states)
    except OSError as error:
        raise UsageError(f"weights at {path} cannot be read: {error.strerror}: check {models.path()}") from error


@cache
def _sha256(file: Path, size: int, changed: int) -> str:
    """Read once a process and state of the file: weights are gigabytes."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def loading(section: str, what: str) -> Iterator[None]:
    """Whatever a library raises on weights or settings that it cannot take becomes a UsageError of one line."""
    try:
        yield
    except GlyphmillError:
        raise
    except _faults() as error:
        said = textwrap.shorten((str(error).strip().splitlines() or [""])[0], 200, placeholder=" ...")
        raise UsageError(
            f"{what} cannot be loaded ({type(error).__name__}: {said}): check [{section}] in {models.path()}"
        ) from error


def _faults() -> tuple[type[Exception], ...]:
    from safetensors import SafetensorError

    # Seen on truncated files, on weights of another architecture and on wrong configurations.
    return (
        *(OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, EOFError),
        *(ImportError, pickle.UnpicklingError, SafetensorError),
    )
