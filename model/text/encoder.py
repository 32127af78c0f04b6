"""The text encoders' one interface, their folder, and how their tokens are put into a batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from model.text.characters import CharacterEncoder
from model.text.prompt import BLANK, Prompt
from warehouse.errors import UsageError
from warehouse.files import replacing

__all__ = ["BLANK", "Prompt", "TextEncoder", "load_text", "padded", "save_text"]

FILE = "config.json"
FOLDER = "text_encoder"
CHARACTERS = "CharacterEncoder"
NOTE = "glyphmill's character encoder: vectors of hashes, no weights; not a transformers model. Pass prompt_embeds."


class TextEncoder(Protocol):
    """What turns prompts into vectors; frozen.

    `width`: length of a vector. `limit`: most tokens of a prompt, template and pictures not counted. `identity`: names
    weights, template, dtype and what is dropped or cut; equal identities give equal vectors, up to rounding.
    """

    @property
    def width(self) -> int: ...

    @property
    def limit(self) -> int: ...

    @property
    def identity(self) -> str: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt that count towards `limit`."""

    def encode(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """(T_i, width) for each prompt: tokens that count, no padding; beyond `limit` cut off."""


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(context (B, T, D), lengths (B,) int64) of one (T_i, D) tensor a row: zeros on the right."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64, device=rows[0].device)
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True), lengths


def save_text(encoder: TextEncoder, folder: Path, *, aside: Path | None = None) -> None:
    """Write an encoder into `folder` (a checkpoint's `text_encoder`), so that `load_text` gives it again.

    `aside`: where a Qwen encoder's tokenizer/ and processor/ go, `folder` itself if None. Raises UsageError for an
    encoder of another kind.
    """
    if isinstance(encoder, CharacterEncoder):
        told: dict[str, Any] = {"_class_name": CHARACTERS, "_note": NOTE}
        told |= {"width": encoder.width, "seed": encoder.seed, "limit": encoder.limit}
        with replacing(folder / FILE) as path:
            path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return
    from model.text.qwen import QwenEncoder
    from model.text.saving import save_qwen

    if not isinstance(encoder, QwenEncoder):
        raise UsageError(f"{type(encoder).__name__} cannot be saved as a folder")
    save_qwen(encoder, folder, aside or folder)


def pipeline_parts(encoder: TextEncoder) -> dict[str, tuple[str | None, str | None]]:
    """What a model_index.json says of it: (library, class) of text_encoder, tokenizer and, for editing, processor."""
    if isinstance(encoder, CharacterEncoder):
        return {FOLDER: (None, None), "tokenizer": (None, None)}
    from model.text.qwen import QwenEncoder

    if not isinstance(encoder, QwenEncoder):
        raise UsageError(f"{type(encoder).__name__} cannot be saved as a folder")
    return {part: ("transformers", name) for part, name in encoder.classes.items()}


def load_text(folder: Path, *, device: str | None = None) -> TextEncoder:
    """The encoder of a checkpoint folder or of its `text_encoder` folder: ours of characters, Qwen2.5-VL or Qwen3-VL.

    `device`: for weights; a GPU if there is one. Raises UsageError where there is none or it is of another kind.
    """
    place = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    told = _settings(place / FILE)
    if told.get("_class_name") == CHARACTERS:
        return _characters(told, place)
    if "model_type" in told:
        from model.text.qwen import QwenEncoder

        return QwenEncoder(place, device=device)
    raise UsageError(f"no text encoder at {place}: its {FILE} names no kind that is known here")


def _characters(told: dict[str, Any], place: Path) -> CharacterEncoder:
    numbers = {key: told.get(key) for key in ("width", "seed", "limit")}
    if not all(isinstance(n, int) for n in numbers.values()):
        raise UsageError(f"{place / FILE}: width, seed and limit of the character encoder must be whole numbers")
    return CharacterEncoder(int(told["width"]), int(told["seed"]), limit=int(told["limit"]))


def _settings(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"no text encoder: {path} cannot be read ({error})") from error
    if not isinstance(told, dict):
        raise UsageError(f"no text encoder: {path} holds no settings")
    return told
