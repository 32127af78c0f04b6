"""kill -9 at random moments, then the same command again: as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_tools import Run, command

LAKES = 25 if os.environ.get("GLYPHMILL_SOAK") else 1
KILLS_PER_LAKE = 6
COUNTS = ("SELECT count(*) FROM inputs", "SELECT count(*) FROM captions", "SELECT count(*) FROM shard_index")


class Reader(threading.Thread):
    """An analyst who keeps asking while the runs go on: notes every count that was ever visible."""

    def __init__(self, lake: Path) -> None:
        super().__init__(daemon=True)
        self.lake = lake
        self.stopped = threading.Event()
        self.seen: set[tuple[int, ...]] = set()
        self.errors: list[str] = []

    def run(self) -> None:
        import duckdb

        from warehouse.errors import LakeError
        from warehouse.lake import Lake

        while not self.stopped.wait(0.2):
            try:
                with Lake.open(self.lake, read_only=True).connect(read_only=True) as con:
                    con.execute("BEGIN")
                    row = con.execute(f"SELECT {', '.join(f'({c})' for c in COUNTS)}").fetchone()
                    con.execute("COMMIT")
                    if row is not None:
                        self.seen.add(row)
            except LakeError as error:
                if "no lake at" not in str(error) and "is not a lake" not in str(error):
                    self.errors.append(str(error))
            except duckdb.Error as error:
                self.errors.append(str(error))


@pytest.fixture(scope="module")
def untouched(corpus: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> tuple[Path, float]:
    """A lake that was never killed, and the seconds it took."""
    lake = tmp_path_factory.mktemp("untouched") / "lake"
    started = time.monotonic()
    glyphmill("curate", corpus, "--lake", lake, "--workers", 2, env={})  # a process, as those that are killed
    return lake, time.monotonic() - started


@pytest.mark.parametrize("seed", range(LAKES))
def test_killed_and_run_again_is_the_same(
    seed: int,
    corpus: Path,
    untouched: tuple[Path, float],
    tmp_path: Path,
    glyphmill: Run,
    rows: Callable[..., list[dict[str, object]]],
) -> None:
    whole, seconds = untouched
    moments = random.Random(seed)
    lake = tmp_path / "lake"
    reader = Reader(lake)
    reader.start()
    for part in moments.sample(range(KILLS_PER_LAKE), KILLS_PER_LAKE):  # once in each part of a run
        run = subprocess.Popen(
            command("curate", corpus, "--lake", lake, "--workers", 2),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            run.wait(timeout=(0.1 + 0.9 * (part + moments.random()) / KILLS_PER_LAKE) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
    glyphmill("curate", corpus, "--lake", lake, "--workers", 2)
    reader.stopped.set()
    reader.join()

    assert glyphmill("digest", "--lake", lake).stdout == glyphmill("digest", "--lake", whole).stdout
    glyphmill("verify", "--lake", lake)
    pool, same = sorted((lake / "shards/pool").glob("*.tar")), sorted((whole / "shards/pool").glob("*.tar"))
    assert [(p.name, p.read_bytes()) for p in pool] == [(p.name, p.read_bytes()) for p in same]
    assert not reader.errors
    (final,) = rows(
        f"SELECT {', '.join(f'({c}) AS n{i}' for i, c in enumerate(COUNTS))}",
        lake,
    )
    inputs, captions, stored = (int(str(v)) for v in final.values())
    assert reader.seen <= {(0, 0, 0), (inputs, captions, 0), (inputs, captions, stored)}
