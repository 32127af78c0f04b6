"""Every example in README.md and docs/ runs: ```bash blocks in order, in one folder a page that holds `photos/`.

A block marked ```sh is for a terminal only (make, cron, another machine) and is not run; ```python blocks are run after
the bash blocks before them. Where a page does not say which recipe, it is `basic`, which runs no OCR.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_pictures import take
from warm_start import WarmStart

REPO = Path(__file__).resolve().parent.parent
PAGES = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


#: So many files of each kind of the demo corpus.
TAKEN = {
    "photographs": 24,
    "pages": 6,
    "tiny": 2,
    "with_code": 2,
    "copies": 3,
    "repeats": 3,
    "broken": 13,
    "mislabelled": 1,
}


@pytest.fixture(scope="module")
def photos(demo_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "photos"
    take(demo_corpus, TAKEN, folder)
    return folder


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the `glyphmill` that the examples find."""
    folder = tmp_path_factory.mktemp("bin")
    warm = WarmStart(folder)
    yield folder
    warm.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page: Path, photos: Path, bin_folder: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    if not blocks:
        pytest.skip("no example on this page")
    shutil.copytree(photos, tmp_path / "photos")
    path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    for language, code in blocks:
        command = ["bash", "-euo", "pipefail", "-c", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "GLYPHMILL_RECIPE": "basic"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
