"""The writer lock: one run writes a lake at a time, and the one that waits is told for whom.

Each taking gives a token, a number that only rises, which the commit shows to the catalog (`warehouse/fence.py`).
Where the catalog is a SQLite file the lock is flock on a file beside it: the kernel gives it back when the owner dies,
however it dies. A catalog that several machines share keeps the lock itself (`warehouse/lease.py`).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from warehouse.errors import LakeBusy

POLL_S = 0.2


class Held(Protocol):
    """A lock that was taken."""

    token: int | None

    def still(self) -> bool:
        """Whether nobody has taken it since."""
        ...

    def release(self) -> None: ...


class WriterLock:
    """Taken once by each object, however often it asks; `take(purpose, until)` does it, or raises LakeBusy."""

    def __init__(self, take: Callable[[str, float], Held]) -> None:
        self._take = take
        self._depth = 0
        self._held: Held | None = None

    @property
    def token(self) -> int | None:
        """The token of the taking; None while the lock is not held."""
        return None if self._held is None else self._held.token

    def acquire(self, purpose: str, wait_s: float = 0) -> None:
        """Take the lock, or once more where this object holds it; raises LakeBusy after `wait_s` seconds."""
        if self._depth == 0:
            self._held = self._take(purpose, time.monotonic() + wait_s)
        self._depth += 1

    def check(self, lake: object) -> None:
        """Raises LakeBusy where the lock is not held any more: to be asked before files are removed, which no catalog
        can refuse."""
        if self._held is None or not self._held.still():
            raise LakeBusy(
                f"this run lost the lock of the lake {lake} while it stood still: run the same command again"
            )

    def release(self) -> None:
        """Undo one `acquire`."""
        self._depth -= 1
        if self._depth == 0 and self._held is not None:
            held, self._held = self._held, None
            held.release()


class FileLock:
    """flock on `path`, which names its owner for as long as it is held."""

    def __init__(self, path: Path, lake: object, purpose: str, until: float, raise_token: Callable[[], int | None]):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise LakeBusy(busy(lake, os.pread(file, 4096, 0).decode("utf-8", "replace"))) from None
                    time.sleep(POLL_S)
            os.ftruncate(file, 0)
            os.pwrite(file, owner(purpose).encode(), 0)
            self.token = raise_token()
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def still(self) -> bool:
        return True  # the kernel takes it from the dead only

    def release(self) -> None:
        os.ftruncate(self._file, 0)
        os.close(self._file)


def owner(purpose: str) -> str:
    """This process and what it is at, as JSON: what those who wait are told."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    machine, started = _machine(), _started(os.getpid())
    pid, host = os.getpid(), socket.gethostname()
    return json.dumps(
        {"pid": pid, "host": host, "purpose": purpose, "since": since, "machine": machine, "started": started}
    )


def is_dead(written: str) -> bool:
    """Whether the owner was a process of this very machine, since its last start, and is gone."""
    try:
        told = json.loads(written)
        machine, pid, started = told["machine"], int(told["pid"]), told["started"]
    except (ValueError, KeyError, TypeError):
        return False
    return machine is not None and machine == _machine() and _started(pid) != started


def busy(lake: object, written: str) -> str:
    """The line for a run that finds the lock held by the owner `written`."""
    try:
        told = json.loads(written)
        who = f"{told['purpose']} (process {told['pid']} on {told['host']}, since {told['since']})"
    except (ValueError, KeyError, TypeError):
        who = "another run"
    return f"the lake {lake} is being written by {who}: wait until it is done, or stop it, and run this again"


def _machine() -> str | None:
    """This start of this machine's kernel and this container's processes; None where that cannot be told."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 (no path comes out of it)
    return None


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None where it is gone or only waits to be collected."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    return None
