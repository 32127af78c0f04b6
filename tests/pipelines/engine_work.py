"""Work for the engine's tests: module-level functions, as workers import them; nothing that takes long to import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pipelines.engines import beat
from warehouse.errors import LakeError

_ready = False


def double(unit: int) -> int:
    return 2 * unit


def make_ready() -> None:
    global _ready
    _ready = True


def is_ready(unit: int) -> bool:
    return _ready


def slow_first(unit: int) -> int:
    time.sleep(0.6 if unit == 0 else 0.0)
    return unit


def die_on_three(unit: int) -> int:
    if unit == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return unit


def die_once(unit: tuple[str, int]) -> int:
    """Dies on its first try at number 5 and leaves a note that it did."""
    folder, number = unit
    note = Path(folder) / "tried"
    if number == 5 and not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def hang_on_one(unit: int) -> int:
    if unit == 1:
        time.sleep(3600)
    return unit


def long_but_alive(unit: int) -> int:
    for _ in range(15):
        time.sleep(0.1)
        beat()
    return unit


def fail_on_two(unit: int) -> int:
    if unit == 2:
        raise ValueError("two is not welcome")
    return unit


def disk_full(unit: object) -> int:
    raise LakeError("the disk is full: make room and run again")


def threads(unit: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def pid_and_sleep(unit: str) -> int:
    """Leaves its process id in the folder, then sleeps for an hour."""
    (Path(unit) / f"{os.getpid()}.pid").touch()
    time.sleep(3600)
    return 0


def pid(unit: int) -> int:
    return os.getpid()


def disk_full_on_one(unit: int) -> int:
    return disk_full(unit) if unit == 1 else unit


_times_ready = 0


def count_ready() -> None:
    global _times_ready
    _times_ready += 1


def trouble(unit: tuple[str, int]) -> tuple[int, int]:
    """(process, how often it was set up), after what the unit asks for."""
    what, number = unit
    if what == "raise":
        raise ValueError("two is not welcome")
    if what == "die":
        os._exit(7)
    if what == "hang":
        time.sleep(3600)
    if what == "beat":
        long_but_alive(number)
    return os.getpid(), _times_ready


def one_then_sleep(unit: tuple[str, int]) -> int:
    """The first six are quick, then each sleeps for an hour."""
    if unit[1] >= 6:
        time.sleep(3600)
    return unit[1]
