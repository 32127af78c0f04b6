"""A part of the demo corpus."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path


def take(corpus: Path, counts: Mapping[str, int], folder: Path) -> None:
    """Copy so many pictures of each kind, spread over it, with their captions, into a folder for each kind."""
    for kind, count in counts.items():
        (folder / kind).mkdir(parents=True)
        pictures = sorted(p for p in (corpus / kind).iterdir() if p.suffix in (".jpg", ".png", ".webp"))
        every = max(1, len(pictures) // count)
        for picture in pictures[::every][:count]:
            for file in [picture, picture.with_suffix(".txt")]:
                if file.exists():
                    shutil.copy(file, folder / kind)
        for table in (corpus / kind).glob("captions.*"):
            shutil.copy(table, folder / kind)
