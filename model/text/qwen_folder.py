"""What a folder of a Qwen text encoder holds, and how transformers opens it; each failure is one line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from xxhash import xxh3_128

from annotate.backends.transformers import CLASSES
from model.text.templates import DEFAULTS
from warehouse.errors import MissingDependency, UsageError

SETTINGS = "glyphmill.json"
PROCESSOR, TOKENIZER = "processor", "tokenizer"


@dataclass(frozen=True)
class Places:
    """Folders of the weights, of the tokenizer, and of what prepares pictures (None: it is told by text alone)."""

    weights: Path
    tokenizer: Path
    processor: Path | None


def libraries() -> Any:
    """transformers, ready to take pictures. Raises MissingDependency."""
    from annotate.torchvision_shim import prepare_torchvision

    try:
        prepare_torchvision()
        import transformers
    except ImportError as error:
        raise MissingDependency(f"{error.name} is not installed: install glyphmill[vlm]") from error
    return transformers


def places_of(folder: Path) -> Places:
    """Within the folder, in folders of its own there, or beside it as diffusers has them."""
    beside = folder.parent
    around = (folder / PROCESSOR, folder / TOKENIZER, folder, beside / PROCESSOR, beside / TOKENIZER)
    words = [p for p in around if any((p / f).is_file() for f in ("tokenizer.json", "vocab.json"))]
    pictures = [
        p for p in around if any((p / f).is_file() for f in ("preprocessor_config.json", "processor_config.json"))
    ]
    if not words:
        raise UsageError(f"no tokenizer at {folder} or beside it: the text encoder needs tokenizer/ or processor/")
    return Places(folder, words[0], pictures[0] if pictures else None)


def load_model(library: Any, folder: Path, device: str | None, dtype: torch.dtype | None) -> tuple[str, Any, str]:
    """(kind, model without its head, device). Raises UsageError for another kind or weights that are not whole."""
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    wanted = dtype or (torch.float32 if where.startswith("cpu") else torch.bfloat16)
    try:
        kind = library.AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if kind not in DEFAULTS:
            raise UsageError(f"{folder} holds a model of type {kind}; known are {', '.join(sorted(DEFAULTS))}")
        loaded, report = getattr(library, CLASSES[kind]).from_pretrained(
            folder, local_files_only=True, dtype=wanted, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"the text encoder at {folder} cannot be loaded: {' '.join(str(error).split())[:300]}"
        ) from error
    missing = sorted(set(report["missing_keys"]) - {"lm_head.weight"})  # of which nothing is asked
    if missing or report["mismatched_keys"]:
        raise UsageError(f"the weights at {folder} are not whole: {len(missing)} tensors are missing, as {missing[:1]}")
    return kind, loaded.model.to(where).eval().requires_grad_(False), where


def load_processor(library: Any, places: Places) -> Any:
    """What makes tokens of text and pictures, None where the folder has none. Raises UsageError."""
    if places.processor is None:
        return None
    try:
        return library.AutoProcessor.from_pretrained(places.processor, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the processor at {places.processor} cannot be loaded: {' '.join(str(error).split())[:300]}"
        ) from error


def load_tokenizer(library: Any, places: Places) -> Any:
    """What makes tokens of text. Raises UsageError."""
    try:
        return library.AutoTokenizer.from_pretrained(places.tokenizer, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the tokenizer at {places.tokenizer} cannot be loaded: {' '.join(str(error).split())[:300]}"
        ) from error


def read_settings(folder: Path) -> dict[str, Any]:
    """glyphmill.json, empty where there is none. Raises UsageError."""
    path = folder / SETTINGS
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"{path} holds no settings")
    return told


def content_of(folder: Path) -> str:
    """16 hex digits of the weights' bytes."""
    total = xxh3_128()
    for path in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")):
        total.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                total.update(block)
    return total.hexdigest()[:16]
