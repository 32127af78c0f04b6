"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from once import once
from postgres_server import PostgresServer, binaries
from s3_server import S3Server

# No clock decides a test, and the same examples are tried everywhere.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

REPO = Path(__file__).resolve().parent.parent

# Hundreds of processes are started: they compile a module once, not once each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Files that take longest, longest first: they start first, so that no worker is left alone with one in the end.
LONG = (
    "test_docs", "test_engines", "test_object_storage", "test_crash", "test_determinism", "test_annotate",
    "test_bad_input", "test_commit", "test_seven_stages", "test_inspect", "test_engine_beam", "test_round_trip",
    "test_nights", "test_scan", "test_forget", "test_airflow_dag", "test_train_pretrain", "test_vae_training",
    "test_learning", "test_parallel", "test_feed_chaos", "test_feed",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real test data; a test that needs it is skipped with a reason where it is absent."""
    folder = Path(os.environ.get("GLYPHMILL_DATA", REPO.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set GLYPHMILL_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole corpus of `glyphmill demo`; not to be changed."""
    from pipelines.demo import make_corpus

    return once(tmp_path_factory, "demo", make_corpus)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server of our own, on loopback; skipped with a reason where the machine has none."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="glyphmill-pg-"))
    folder.chmod(0o755)  # where the unprivileged user that it runs as gets in
    server = PostgresServer(folder, found)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 protocol server of our own, on loopback, which this process and its children are led to."""
    pytest.importorskip("moto", reason="no S3 server here: pip install 'moto[server]'")
    server = S3Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
    server.stop()


@pytest.fixture
def faults(s3: S3Server) -> Iterator[S3Server]:
    """The same server while every twentieth request fails."""
    s3.faults = 0.05
    yield s3
    s3.faults = 0.0
