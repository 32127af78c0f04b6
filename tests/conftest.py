"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from postgres_server import PostgresServer, binaries

# No clock decides a test, and the same examples are tried everywhere.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real test data; a test that needs it is skipped with a reason where it is absent."""
    folder = Path(os.environ.get("GLYPHMILL_DATA", REPO.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set GLYPHMILL_DATA to its folder")
    return folder


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
