"""Which models this machine has: one TOML file, `models.toml`, that says where their weights lie.

    [alignment.clip]
    library = "open_clip"
    model = "ViT-B-32"
    weights = "/models/vit-b-32.pt"

It is the file named by GLYPHMILL_MODELS, else `~/.config/glyphmill/models.toml`. Each section is read and checked by
the module it is for; a section that is not there means that the model is absent.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from warehouse.errors import UsageError

ENVIRONMENT = "GLYPHMILL_MODELS"
DEFAULT = Path("~/.config/glyphmill/models.toml")


def path() -> Path:
    """The file of models, whether it is there or not."""
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT).expanduser()


def section(name: str) -> Mapping[str, Any]:
    """The section of that name, empty where there is none. Raises UsageError for a file that cannot be read."""
    return _read(path(), stamp()).get(name, {})


def stamp() -> int:
    """Changes when the file does; 0 where there is none. Raises UsageError where one is named that is not there."""
    file = path()
    if not file.is_file():
        if os.environ.get(ENVIRONMENT):
            raise UsageError(f"no file of models at {file}: check {ENVIRONMENT}")
        return 0
    return file.stat().st_mtime_ns


@cache
def _read(file: Path, changed: int) -> dict[str, dict[str, Any]]:
    if not changed:
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"models file {file} cannot be read: {error}") from error
    loose = [name for name, value in found.items() if not isinstance(value, dict)]
    if loose:
        raise UsageError(f"models file {file}: {loose[0]} stands outside any section, write it as [{loose[0]}]")
    return found
