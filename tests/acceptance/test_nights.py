"""Nights of the whole command: killed at random moments, and two of them on one lake at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_tools import Run, command

LAKES = 20 if os.environ.get("GLYPHMILL_SOAK") else 1
KILLS_PER_LAKE = 2
DAY = "2026-11-20"


@pytest.fixture(scope="module")
def drop(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the corpus as one day's folder, and another as another source's."""
    folder = tmp_path_factory.mktemp("drop")
    for name, pattern in (("one", "00[0-2]*"), ("two", "00[3-4]*")):
        (folder / name / DAY).mkdir(parents=True)
        for file in sorted(corpus.glob(pattern)):
            shutil.copy2(file, folder / name / DAY)
    return folder


def night(drop: Path, source: str, lake: Path) -> list[str]:
    return command("nightly", "--lake", lake, "--source", drop / source / "{date}", "--date", DAY, "--workers", 2)


@pytest.fixture(scope="module")
def untouched(drop: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> tuple[Path, float]:
    """A lake whose night was never killed, and the seconds it took."""
    lake = tmp_path_factory.mktemp("untouched") / "lake"
    started = time.monotonic()
    done = glyphmill(*night(drop, "one", lake)[2:], "--json", "-", env={})
    summary = json.loads(done.stdout)
    assert (summary["status"], summary["exit_code"], summary["error"]) == ("done", 0, None)
    assert {one["name"] for one in summary["passes"]} == {"freeze", "scan", "near", "decide", "export", "views"}
    return lake, time.monotonic() - started


@pytest.mark.parametrize("seed", range(LAKES))
def test_a_night_that_is_killed_and_run_again_is_the_same(
    seed: int, drop: Path, untouched: tuple[Path, float], tmp_path: Path, glyphmill: Run
) -> None:
    whole, seconds = untouched
    moments = random.Random(seed)
    lake = tmp_path / "lake"
    for _ in range(KILLS_PER_LAKE):
        run = subprocess.Popen(night(drop, "one", lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(timeout=moments.uniform(0.15, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
    glyphmill(*night(drop, "one", lake)[2:])
    assert glyphmill("digest", "--lake", lake).stdout == glyphmill("digest", "--lake", whole).stdout
    glyphmill("verify", "--lake", lake)


def test_two_nights_at_once(
    drop: Path, tmp_path: Path, glyphmill: Run, rows: Callable[..., list[dict[str, object]]]
) -> None:
    lake = tmp_path / "lake"
    runs = [subprocess.Popen(night(drop, name, lake), stdout=subprocess.DEVNULL) for name in ("one", "two")]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    glyphmill("decide", "--lake", lake, "--quiet")
    (found,) = rows(
        "SELECT (SELECT count(DISTINCT source) FROM inputs) AS sources, (SELECT count(*) FROM inputs) AS inputs, "
        "(SELECT count(*) FROM near_compared) AS compared, (SELECT count(*) FROM signals_hashes) AS hashed, "
        "(SELECT list(status) FROM nights) AS nights",
        lake,
    )
    delivered = sum(1 for file in drop.glob(f"*/{DAY}/*") if file.suffix != ".txt")
    assert (found["sources"], found["inputs"], found["nights"]) == (2, delivered, ["done", "done"])
    assert found["compared"] == found["hashed"]
    glyphmill("verify", "--lake", lake)
