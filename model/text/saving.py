"""A Qwen encoder into a checkpoint: its own files as they are, linked where the disk can, for they are large."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from model.text.qwen import QwenEncoder
from model.text.qwen_folder import PROCESSOR, SETTINGS, TOKENIZER
from warehouse.errors import UsageError
from warehouse.files import replacing

_WORDS = frozenset({".json", ".txt", ".jinja", ".model"})
_WEIGHTS = frozenset({"config.json", "generation_config.json", "model_index.json", SETTINGS})


def save_qwen(encoder: QwenEncoder, folder: Path, aside: Path) -> None:
    """Weights and settings into `folder`; `tokenizer` and, where there is one, `processor` into folders in `aside`.

    Raises UsageError where the files it was loaded from are gone.
    """
    places = encoder.places
    _copy(places.weights, folder, weights=True)
    with replacing(folder / SETTINGS) as path:
        path.write_text(json.dumps(encoder.settings, indent=2) + "\n", encoding="utf-8")
    _copy(places.tokenizer, aside / TOKENIZER, weights=False)
    if places.processor is not None:
        _copy(places.processor, aside / PROCESSOR, weights=False)


def _copy(source: Path, target: Path, *, weights: bool) -> None:
    """Files of one folder, without those in it; of weights, those of words and pictures are left behind."""
    target.mkdir(parents=True, exist_ok=True)
    found = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else []
    if not found:
        raise UsageError(f"the text encoder's files at {source} are gone: they cannot be copied into the checkpoint")
    for path in found:
        of_words = path.suffix in _WORDS and path.name not in _WEIGHTS and not path.name.endswith(".index.json")
        if path.name == SETTINGS or of_words == weights:
            continue
        try:
            os.link(path.resolve(), target / path.name)
        except OSError:  # another disk, or one that has no links
            shutil.copyfile(path, target / path.name)
