"""Whole commands on real files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from acceptance_tools import Run, apart, here, picture
from once import once
from PIL import ImageFilter


@pytest.fixture(scope="session", autouse=True)
def _basic_recipe() -> Iterator[None]:
    """Where a test names no recipe, it is the one without OCR: these tests are about files, crashes and rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHMILL_RECIPE", "basic")
        yield


@pytest.fixture(scope="session")
def glyphmill() -> Run:
    """Run `glyphmill ARGUMENTS` and return what it printed; `code` is the exit code that is expected. With an
    environment of its own it is a process of its own."""

    def run(*arguments: object, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = here(*arguments) if env is None else apart(*arguments, env=env)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def rows(glyphmill: Run) -> Callable[..., list[dict[str, object]]]:
    """Rows of a query against a lake, as dicts."""

    def query(sql: str, lake: Path) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(glyphmill("query", sql, "--lake", lake, "--format", "json").stdout)
        return found

    return query


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 small files: pictures with captions, near copies, repeats, blurred ones, and broken ones."""
    return once(tmp_path_factory, "pictures", _draw)


def _draw(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(7)
    for number in range(100):
        image = picture(rng)
        stem = folder / f"{number:04d}"
        image.save(stem.with_suffix(".png" if number % 9 == 0 else ".jpg"), quality=90)
        stem.with_suffix(".txt").write_text(f"picture number {number}\n", encoding="utf-8")
        if number % 5 == 0:
            image.resize((360, 270)).save(folder / f"{number:04d}-small.jpg", quality=80)
        if number % 10 == 3:
            image.save(folder / f"{number:04d}-again.jpg", quality=90)
        if number % 10 == 4:
            image.filter(ImageFilter.GaussianBlur(9)).save(folder / f"{number:04d}-blurred.jpg")
        if number % 20 == 5:
            data = stem.with_suffix(".jpg").read_bytes() if number % 9 else b""
            (folder / f"{number:04d}-cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "notes.html").write_text("<!DOCTYPE html><p>no picture")
