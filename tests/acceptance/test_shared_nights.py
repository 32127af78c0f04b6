"""Two nights of two sources at the same time, one catalog in PostgreSQL, and readers beside them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from acceptance_tools import Run, command, picture
from postgres_server import PostgresServer

from pipelines.extractors.header import EXTRACTOR
from warehouse.digest import digests
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.verify import verify

SOURCES = {"photos": 6, "posters": 5}
COUNTS = (
    "SELECT (SELECT count(*) FROM inputs), (SELECT count(*) FROM captions), (SELECT count(*) FROM signals_header), "
    "(SELECT count(*) FROM runs WHERE command = 'scan')"
)


class Reader(threading.Thread):
    """An analyst who keeps asking."""

    def __init__(self, lake: Path) -> None:
        super().__init__(daemon=True)
        self.lake, self.stopped = lake, threading.Event()
        self.seen: set[tuple[int, ...]] = set()
        self.errors: list[str] = []

    def run(self) -> None:
        with Lake.open(self.lake, read_only=True).connect(read_only=True) as con:
            while not self.stopped.wait(0.1):
                try:
                    self.seen |= set(con.execute(COUNTS).fetchall())
                except (duckdb.Error, LakeError) as error:
                    self.errors.append(str(error))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    rng, found = np.random.default_rng(3), {}
    for name, count in SOURCES.items():
        found[name] = tmp_path_factory.mktemp("sources") / name
        found[name].mkdir()
        for number in range(count):
            picture(rng).save(found[name] / f"{number}.jpg", quality=90)
            (found[name] / f"{number}.txt").write_text(f"{name} {number}", encoding="utf-8")
    return found


def arriving(sources: dict[str, Path], lake: Path) -> Iterator[subprocess.Popen[str]]:
    """A scan of each source, all at once."""
    for name, folder in sources.items():
        line = command("scan", folder, "--lake", lake, "--batch", f"night of {name}", "--workers", 1, "--quiet")
        yield subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_two_nights_at_once_are_both_whole_and_no_reader_sees_half_of_one(
    sources: dict[str, Path], postgres: PostgresServer, tmp_path: Path, glyphmill: Run
) -> None:
    shared, plain = tmp_path / "shared", tmp_path / "plain"
    for name, folder in sources.items():
        glyphmill("scan", folder, "--lake", plain, "--batch", f"night of {name}", "--workers", 1, "--quiet")
    made = Lake.create(shared, catalog=f"postgres:{postgres.database('nights')}")
    with made.connect() as con:
        made.ensure_tables(con, [EXTRACTOR.table])  # which the first scan would make: the reader asks for it before
    reader = Reader(shared)
    reader.start()
    for child in list(arriving(sources, shared)):
        said, _ = child.communicate(timeout=300)
        assert child.returncode == 0, said
    reader.stopped.set()
    reader.join()

    assert not reader.errors
    one, other = SOURCES.values()
    whole = {(0, 0, 0, 0), (one, one, one, 1), (other, other, other, 1), (one + other,) * 3 + (2,)}
    assert reader.seen <= whole
    with made.connect() as con, Lake.open(plain).connect() as sequential:
        assert con.execute(COUNTS).fetchone() == (one + other, one + other, one + other, 2)
        assert digests(con) == digests(sequential)
    assert not any(check.problems for check in verify(made))
