"""The same nights on local, Beam, Spark and a standalone Spark cluster, undisturbed and killed: the same tables.

An extractor that can be held stops a scan in its middle, when some of its images are measured and some are not.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from acceptance_tools import command, picture
from PIL import ImageFilter
from spark_cluster import Cluster

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
ROUNDS = 20 if SOAK else 0
TARS, IMAGES = (24, 84) if SOAK else (6, 12)  # of the first night; the second has half as many tars
java = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed")

GATE = """
import time, uuid
from pathlib import Path
import pyarrow as pa
from pipelines.extractors.base import Extractor
from warehouse.schema import Column

FOLDER = Path({folder!r})

def measure(batch):
    (FOLDER / (uuid.uuid4().hex + ".seen")).touch()
    end = time.monotonic() + 90
    while (FOLDER / "hold").exists() and len(list(FOLDER.glob("*.seen"))) > {passed} and time.monotonic() < end:
        time.sleep(0.05)
    return [{{"gate": 1.0}} for _ in batch]

COLUMNS = (Column("gate", pa.float32(), "1 for every image"),)
EXTRACTOR = Extractor("gate", "1", "one row per image: 1", COLUMNS, measure)
"""


@dataclass
class Gate:
    """Holds every scan on this machine after its first units."""

    folder: Path
    passed: int = 2

    def hold(self) -> None:
        for note in self.folder.glob("*.seen"):
            note.unlink()
        (self.folder / "hold").touch()

    def wait(self) -> None:
        """Until a scan has come so far."""
        end = time.monotonic() + 150
        while len(list(self.folder.glob("*.seen"))) <= self.passed:
            assert time.monotonic() < end, "no scan came to the gate"
            time.sleep(0.05)

    def open(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)


def _tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _night(folder: Path, tars: int, images: int, seed: int, known: list[bytes]) -> list[bytes]:
    """Tars of pictures of which some are broken, repeats, near copies or blurred, with none, one or two captions."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    for number in range(tars):
        members: dict[str, bytes] = {}
        for i in range(images):
            made, kind, key = picture(draw), i % 12, f"{number:03d}-{i:03d}"
            if kind == 5:
                made = made.filter(ImageFilter.GaussianBlur(9))
            buffer = io.BytesIO()
            made.save(buffer, "PNG" if kind == 2 else "WEBP" if kind == 3 else "JPEG", quality=88)
            data = buffer.getvalue()
            if kind == 7 and known:
                data = known[int(draw.integers(len(known)))]
            if kind == 8:
                data = data[: len(data) // 2]
            if kind == 9:
                data = b"<!DOCTYPE html><p>no picture"
            members[f"{key}.jpg"] = data
            if kind != 4:
                members[f"{key}.txt"] = f"picture number {i} of {number}".encode()
            if kind % 3 == 0:
                members[f"{key}.json"] = b'{"caption": "a pattern of many colours", "license": "CC0"}'
            if kind == 1:
                small = io.BytesIO()
                made.resize((360, 270)).save(small, "JPEG", quality=80)
                members[f"{key}-small.jpg"] = small.getvalue()
            if kind < 2:
                known.append(data)
        _tar(folder / f"{number:03d}.tar", members)
    return known


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    folder = tmp_path_factory.mktemp("gate")
    gate = Gate(folder)
    (folder / "gate.py").write_text(GATE.format(folder=str(folder), passed=gate.passed))
    return gate


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two deliveries; the second brings new pictures, pictures of the first, and one of its tars under a new name."""
    first, second = tmp_path_factory.mktemp("one") / "tars", tmp_path_factory.mktemp("two") / "tars"
    known = _night(first, TARS, IMAGES, 1, [])
    _night(second, TARS // 2, IMAGES, 2, known)
    shutil.copy(first / "000.tar", second / "again.tar")
    return [first, second]


class Mill:
    """`glyphmill` on one lake, with the gate's extractor."""

    def __init__(self, lake: Path, nights: list[Path], gate: Gate) -> None:
        self.lake, self.nights, self.gate = lake, nights, gate
        self.env = {**os.environ, "GLYPHMILL_EXTRACTORS": str(gate.folder)}

    def start(self, night: int, *engine: str) -> subprocess.Popen[str]:
        arguments = ("curate", self.nights[night], "--lake", self.lake, "--batch", str(night), "--source-name", "s")
        return subprocess.Popen(
            command(*arguments, "--workers", 2, *engine),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.env,
        )

    def finish(self, run: subprocess.Popen[str], code: int = 0) -> str:
        said, _ = run.communicate(timeout=1800)
        assert run.returncode == code, said
        return said

    def curate(self, night: int, *engine: str) -> None:
        self.finish(self.start(night, *engine))

    def digest(self) -> str:
        done = subprocess.run(
            command("digest", "--lake", self.lake), capture_output=True, text=True, check=True, env=self.env
        )
        return done.stdout


@pytest.fixture
def mill(tmp_path: Path, nights: list[Path], gate: Gate) -> Iterator[Mill]:
    yield Mill(tmp_path / "lake", nights, gate)
    gate.open()


@pytest.fixture(scope="module")
def undisturbed(nights: list[Path], gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The digests after each night on the local engine."""
    mill = Mill(tmp_path_factory.mktemp("undisturbed") / "lake", nights, gate)
    digests = []
    for night in (0, 1):
        mill.curate(night)
        digests.append(mill.digest())
    assert digests[0] != digests[1]
    return digests


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("spark"))
    yield made
    made.kill()


SPARK = ("--engine", "spark", "--engine-opt", "master=local[2]")
BEAM = ("--engine", "beam")


@java
def test_two_nights_on_beam_and_spark(mill: Mill, undisturbed: list[str]) -> None:
    mill.curate(0, *BEAM)
    assert mill.digest() == undisturbed[0]
    mill.curate(1, *SPARK)
    assert mill.digest() == undisturbed[1]


@java
def test_a_killed_driver_is_taken_over_by_another_engine(
    mill: Mill, undisturbed: list[str], cluster: Cluster, gate: Gate
) -> None:
    """One of the cluster's workers is killed, and then the driver."""
    cluster.start()
    gate.hold()
    run = mill.start(0, "--engine", "spark", *cluster.options)
    gate.wait()
    cluster.kill_worker()
    run.kill()
    run.wait()
    gate.open()
    mill.curate(0, "--engine", "local")
    assert mill.digest() == undisturbed[0]


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="a night more on a cluster: make soak")
@java
def test_a_cluster_that_loses_a_worker(mill: Mill, undisturbed: list[str], cluster: Cluster, gate: Gate) -> None:
    cluster.start()
    gate.hold()
    run = mill.start(0, "--engine", "spark", *cluster.options)
    gate.wait()
    cluster.kill_worker()
    gate.open()
    mill.finish(run)
    assert mill.digest() == undisturbed[0]


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="a cluster more: make soak")
@java
def test_a_cluster_that_dies(mill: Mill, undisturbed: list[str], cluster: Cluster, gate: Gate) -> None:
    cluster.start()
    gate.hold()
    run = mill.start(0, "--engine", "spark", *cluster.options, "--engine-opt", "patience_s=5")
    gate.wait()
    cluster.kill()
    gate.open()
    assert "run again" in mill.finish(run, code=8)
    cluster.start()
    mill.curate(0, "--engine", "spark", *cluster.options)
    assert mill.digest() == undisturbed[0]


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="full size: make soak")
@java
@pytest.mark.parametrize("engine", ["local", "beam", "spark", "cluster"])
def test_parity_at_full_size(engine: str, mill: Mill, undisturbed: list[str], cluster: Cluster) -> None:
    if engine == "cluster":
        cluster.start()
    options = {"local": (), "beam": BEAM, "spark": SPARK, "cluster": ("--engine", "spark", *cluster.options)}[engine]
    for night in (0, 1):
        mill.curate(night, *options)
        assert mill.digest() == undisturbed[night]


def _a_process_below(run: subprocess.Popen[str], draw: random.Random) -> psutil.Process | None:
    with_work = [p for p in psutil.Process(run.pid).children(recursive=True) if "python" in p.name()]
    return draw.choice(with_work) if with_work else None


def _disturb(run: subprocess.Popen[str], engine: str, cluster: Cluster, draw: random.Random) -> None:
    """Kill the driver, one of its workers, a worker of the cluster or all of the cluster."""
    kinds: dict[str, Callable[[], None]] = {"driver": run.kill, "worker": cluster.kill_worker, "cluster": cluster.kill}
    if engine != "cluster":
        victim = _a_process_below(run, draw)
        kinds = {"driver": run.kill, "worker": victim.kill if victim else run.kill}
    kinds[draw.choice(sorted(kinds))]()


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="full size: make soak")
@java
@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("engine", ["local", "beam", "spark", "cluster"])
def test_killed_at_any_moment(
    engine: str, seed: int, mill: Mill, undisturbed: list[str], cluster: Cluster, gate: Gate
) -> None:
    """A random process at a random moment of either night; then the same command again."""
    draw = random.Random(f"{engine} {seed}")
    for night in (0, 1):
        if engine == "cluster":
            cluster.start()
        options = {"local": (), "beam": BEAM, "spark": SPARK}.get(engine) or ("--engine", "spark", *cluster.options)
        run = mill.start(night, *options, *(("--engine-opt", "patience_s=5") if engine == "cluster" else ()))
        try:
            run.wait(draw.uniform(2, 60))
        except subprocess.TimeoutExpired:
            _disturb(run, engine, cluster, draw)
        run.communicate(timeout=1800)
        if engine == "cluster":
            cluster.start()
            options = ("--engine", "spark", *cluster.options)
        mill.curate(night, *options)
        assert mill.digest() == undisturbed[night]
