"""The writer lock: one run writes a lake at a time, and the one that waits is told for whom."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from warehouse.errors import LakeBusy

POLL_S = 0.2


class WriterLock:
    """flock on a file that names its owner; the kernel gives it back when the owner dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = 0
        self._file: int | None = None

    def acquire(self, purpose: str, wait_s: float = 0) -> None:
        """Take the lock, or once more where this object holds it; raises LakeBusy after `wait_s` seconds."""
        if self._held == 0:
            self._file = self._take(purpose, time.monotonic() + wait_s)
        self._held += 1

    def release(self) -> None:
        """Undo one `acquire`."""
        self._held -= 1
        if self._held == 0 and self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def _take(self, purpose: str, until: float) -> int:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise LakeBusy(_busy(self.path.parent, os.pread(file, 4096, 0))) from None
                    time.sleep(POLL_S)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose, "since": since}
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(owner).encode(), 0)
        except BaseException:
            os.close(file)
            raise
        return file


def _busy(root: Path, written: bytes) -> str:
    try:
        owner = json.loads(written)
        who = f"{owner['purpose']} (process {owner['pid']} on {owner['host']}, since {owner['since']})"
    except (ValueError, KeyError, TypeError):
        who = "another run"
    return f"the lake {root} is being written by {who}: wait until it is done, or stop it, and run this again"
