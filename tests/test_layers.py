"""Each floor of the house imports only from floors below, and the front door imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "warehouse": set(),
    "annotate": {"warehouse"},
    "synth": {"warehouse", "annotate"},
    "pipelines": {"warehouse", "annotate", "synth"},
    "model": {"warehouse", "annotate"},
    "flywheel": {"warehouse", "annotate", "synth", "pipelines", "model"},
}
HEAVY = {"numpy", "pyarrow", "duckdb", "PIL", "torch", "pydantic", "fsspec", "simplejpeg", "pandas"}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("floor", sorted(MAY_IMPORT))
def test_no_floor_imports_upward(floor: str) -> None:
    others = set(MAY_IMPORT) - {floor} - MAY_IMPORT[floor] | {"glyphmill"}
    upward = {
        f"{file.relative_to(REPO)} imports {name}"
        for file in (REPO / floor).rglob("*.py")
        for name in _imports(file)
        if name in others
    }
    assert not upward


def test_the_command_imports_nothing_heavy() -> None:
    code = "import sys, glyphmill; print('\\n'.join(sorted(m for m in sys.modules if '.' not in m)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert not HEAVY & set(done.stdout.split())


def test_relative_and_star_imports_are_not_used() -> None:
    for floor in MAY_IMPORT:
        for file in (REPO / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{file} imports relatively"
                    assert all(alias.name != "*" for alias in node.names), f"{file} imports *"
