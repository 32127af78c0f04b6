"""The frozen Qwen2.5-VL or Qwen3-VL that Qwen-Image is told by, from a folder of weights.

Which hidden state is taken matters and is part of the identity. transformers 4 gave the last layer's output, before the
final norm, as hidden_states[-1] of some models and after it of others, and transformers 5 always after it; so nothing
is read from there: "normed" is `last_hidden_state`, "unnormed" what goes into the final norm, in any version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from xxhash import xxh3_128

from annotate.backends.transformers import CLASSES
from model.text.prompt import Pixels, Prompt
from model.text.qwen_folder import (
    PROCESSOR,
    TOKENIZER,
    content_of,
    libraries,
    load_model,
    load_processor,
    load_tokenizer,
    places_of,
    read_settings,
)
from model.text.templates import DEFAULTS, State, Template, dropped, rendered, template
from warehouse.errors import UsageError

LIMIT = 1024
STEP = 32  # sides of the pictures it sees are multiples of this
_PROBES = ("A sign “营业中” says OPEN, 3 for 2!", "\n  1234567890 é ａ", "<|im_start|><|vision_start|><|image_pad|>")
_IMAGE_KEYS = ("patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std", "rescale_factor", "size")


@dataclass(frozen=True)
class Row:
    """One prompt as the model takes it: `ids` (T,), `kinds` (T,) 1 at picture tokens; `drop`: tokens to leave out."""

    ids: Tensor
    kinds: Tensor
    drop: int
    pixels: Tensor | None
    grids: Tensor | None


class QwenEncoder:
    """A `TextEncoder`."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        template_name: str | None = None,
        state: State | None = None,
        limit: int | None = None,
        batch: int = 8,
    ) -> None:
        """Load the weights of `folder`: a checkpoint's text_encoder, or a model's own folder with all in it.

        `device`: a GPU where there is one; `dtype`: bf16 there, fp32 on a CPU. `template_name`, `state`, `limit`: what
        the folder's glyphmill.json says, else those of the released model on this kind of Qwen. `batch`: prompts at
        once. Raises UsageError where the folder holds no such model, or weights are missing; MissingDependency.
        """
        library = libraries()
        self.places = places_of(folder)
        self._kind, self._model, self._device = load_model(library, folder, device, dtype)
        self._processor = load_processor(library, self.places)
        self._tokenizer = load_tokenizer(library, self.places) if self._processor is None else self._processor.tokenizer
        told = read_settings(folder)
        chosen = template_name or told.get("template") or DEFAULTS[self._kind].name
        self.template: Template = template(chosen)
        wanted = state or told.get("state") or self.template.state
        if wanted not in ("normed", "unnormed"):
            raise UsageError(f"text encoder at {folder}: state is {wanted!r}, and must be normed or unnormed")
        self.template = replace(self.template, state=wanted)
        self.limit = int(limit or told.get("limit") or LIMIT)
        self._batch = batch
        self._picture = int(self._model.config.image_token_id)
        self._drops = {editing: dropped(self.template, editing, self._length) for editing in (False, True)}

    @property
    def width(self) -> int:
        return int(self._model.config.get_text_config().hidden_size)

    @property
    def dtype(self) -> torch.dtype:
        found: torch.dtype = self._model.dtype
        return found

    @cached_property
    def identity(self) -> str:
        drops = "/".join(str(self._drops[editing]) for editing in (False, True))
        dtype = str(self.dtype).removeprefix("torch.")
        return (
            f"{self._kind} weights={content_of(self.places.weights)} words={self._words()} "
            f"template={self.template.name} state={self.template.state} drop={drops} area={self.template.area} "
            f"limit={self.limit} cut dtype={dtype}"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What glyphmill.json says of it."""
        return {"template": self.template.name, "state": self.template.state, "limit": self.limit}

    @property
    def classes(self) -> dict[str, str]:
        """The classes of transformers that open its folders, by the names that a model_index.json has for them."""
        found = {"text_encoder": CLASSES[self._kind], TOKENIZER: type(self._tokenizer).__name__}
        return found if self._processor is None else {**found, PROCESSOR: type(self._processor).__name__}

    def move(self, device: str) -> None:
        """Take the weights to another device. Their type stays, and with it what the encoder is."""
        self._model.to(device)
        self._device = device

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt that count towards `limit`: those of pictures and of the template before it do not."""
        text = rendered(self.template, prompt.text, len(prompt.images))
        return self._length(text) - len(prompt.images) - self._drops[bool(prompt.images)]

    @torch.no_grad()
    def encode(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """(T_i, width) for each prompt on the encoder's device: the dropped prefix and padding left out.

        Of more than `limit` tokens, pictures not counted, the last are cut off, as the released pipelines do; being
        causal, the model gives the others as before. Raises UsageError for pictures where there is no processor.
        """
        rows = [self._row(prompt) for prompt in prompts]
        found: list[Tensor] = []
        for first in range(0, len(rows), self._batch):
            some = rows[first : first + self._batch]
            states = self._states(some)
            found += [state[row.drop : len(row.ids)].clone() for state, row in zip(states, some, strict=True)]
        return found

    def _row(self, prompt: Prompt) -> Row:
        text = rendered(self.template, prompt.text, len(prompt.images))
        drop = self._drops[bool(prompt.images)]
        if not prompt.images:
            ids = torch.tensor(self._tokenizer(text)["input_ids"], dtype=torch.int64)[: drop + self.limit]
            return Row(ids, torch.zeros_like(ids), drop, None, None)
        if self._processor is None:
            raise UsageError(
                f"the text encoder at {self.places.weights} has no processor of pictures beside it: references need one"
            )
        pictures = [_resized(image, self.template.area) for image in prompt.images]
        made = self._processor(text=[text], images=pictures, return_tensors="pt")
        ids = made["input_ids"][0]
        kinds = (ids == self._picture).long()
        kept = int(((kinds == 0).cumsum(0) <= drop + self.limit).sum())
        if kinds[kept:].any():
            raise UsageError(f"{len(pictures)} pictures leave no room for a prompt of {self.limit} tokens: give fewer")
        return Row(ids[:kept], kinds[:kept], drop, made["pixel_values"], made["image_grid_thw"])

    def _states(self, rows: Sequence[Row]) -> Tensor:
        """(B, T, width), right-padded; what stands at padding means nothing."""
        pad = torch.nn.utils.rnn.pad_sequence
        blank = self._tokenizer.pad_token_id or 0
        given: dict[str, Tensor] = {
            "input_ids": pad([row.ids for row in rows], batch_first=True, padding_value=blank),
            "attention_mask": pad([torch.ones_like(row.ids) for row in rows], batch_first=True),
        }
        pixels = [row.pixels for row in rows if row.pixels is not None]
        if pixels:
            # Without the kinds of tokens, transformers 5 silently gives pictures one-dimensional positions.
            given["mm_token_type_ids"] = pad([row.kinds for row in rows], batch_first=True)
            given["pixel_values"] = torch.cat(pixels).to(self.dtype)
            given["image_grid_thw"] = torch.cat([row.grids for row in rows if row.grids is not None])
        before: list[Tensor] = []
        text_model = getattr(self._model, "language_model", self._model)
        hook = text_model.norm.register_forward_pre_hook(lambda module, given: before.append(given[0]))
        try:
            made = self._model(**{key: value.to(self._device) for key, value in given.items()}, use_cache=False)
        finally:
            hook.remove()
        after: Tensor = made.last_hidden_state
        return after if self.template.state == "normed" else before[0]

    def _length(self, text: str) -> int:
        return len(self._tokenizer(text)["input_ids"])

    def _words(self) -> str:
        """Hash of what the tokenizer makes of some texts, of its vocabulary, and of how pictures are prepared."""
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        made: list[Any] = [vocabulary, [self._tokenizer(text)["input_ids"] for text in _PROBES]]
        if self._processor is not None:
            pictures = self._processor.image_processor.to_dict()
            made.append({key: pictures.get(key) for key in _IMAGE_KEYS})
        return xxh3_128(json.dumps(made, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _resized(image: Pixels, area: int) -> Image.Image:
    """At about `area` pixels and its own proportions, sides multiples of STEP, as the released pipelines round."""
    height, width = image.shape[:2]
    ratio = width / height
    across = math.sqrt(area * ratio)
    size = tuple(max(1, round(side / STEP)) * STEP for side in (across, across / ratio))
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture if picture.size == size else picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
