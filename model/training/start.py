"""Weights that a run begins with instead of drawn ones: those of another run, or public ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xxhash

from model.checkpoint_files import digest, latest
from model.config import MMDiTConfig
from model.layout import open_mmdit
from model.text.encoder import FOLDER as TEXT
from model.training.run_folder import RunFolder
from warehouse.errors import UsageError

START = "start"  #: in run.json: of the identity the digest, of the settings the place


@dataclass(frozen=True)
class Start:
    """`digest`: 16 hex digits of the weights' files. `text`: folder of the text encoder that they were trained with,
    None where none lies beside them."""

    place: Path
    config: MMDiTConfig
    digest: str
    text: Path | None


def find_start(place: Path | None, run: RunFolder, config: MMDiTConfig | None = None) -> Start | None:
    """The weights at `place`, or those that the run has begun with; None where there are none.

    `config`: of a file whose shapes do not tell it. A run goes on with the same weights wherever they lie by now; once
    it has a checkpoint of its own they may be gone. Raises UsageError where there is no MMDiT in the public layout, or
    where the run has begun with others.
    """
    told = run.read()
    if told is None:
        return None if place is None else _looked_at(place, config)
    known: str | None = told["identity"].get(START)
    if known is None:
        if place is None:
            return None
        raise UsageError(f"{run.path} began with drawn weights, not with {place}: train into another folder")
    remembered = Path(told["settings"][START])
    here = remembered if place is None else place
    if latest(run.checkpoints) is not None and (here.resolve() == remembered or not here.exists()):
        text = Path(told["settings"]["text"])
        return Start(here, MMDiTConfig.from_dict(told["identity"]["model"]), known, text)
    found = _looked_at(here, config)
    if found.digest != known:
        raise UsageError(f"{run.path} began with other weights than those that are in {here} now")
    return found


def _looked_at(place: Path, config: MMDiTConfig | None) -> Start:
    if (place / "run.json").exists():
        raise UsageError(f"{place} is a run: `glyphmill model export {place} --out MODEL` gives its weights")
    config, stored = open_mmdit(place, config)
    content = xxhash.xxh3_64()
    for file in sorted({one.file for one in stored.values()}):
        content.update(digest(file).encode())
    return Start(place, config, content.hexdigest(), place if (place / TEXT).is_dir() else None)
