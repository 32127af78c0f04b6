"""The front door: every command explains itself, and failures a person can act on become one line."""

from __future__ import annotations

import errno
from importlib.metadata import version
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import glyphmill
from warehouse.errors import LakeBusy, UsageError

ROOT = typer.main.get_command(glyphmill.app)


def _commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return [path]
    return [found for name, sub in inner.items() for found in _commands(sub, (*path, name))]


COMMANDS = _commands(ROOT)

GROUPED = {
    ("captions", "fuse"),
    ("balance", "mine"),
    *(("ocr", name) for name in ("read", "blind")),
    *(("signals", name) for name in ("list", "plot")),
    *(("recipe", name) for name in ("check", "show")),
    ("annotate", "schema"),
    *(("audit", name) for name in ("sample", "sheet", "record")),
    *(("synth", name) for name in ("pure", "compositional", "template", "edit", "glyph", "plan", "sheet", "show")),
    *(("train", name) for name in ("pretrain", "vae", "vae-decoder", "vae-reader", "vae-table")),
    *(("train", name) for name in ("serve", "produce", "feed-status", "change", "plan", "curricula")),
    *(("model", name) for name in ("export", "import", "size")),
}


def test_the_commands_of_the_design_are_there() -> None:
    wanted = [
        "curate",
        "scan",
        "near",
        "nightly",
        "replay",
        "inspect",
        "categorize",
        "gallery",
        "block",
        "edits",
        "decide",
        "export",
        "why",
        "query",
        "digest",
        "what-if",
        "verify",
        "clean",
        "snapshot",
        "forget",
        "pin",
        "watch",
        "diff",
        "card",
        "demo",
        "fonts",
        "sample",
    ]
    assert {(name,) for name in wanted} | GROUPED == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(glyphmill.app, [*path, "--help"])
    assert done.exit_code == 0
    assert "Example: glyphmill " + path[0] in done.output


def test_the_command_alone_tells_its_version_and_an_example() -> None:
    told = CliRunner().invoke(glyphmill.app, ["--version"])
    assert (told.exit_code, told.output) == (0, f"glyphmill {version('glyphmill')}\n")
    assert "Example: glyphmill curate" in CliRunner().invoke(glyphmill.app, ["--help"]).output


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("no such file: x"), 2, "no such file: x"),
        (LakeBusy("the lake is busy"), 4, "busy"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "disk full"),
        (OSError(errno.EROFS, "Read-only file system"), 3, "cannot write"),
        (OSError(errno.EEXIST, "File exists", "c.toml"), 2, "name another one"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] . can't allocate memory"), 3, "not enough memory"),
    ],
)
def test_failures_are_one_line(error: BaseException, code: int, words: str) -> None:
    told = glyphmill.explain(error)
    assert told is not None
    assert told[1] == code
    assert words in told[0]
    assert "\n" not in told[0]


def test_a_bug_keeps_its_traceback() -> None:
    assert glyphmill.explain(ZeroDivisionError("division by zero")) is None


def test_ctrl_c_in_a_query_is_told_as_ctrl_c() -> None:
    error = RuntimeError("Query interrupted")
    error.__cause__ = glyphmill.Stopped("stopped")
    assert glyphmill.explain(error) == ("stopped", 130)
