"""Weights that a run begins with instead of drawn ones: those of another run, or public ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint_files import digest
from model.config import MMDiTConfig
from model.layout import open_mmdit
from model.training.run_folder import RunFolder
from warehouse.errors import UsageError

START = "start"  #: in run.json: of the identity the digest, of the settings the place


@dataclass(frozen=True)
class Start:
    """`digest`: 16 hex digits of the weights' files."""

    config: MMDiTConfig
    digest: str


def find_start(place: Path, run: RunFolder) -> Start:
    """What lies at `place`; a run that has begun remembers it, and the place may be gone by then.

    Raises UsageError where it is no MMDiT in the public layout, or where the run has begun with something else.
    """
    told = run.read()
    if told is not None:
        if told["settings"].get(START) != str(place.resolve()):
            raise UsageError(f"{run.path} did not begin with {place}: ask for what it was started with")
        return Start(MMDiTConfig.from_dict(told["identity"]["model"]), told["identity"][START])
    config, stored = open_mmdit(place)
    files = sorted({one.file for one in stored.values()})
    content = hashlib.sha256("".join(digest(file) for file in files).encode())
    return Start(config, content.hexdigest()[:16])
