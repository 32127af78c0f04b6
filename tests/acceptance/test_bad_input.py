"""Every wrong turn ends in one line that says what to do, a non-zero exit code, and an unharmed lake."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance_tools import Run, command


def _one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("glyphmill: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0], lines[0]


@pytest.fixture(scope="module")
def small(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "pictures"
    folder.mkdir()
    for file in sorted(corpus.glob("000*")):
        shutil.copy2(file, folder)
    return folder


@pytest.fixture(scope="module")
def lake(small: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> Path:
    folder = tmp_path_factory.mktemp("lake") / "lake"
    glyphmill("curate", small, "--lake", folder)
    return folder


RECIPE = """
name = "mine"
store_from = 1
scales = [256]
[[stage]]
number = 1
name = "first"
rules = [{ name = "clear", when = "@" }]
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RECIPE.replace("@", "sharpnes >= 80"), ("sharpnes", "sharpness", "clear")),
        (RECIPE.replace("@", "sharpness >="), ("clear",)),
        (RECIPE.replace("@", "sharpness + 1"), ("clear", "yes/no")),
        (RECIPE.replace("name = ", "name : ", 1), ("TOML", "line 2")),
        (RECIPE.replace("store_from = 1", 'store_from = "one"'), ("store_from",)),
        (RECIPE.replace("store_from = 1\n", ""), ("store_from",)),
    ],
)
def test_wrong_recipes(text: str, words: tuple[str, ...], small: Path, tmp_path: Path, glyphmill: Run) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(text)
    _one_line(glyphmill("recipe", "check", recipe, code=2), "mine.toml", *words)
    # Refused before any byte is read: no lake is made.
    _one_line(glyphmill("curate", small, "--lake", tmp_path / "lake", "--recipe", recipe, code=2), "mine.toml", *words)
    assert not (tmp_path / "lake").exists()


def test_recipe_that_is_not_there(glyphmill: Run) -> None:
    _one_line(glyphmill("recipe", "check", "nowhere.toml", code=2), "nowhere.toml", "starter")


def test_source_that_is_not_there(tmp_path: Path, glyphmill: Run) -> None:
    _one_line(glyphmill("curate", tmp_path / "nothing", "--lake", tmp_path / "lake", code=2), "nothing")


def test_empty_source(tmp_path: Path, glyphmill: Run) -> None:
    (tmp_path / "empty").mkdir()
    _one_line(glyphmill("curate", tmp_path / "empty", "--lake", tmp_path / "lake", code=2), "empty")


@pytest.mark.parametrize("passes", [("query", "SELECT 1"), ("decide",), ("digest",), ("verify",), ("why", "abc")])
def test_lake_that_is_not_a_lake(passes: tuple[str, ...], small: Path, tmp_path: Path, glyphmill: Run) -> None:
    _one_line(glyphmill(*passes, "--lake", small, code=3), "not a lake")
    _one_line(glyphmill(*passes, "--lake", tmp_path / "nowhere", code=3), "no lake")


def test_lake_over_somebody_elses_files(small: Path, glyphmill: Run) -> None:
    before = sorted(small.iterdir())
    _one_line(glyphmill("curate", small, "--lake", small, code=3), str(small))
    assert sorted(small.iterdir()) == before


def test_wrong_sql(lake: Path, glyphmill: Run) -> None:
    _one_line(glyphmill("query", "SELECT nonsense FROM funnel", "--lake", lake, code=2), "nonsense")
    _one_line(glyphmill("query", "DROP TABLE inputs", "--lake", lake, code=2))
    _one_line(glyphmill("what-if", "sharpnes > 3", "--stage", 2, "--lake", lake, code=2), "sharpness")


def test_unknown_image(lake: Path, glyphmill: Run) -> None:
    _one_line(glyphmill("why", "ffffffffffffffffffffffffffffffff", "--lake", lake, code=2), "ffff")


def test_two_runs_at_once(lake: Path, small: Path, glyphmill: Run) -> None:
    from warehouse.lake import Lake

    before = glyphmill("digest", "--lake", lake).stdout
    with Lake.open(lake).lock("the night of the 21st"):
        _one_line(glyphmill("curate", small, "--lake", lake, code=4), "the night of the 21st", str(os.getpid()))
        assert glyphmill("digest", "--lake", lake).stdout == before  # readers go on
    glyphmill("curate", small, "--lake", lake)
    assert glyphmill("digest", "--lake", lake).stdout == before


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """An empty folder to mount on; whatever is mounted there is unmounted in the end."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    folder = tmp_path / "mount"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def _mounted(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")


def test_disk_full(mount: Path, corpus: Path, glyphmill: Run) -> None:
    _mounted("-t", "tmpfs", "-o", "size=6m", "tmpfs", str(mount))
    lake = mount / "lake"
    done = subprocess.run(command("curate", corpus, "--lake", lake), capture_output=True, text=True, timeout=300)
    assert done.returncode == 3, done.stderr
    _one_line(done, "disk full")
    subprocess.run(["mount", "-o", "remount,size=400m", str(mount)], check=True)
    glyphmill("curate", corpus, "--lake", lake)
    glyphmill("verify", "--lake", lake)


def test_read_only_lake(mount: Path, lake: Path, small: Path, glyphmill: Run) -> None:
    _mounted("--bind", str(lake), str(mount))
    subprocess.run(["mount", "-o", "remount,ro,bind", str(mount)], check=True)
    assert glyphmill("digest", "--lake", mount).stdout == glyphmill("digest", "--lake", lake).stdout
    glyphmill("query", "SELECT * FROM funnel", "--lake", mount)
    glyphmill("verify", "--lake", mount)
    _one_line(glyphmill("curate", small, "--lake", mount, code=3), "cannot be written", "mounted")


def test_ctrl_c_is_one_line_and_the_next_run_goes_on(corpus: Path, tmp_path: Path, glyphmill: Run) -> None:
    lake = tmp_path / "lake"
    run = subprocess.Popen(command("curate", corpus, "--lake", lake), stderr=subprocess.PIPE, text=True)
    while not (lake / "catalog.sqlite").exists():
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130, told
    assert told.splitlines() == ["glyphmill: stopped; nothing half-done counts, run the same command again to go on"]
    glyphmill("curate", corpus, "--lake", lake)
    glyphmill("verify", "--lake", lake)
