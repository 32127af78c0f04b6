"""A folder for what travels between the processes of one run: gone when it ends; what killed runs left, with the next.

A run holds a lock (flock) in its folder for as long as it lives, and the kernel gives that back however it dies.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import UsageError

LOCK = "alive"
YOUNG_S = 600.0  # a folder may be a moment old before its lock is taken


@contextmanager
def scratch(kind: str, where: str | None) -> Iterator[str]:
    """A new folder under `where`, the system's place for temporary files if None. `kind`: a word of its name.

    Raises UsageError where there is no such place.
    """
    root = Path(where or tempfile.gettempdir())
    if not root.is_dir():
        raise UsageError(f"no folder {root}: make it, or name another with --engine-opt scratch=FOLDER")
    prefix = f"glyphmill-{kind}-{socket.gethostname()}-"  # locks of other machines cannot be asked for
    _sweep(root, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        with (folder / LOCK).open("wb") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)
            yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a worker may still leave a file while it goes: the next run sweeps


def _sweep(root: Path, prefix: str) -> None:
    """Remove the folders of runs that are no more."""
    for folder in root.glob(f"{prefix}*"):
        try:
            if time.time() - folder.stat().st_mtime < YOUNG_S:
                continue
            with (folder / LOCK).open("ab") as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # held by a run that lives, another user's, or swept by another run just now
            continue
