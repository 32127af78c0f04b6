"""A core install, without extras: its commands find all that they need.

The suite runs where everything is installed, and a module that only an extra brings would not be missed. So the core's
requirements, and theirs, are linked into an environment of their own, and the commands run in that.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import tomllib
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

REPO = Path(__file__).resolve().parent.parent

#: Runs `glyphmill` with each list of arguments on stdin, in one process; tells how each ended, and what is installed.
DRIVER = """
import io, json, sys, traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import distributions

def run(arguments):
    out, code = io.StringIO(), 0
    sys.argv = ["glyphmill", *arguments]
    with redirect_stdout(out), redirect_stderr(out):
        try:
            glyphmill.main()
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
    return code, out.getvalue()

if __name__ == "__main__":
    import glyphmill
    ends = [run(arguments) for arguments in json.load(sys.stdin)]
    json.dump({"ends": ends, "installed": sorted({d.name for d in distributions()})}, sys.stdout)
"""


def core() -> dict[str, importlib.metadata.Distribution]:
    """The distributions that `pip install glyphmill` brings, by name; of what pyproject.toml asks for now."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    found: dict[str, importlib.metadata.Distribution] = {}
    while wanted:
        requirement = wanted.pop()
        name = requirement.name.lower().replace("_", "-")
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        asked = [Requirement(line) for line in found[name].requires or ()]
        extras = ["", *requirement.extras]
        wanted += [r for r in asked if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return found


def roots(distribution: importlib.metadata.Distribution) -> Iterator[Path]:
    """The folders and files that it has in site-packages; what lies elsewhere are scripts and manuals."""
    for name in sorted({file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}):
        yield Path(str(distribution.locate_file(name)))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the core's requirements and nothing else."""
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for distribution in core().values():
        for root in roots(distribution):
            (packages / root.name).symlink_to(root)
    (packages / "glyphmill.pth").write_text(f"{REPO}\n", encoding="utf-8")
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    return folder / "bin" / "python"


def run(python: Path, commands: list[list[str]]) -> Mapping[str, list]:
    script = python.parent.parent / "driver.py"
    done = subprocess.run([python, script], input=json.dumps(commands), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pictures(folder: Path) -> None:
    """Three that the recipe keeps, one too small, one that is none; captions beside them."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for name, side in (("one", 300), ("two", 340), ("three", 320), ("small", 60)):
        coarse = Image.fromarray(rng.integers(20, 235, (12, 12, 3), dtype=np.uint8)).resize((side, side))
        fine = rng.integers(-25, 25, (side, side, 3))
        Image.fromarray((np.asarray(coarse) + fine).clip(0, 255).astype(np.uint8)).save(folder / f"{name}.jpg")
        (folder / f"{name}.txt").write_text(f"Coloured squares, picture {name}", encoding="utf-8")
    (folder / "broken.jpg").write_bytes(b"no picture")


def test_the_commands_of_a_core_install_need_nothing_more(environment: Path, tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-01-02"):
        pictures(tmp_path / day)
    lake, recipe = ["--lake", str(tmp_path / "lake")], ["--recipe", "basic"]
    quiet = ["--quiet", "--workers", "1"]
    commands = [
        ["curate", str(tmp_path / "2026-01-01"), *lake, *recipe, *quiet],
        ["nightly", *lake, *recipe, "--source", str(tmp_path / "{date}"), "--date", "2026-01-02", *quiet],
        ["query", "SELECT * FROM runs", *lake],
        ["query", "SELECT * FROM runs", *lake, "--format", "json"],
        ["query", "SELECT * FROM run_history", *lake, "--format", "csv"],
        ["watch", *lake, *recipe, "--quiet"],
        ["verify", *lake],
        ["why", "one.jpg", *lake],
        ["digest", *lake],
        ["what-if", "sharpness >= 120", "--stage", "2", *lake],
        ["snapshot", *lake, "--out", str(tmp_path / "warehouse.duckdb")],
        ["pin", "kept", *lake],
        ["clean", *lake],
        ["recipe", "show", "basic"],
        ["--version"],
    ]
    told = run(environment, commands)
    ends = {" ".join(command): end for command, end in zip(commands, told["ends"], strict=True)}
    assert {command: text for command, (code, text) in ends.items() if code != 0} == {}
    runs = json.loads(ends[" ".join(commands[3])][1])
    assert {run["command"] for run in runs} >= {"scan", "near", "decide", "export"}
    assert all(run["finished_at"].startswith("20") for run in runs)
    assert {name.lower().replace("_", "-") for name in told["installed"]} - {"glyphmill"} == set(core())


def test_what_needs_an_extra_says_which(environment: Path, tmp_path: Path) -> None:
    pictures(tmp_path / "photos")
    lake = ["--lake", str(tmp_path / "lake")]
    commands = [
        ["curate", str(tmp_path / "photos"), *lake, "--recipe", "starter", "--quiet"],
        ["curate", str(tmp_path / "photos"), *lake, "--recipe", "basic", "--engine", "beam", "--quiet"],
        ["curate", str(tmp_path / "photos"), *lake, "--recipe", "basic", "--engine", "spark", "--quiet"],
        ["fonts"],
        ["synth", "pure", *lake, "--count", "1"],
        ["synth", "compositional", *lake, "--count", "1"],
        ["synth", "edit", *lake, "--count", "1"],
    ]
    extras = ("ocr", "beam", "spark", "synth", "synth", "synth", "synth")
    for extra, (code, text) in zip(extras, run(environment, commands)["ends"], strict=True):
        assert code != 0
        assert f"glyphmill[{extra}]" in text
        assert "Traceback" not in text
