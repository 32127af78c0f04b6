"""What is made once a run, however many processes the tests run in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` made at the path it was given, to be read only; the first process to ask makes it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each of xdist's workers has a folder in the run's
    folder, draft = base / "once" / name, base / "once" / f"{name}.draft"
    folder.parent.mkdir(exist_ok=True)
    with (base / "once" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(draft)
            draft.rename(folder)
    return folder
