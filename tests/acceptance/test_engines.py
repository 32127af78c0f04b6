"""The same nights on local, Beam and Spark, undisturbed and killed: the same tables.

An extractor that can be held stops a scan in its middle, when some of its images are measured and some are not. Full
size, with every kind of late, changed and repeated delivery, and twenty rounds of kills for each engine, are soak.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from engine_nights import BEAM, DAYS, SPARK, Gate, Mill, deliver, two_deliveries
from spark_cluster import Cluster
from tiny_models import trained_open_clip, write_models

from warehouse.lake import Lake

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
ENGINES = ("local", "beam", "spark", "cluster")
ROUNDS = 20
TARS, IMAGES = 6, 12
KILLED_TARS, KILLED_IMAGES = 8, 40
FULL_TARS, FULL_IMAGES = 24, 84  # of the first night; the second has half as many tars
java = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed")


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    gate = Gate(tmp_path_factory.mktemp("gate"))
    gate.write()
    return gate


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return two_deliveries(tmp_path_factory.mktemp("nights"), TARS, IMAGES)


@pytest.fixture
def mill(tmp_path: Path, nights: list[Path], gate: Gate) -> Iterator[Mill]:
    yield Mill(tmp_path / "lake", nights, {"GLYPHMILL_EXTRACTORS": str(gate.folder)})
    gate.open()


@pytest.fixture(scope="module")
def undisturbed(nights: list[Path], gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The digests after each night on the local engine."""
    lake = tmp_path_factory.mktemp("undisturbed") / "lake"
    mill = Mill(lake, nights, {"GLYPHMILL_EXTRACTORS": str(gate.folder)})
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


def _options(engine: str, cluster: Cluster) -> tuple[str, ...]:
    if engine == "cluster":
        cluster.start()
        return ("--engine", "spark", *cluster.options)
    return {"local": (), "beam": BEAM, "spark": SPARK}[engine]


RECIPE = """
name = "parity"
store_from = 1
scales = [256, 640]
[duplicates]
max_distance = 16
max_tile_distance = 7.0
[[stage]]
number = 1
name = "initial curation"
rules = [{ name = "large enough", when = "min_side >= 256" }]
[[stage]]
number = 2
name = "image quality"
rules = [
  { name = "clear", when = "sharpness >= 30" },
  { name = "texture", when = "texture >= 0.5", applies_to = "real" },
]
[[stage]]
number = 3
name = "alignment"
rules = [{ name = "fits", when = "alignment_clip >= -0.5 OR synthetic" }]
[[stage]]
number = 6
name = "balance"
[[stage]]
number = 7
name = "best of leaf"
[balance]
tracks = { text = 0.2, portrait = 0.03 }
tokens = { minimum = 20 }
"""


def _embeddings(lake: Path) -> dict[str, np.ndarray]:
    with Lake.open(lake).connect(read_only=True) as con:
        found = con.execute("SELECT image_id, embedding_clip FROM signals_embedding_clip").fetchall()
    return {image: np.frombuffer(raw, np.float16).astype(float) for image, raw in found}


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="full size: make soak")
@java
def test_parity_at_full_size(tmp_path: Path, cluster: Cluster) -> None:
    """Two nights of a source. On the second date: new tars, one of the first night's again under a new name, one
    changed under its own, and one that comes late into the first date's folder."""
    architecture, weights = trained_open_clip()
    models = write_models(
        tmp_path / "models.toml",
        {"alignment.clip": {"library": "open_clip", "model": architecture, "weights": weights}},
    )
    recipe, source = tmp_path / "parity.toml", tmp_path / "source"
    recipe.write_text(RECIPE)
    mills = {engine: Mill(tmp_path / engine / "lake", [], {"GLYPHMILL_MODELS": str(models)}) for engine in ENGINES}
    known: list[bytes] = []
    for night, day in enumerate(DAYS):
        known = deliver(source / day, FULL_TARS // (1 + night), FULL_IMAGES, night + 1, known)
        if night:
            shutil.copy(source / DAYS[0] / "000.tar", source / day / "again.tar")
            for name, seed in (("003", 3), ("late", 4)):
                deliver(tmp_path / name, 1, FULL_IMAGES, seed, known)
                (tmp_path / name / "000.tar").replace(source / DAYS[0] / f"{name}.tar")
        told = {}
        for engine, mill in mills.items():
            arguments = ("--lake", mill.lake, "--source", source / "{date}", "--date", day, "--recipe", recipe)
            began = time.monotonic()
            said = mill.finish(mill.run("nightly", *arguments, "--workers", 2, *_options(engine, cluster)))
            print(f"{day} {engine}: {time.monotonic() - began:.0f} s\n{said.splitlines()[-1]}")
            told[engine] = mill.digest()
        print(told["local"])
        assert len(set(told.values())) == 1, told
        local = _embeddings(mills["local"].lake)
        assert len(local) > FULL_TARS * FULL_IMAGES / 2
        for engine in ENGINES[1:]:
            other = _embeddings(mills[engine].lake)
            assert other.keys() == local.keys()
            cosines = [(other[i] @ v) / np.linalg.norm(other[i]) / np.linalg.norm(v) for i, v in local.items()]
            print(f"{day} {engine}: {len(cosines)} embeddings, smallest cosine {min(cosines):.6f}")
            assert min(cosines) >= 0.9999


@pytest.fixture(scope="module")
def killed_nights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return two_deliveries(tmp_path_factory.mktemp("killed"), KILLED_TARS, KILLED_IMAGES)


@dataclass
class Whole:
    """Undisturbed nights: the digest after each, a lake after the first, and what each engine takes for them."""

    folder: Path
    nights: list[Path]
    digests: list[str]
    seconds: dict[str, list[float]]

    @property
    def first(self) -> Path:
        return self.folder / "first"

    def usual(self, engine: str, cluster: Cluster) -> list[float]:
        """Seconds of each night on the engine, which must make the same tables."""
        if engine not in self.seconds:
            mill = Mill(self.folder / engine / "lake", self.nights, {})
            self.seconds[engine] = []
            for night in (0, 1):
                options = _options(engine, cluster)
                began = time.monotonic()
                mill.curate(night, *options)
                self.seconds[engine].append(time.monotonic() - began)
                self.digests += [mill.digest()] if engine == "local" else []
                assert mill.digest() == self.digests[night]
                if engine == "local" and night == 0:
                    shutil.copytree(mill.lake, self.first)
            print(f"{engine}: nights of {self.seconds[engine]} s")
        return self.seconds[engine]


@pytest.fixture(scope="module")
def whole(killed_nights: list[Path], cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    found = Whole(tmp_path_factory.mktemp("whole"), killed_nights, [], {})
    found.usual("local", cluster)
    return found


def _a_process_below(run: subprocess.Popen[str], draw: random.Random) -> psutil.Process | None:
    with_work = [p for p in psutil.Process(run.pid).children(recursive=True) if "python" in p.name()]
    return draw.choice(with_work) if with_work else None


def _disturb(run: subprocess.Popen[str], engine: str, cluster: Cluster, draw: random.Random) -> str:
    """Kill the driver, one of its workers, a worker of the cluster or all of the cluster; says which."""
    kinds: dict[str, Callable[[], None]] = {"driver": run.kill}
    if engine == "cluster":
        kinds |= {"worker": cluster.kill_worker, "cluster": cluster.kill}
    elif (victim := _a_process_below(run, draw)) is not None:
        kinds["worker"] = victim.kill
    chosen = draw.choice(sorted(kinds))
    kinds[chosen]()
    return chosen


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="full size: make soak")
@java
@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_any_moment(
    engine: str, seed: int, killed_nights: list[Path], whole: Whole, cluster: Cluster, tmp_path: Path
) -> None:
    """A random process at a random moment of the first night or the second; then the same command again."""
    draw, night = random.Random(f"{engine} {seed}"), seed % 2
    lake = tmp_path / "lake"
    if night:
        shutil.copytree(whole.first, lake)
    mill = Mill(lake, killed_nights, {})
    moment, killed = draw.uniform(0.05, 0.9) * whole.usual(engine, cluster)[night], "nothing: it was done"
    options = _options(engine, cluster)
    run = mill.start(night, *options, *(("--engine-opt", "patience_s=5") if engine == "cluster" else ()))
    try:
        run.wait(moment)
    except subprocess.TimeoutExpired:
        killed = _disturb(run, engine, cluster, draw)
    run.communicate(timeout=1800)
    print(f"{engine}, night {night}: killed {killed} after {moment:.1f} s, exit {run.returncode}")
    mill.curate(night, *_options(engine, cluster))
    assert mill.digest() == whole.digests[night]
    mill.finish(mill.run("verify", "--lake", lake))
    shutil.rmtree(lake)
