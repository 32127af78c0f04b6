"""Every example in README.md and docs/ runs: ```bash blocks in order, in one folder a page that holds `photos/`.

A block marked ```sh is for a terminal only (make, cron, another machine) and is not run; ```python blocks are run after
the bash blocks before them. Where a page does not say which recipe, it is `basic`, which runs no OCR.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
PAGES = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pipelines.demo import make_corpus

    whole = tmp_path_factory.mktemp("docs") / "photos"
    make_corpus(whole)
    for folder in (
        "blurred",
        "dark",
        "washed_out",
        "stretched",
        "tiny",
        "rotated",
        "uniform",
        "watermarked",
        "framed",
        "pixelated",
        "tiny_print",
    ):
        shutil.rmtree(whole / folder)
    for picture in sorted((whole / "photographs").iterdir()):
        if picture.suffix != ".txt" and int(hashlib.sha256(picture.stem.encode()).hexdigest(), 16) % 6:
            picture.unlink()
            picture.with_suffix(".txt").unlink()
    return whole


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page: Path, photos: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    if not blocks:
        pytest.skip("no example on this page")
    shutil.copytree(photos, tmp_path / "photos")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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
