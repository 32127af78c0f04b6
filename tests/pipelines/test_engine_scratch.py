"""Scratch folders: gone with their run, swept after a killed one, spared while another run lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from pipelines.engines.scratch import scratch

HOLD = """
import sys, time
from pipelines.engines.scratch import scratch
with scratch("x", sys.argv[1]) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_gone_at_the_end_and_swept_after_a_kill(tmp_path: Path) -> None:
    held = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    other = Path(held.stdout.readline().strip())
    (other / "rows").write_text("of a run")
    old = time.time() - 3600
    os.utime(other, (old, old))
    with scratch("x", str(tmp_path)) as mine:
        assert other.is_dir(), "another run's folder is spared while it lives"
    assert not Path(mine).exists()
    held.kill()
    held.wait()
    with scratch("y", str(tmp_path)):
        assert other.is_dir(), "other kinds are not this one's to sweep"
    with scratch("x", str(tmp_path)):
        assert not other.exists()
    assert list(tmp_path.iterdir()) == []
