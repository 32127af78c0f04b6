"""Signals, one file each. A file in this folder, or in one named by GLYPHMILL_EXTRACTORS, is found by being there."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from annotate import models
from pipelines.extractors.base import Extractor
from warehouse.errors import UsageError

ENVIRONMENT = "GLYPHMILL_EXTRACTORS"

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def folders(named: Sequence[str | Path] = ()) -> tuple[str, ...]:
    """Absolute paths of the folders with further extractors: those `named`, then those of the environment."""
    told = os.environ.get(ENVIRONMENT, "")
    return tuple(str(Path(f).resolve()) for f in (*named, *(f for f in told.split(os.pathsep) if f)))


def discover(more: tuple[str, ...] | None = None) -> tuple[Extractor, ...]:
    """Every extractor: this folder's, then those of the `more` folders (of the environment's where None), by name.

    Raises UsageError for a folder that is not there, a file without an `EXTRACTOR`, or a name that is taken.
    """
    return _discover(folders() if more is None else more, models.path(), models.stamp())


def in_scan(more: tuple[str, ...] | None = None) -> tuple[Extractor, ...]:
    """The extractors of the first pass over bytes, which measures every image."""
    return tuple(e for e in discover(more) if e.in_scan)


def in_inspect(more: tuple[str, ...] | None = None) -> tuple[Extractor, ...]:
    """The extractors of the second pass, which measures what is not dropped by then."""
    return tuple(e for e in discover(more) if not e.in_scan)


@cache
def _discover(more: tuple[str, ...], models_file: Path, stamp: int) -> tuple[Extractor, ...]:
    found: dict[str, tuple[Extractor, Path]] = {}
    for folder in (_HERE, *map(Path, more)):
        if not folder.is_dir():
            raise UsageError(f"no folder of extractors at {folder}: check {ENVIRONMENT} or --extractors")
        for path in sorted(folder.glob("*.py")):
            if path.name.startswith("_") or path == _HERE / "base.py":
                continue
            for extractor in _extractors(path):
                if extractor.name in found:
                    raise UsageError(
                        f"{path}: extractor {extractor.name} is already defined by {found[extractor.name][1]}: "
                        "rename it"
                    )
                found[extractor.name] = extractor, path
    return tuple(found[name][0] for name in sorted(found))


def _extractors(path: Path) -> tuple[Extractor, ...]:
    """What a file defines: `EXTRACTOR`, or one for each configured model by the function `extractors()`."""
    module = _module(path)
    found = module.extractors() if hasattr(module, "extractors") else (getattr(module, "EXTRACTOR", None),)
    for extractor in found:
        if not isinstance(extractor, Extractor):
            raise UsageError(
                f"{path} defines no extractor: it needs EXTRACTOR = Extractor(...), see docs/add-a-signal.md"
            )
        if not _NAME.fullmatch(extractor.name):
            raise UsageError(f"{path}: {extractor.name!r} is no name for a table: use small letters, digits and _")
    return tuple(found)


def _module(path: Path) -> ModuleType:
    if path.parent == _HERE:
        return importlib.import_module(f"{__name__}.{path.stem}")
    name = f"glyphmill_extractor_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a module up by its name
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise UsageError(f"{path} cannot be imported: {error}") from error
    return module
