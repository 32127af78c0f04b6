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
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from warehouse.errors import UsageError

ENVIRONMENT = "GLYPHMILL_MODELS"
DEFAULT = Path("~/.config/glyphmill/models.toml")


class Section(BaseModel):
    """Base of what a section may say: an unknown key or a value of another type is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


S = TypeVar("S", bound=Section)


def path() -> Path:
    """The file of models, whether it is there or not."""
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT).expanduser()


def section(name: str) -> Mapping[str, Any]:
    """The section of that name, empty where there is none. Raises UsageError for a file that cannot be read."""
    return _read(path(), stamp()).get(name, {})


def checked(name: str, found: object, kind: type[S]) -> S:
    """What stands in the section called `name`. Raises UsageError that names the first setting that is wrong."""
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its value"
        raise UsageError(
            f"models file {path()}: [{name}] {where}: {first['msg'].lower()}, see docs/models.md"
        ) from None


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
