"""A signal asks for the end of the training; the step that runs is finished and saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from warehouse.errors import GlyphmillError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedBySignal(GlyphmillError):  # noqa: N818 - nothing went wrong
    """Saved and stopped because a signal asked for it; the exit code is the shell's: 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class StopAsked:
    """`asked`: the number of the signal that came, or None."""

    asked: int | None = None


@contextmanager
def listening() -> Iterator[StopAsked]:
    """SIGTERM and SIGINT are noted within, where this is the main thread. A second one ends the process at once."""
    stop = StopAsked()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        stop.asked = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
