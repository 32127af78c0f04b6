"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

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
