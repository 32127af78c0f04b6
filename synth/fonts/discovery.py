"""Font files: where a system keeps them, and which a folder holds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from warehouse.errors import UsageError

SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc"})  # in any letter case


def system_folders() -> tuple[Path, ...]:
    """Where this system keeps fonts, for all users and for this one; not all of them need exist."""
    home = Path.home()
    if sys.platform == "darwin":
        return Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
        return Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", local / "Microsoft/Windows/Fonts"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    return *(Path(folder) / "fonts" for folder in shared.split(":") if folder), Path(own) / "fonts", home / ".fonts"


def system_files() -> tuple[Path, ...]:
    return tuple(file for folder in system_folders() if folder.is_dir() for file in _below(folder))


def files_of(place: str) -> tuple[Path, ...]:
    """The font files in a folder and all below it, or the one named. Raises UsageError where there is none."""
    path = Path(place).expanduser().absolute()
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UsageError(f"{place}: no such folder of fonts")
    found = tuple(_below(path))
    if not found:
        raise UsageError(f"{place}: no font files (.ttf, .otf, .ttc, .otc) in this folder or below it")
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Links to folders are followed, each folder once: /usr/share/fonts links into other trees."""
    visited: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(here) / name
