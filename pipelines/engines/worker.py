"""One worker process of the local engine: `python -m pipelines.engines.worker FD`, tasks in and results out over FD.

Ends at once when the engine's process ends, however that happens: its side of the pipe closes.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from pipelines.engines import listen
from warehouse.errors import GlyphmillError

BEAT_EVERY_S = 0.5


def main(fd: int) -> None:
    """Serve until the engine closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the engine ends its workers itself
    pipe = Connection(fd)
    sys.path[:] = pipe.recv()
    tasks: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, tasks), daemon=True).start()
    _listen(pipe)
    _serve(pipe, tasks)


def _receive(pipe: Connection, tasks: SimpleQueue[bytes]) -> None:
    try:
        while True:
            tasks.put(pipe.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)  # the engine is gone: nobody waits for what the main thread is doing


def _listen(pipe: Connection) -> None:
    last = time.monotonic()

    def heard() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= BEAT_EVERY_S:
            last = now
            pipe.send(("beat", None))

    listen(heard)


def _serve(pipe: Connection, tasks: SimpleQueue[bytes]) -> None:
    work: Callable[[Any], Any] | None = None
    while True:
        task = tasks.get()
        try:
            kind, content = pickle.loads(task)
            if kind == "setup":
                work, setup = content
                if setup is not None:
                    setup()
                continue
            assert work is not None
            answer = pickle.dumps(("value", work(content)))
        except GlyphmillError as error:
            answer = pickle.dumps(("stop", error))
        except Exception as error:  # noqa: BLE001 - the boundary of the process: whatever it was, the engine reports it
            answer = pickle.dumps(("error", raised(error)))
        pipe.send_bytes(answer)


def raised(error: BaseException) -> str:
    """An exception as a Result's error: its own line first, the traceback behind it."""
    first = " ".join(f"{type(error).__name__}: {error}".split())
    return "\n".join([first, "".join(traceback.format_exception(error))])


if __name__ == "__main__":
    main(int(sys.argv[1]))
