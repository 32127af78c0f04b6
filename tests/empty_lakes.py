"""Lakes to test on. Making a catalog takes half a second, so one is made and copied."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from warehouse.lake import Lake


def empty_lake(root: Path) -> Lake:
    """A lake at `root` as `Lake.create` makes it."""
    shutil.copytree(_template(), root)
    return Lake.open(root)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="glyphmill-lake-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(Lake.create(folder / "lake").root)
