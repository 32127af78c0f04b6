"""How tests run the command: as a process, or here."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import glyphmill

REPO = Path(__file__).resolve().parent.parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: object) -> list[str]:
    """The command line of `glyphmill ARGUMENTS`, with this very interpreter."""
    return [sys.executable, str(REPO / "glyphmill.py"), *(str(a) for a in arguments)]


def apart(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`glyphmill ARGUMENTS` as a process of its own."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=300, env={**os.environ, **(env or {})}
    )


def here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`glyphmill ARGUMENTS` in this process, which has imported everything: a process spends a second on that."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code: object = 0
    interrupted = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["glyphmill", *(str(a) for a in arguments)])
        try:
            glyphmill.main()
        except SystemExit as end:
            code = end.code or 0
        except Exception:  # noqa: BLE001 - what would end a process: told as Python tells it
            traceback.print_exc()
            code = 1
        finally:
            signal.signal(signal.SIGINT, interrupted)
    assert isinstance(code, int)
    return subprocess.CompletedProcess(sys.argv, code, *(s.buffer.getvalue().decode() for s in (out, err)))
