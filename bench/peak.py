"""Peak memory of processes, as the kernel counts it from their start.

`getrusage` does not serve: what it tells of a child begins with what its parent held when it was started.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def peak_mb(pid: int | None = None) -> float:
    """Peak resident memory of a process (None: this one) in MB of 10^6 bytes; 0 where it has ended."""
    try:
        told = Path(f"/proc/{pid or os.getpid()}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = [line for line in told.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) * 1024 / 1e6 if lines else 0.0


@contextmanager
def children_peak() -> Iterator[list[float]]:
    """The largest peak of any child of this process so far, in a list of one, looked at ten times a second."""
    found, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for task in Path("/proc/self/task").iterdir():
                for child in (task / "children").read_text().split():
                    found[0] = max(found[0], peak_mb(int(child)))
            time.sleep(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
