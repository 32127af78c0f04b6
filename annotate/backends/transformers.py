"""Local weights of Qwen2.5-VL or Qwen3-VL in a folder, run by transformers in batches.

No decoder here is held to the schema, so more answers are invalid than from a server that is; they are judged alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotate.backends.base import Answer, Meter, Request, Status
from annotate.vision import SIZINGS, Sizing
from warehouse.errors import MissingDependency, UsageError

#: Classes of transformers by the model type that a folder's config.json tells.
CLASSES = {"qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration", "qwen3_vl": "Qwen3VLForConditionalGeneration"}


class TransformersBackend:
    """Answers by greedy decoding, `batch` images at a time, padded on the left."""

    name = "transformers"
    askers = 1
    needs_image = True

    def __init__(self, folder: Path, *, batch: int = 8, device: str | None = None) -> None:
        """Load the weights; `device` as torch names it, the GPU where there is one if None.

        Raises UsageError where the folder holds no model of a known type, MissingDependency.
        """
        self._torch, library = _libraries()
        if not (folder / "config.json").is_file():
            raise UsageError(f"no model at {folder}: name the folder that holds its config.json and weights")
        self.model = folder.resolve().name
        self.batch = batch
        kind = library.AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if kind not in CLASSES:
            raise UsageError(f"{folder} holds a model of type {kind}; known are {', '.join(sorted(CLASSES))}")
        self.sizing: Sizing = SIZINGS[kind]
        self.settings = f"transformers {kind}"
        device = device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        dtype = self._torch.float32 if device == "cpu" else self._torch.bfloat16
        try:
            self._processor = library.AutoProcessor.from_pretrained(folder, local_files_only=True)
            loaded = getattr(library, CLASSES[kind]).from_pretrained(folder, local_files_only=True, dtype=dtype)
        except (OSError, ValueError) as error:
            raise UsageError(f"the model at {folder} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        self._processor.tokenizer.padding_side = "left"
        if self._processor.tokenizer.pad_token_id is None:
            raise UsageError(f"the tokenizer at {folder} has no padding token: batches cannot be made")
        self._model = loaded.to(device).eval()
        self._device = device

    async def answer(self, requests: Sequence[Request], meter: Meter) -> list[Answer]:
        bound = sum(r.text_bytes() + self.sizing.most_tokens + r.answer_tokens + 256 for r in requests)
        await meter.reserve(bound, len(requests))
        used: int | None = None
        try:
            answers = await asyncio.to_thread(self._answers, requests)
            used = sum(a.input_tokens + a.output_tokens for a in answers)
        finally:
            meter.settle(bound, used)
        return answers

    async def close(self) -> None:
        """The weights go with the object."""

    def _answers(self, requests: Sequence[Request]) -> list[Answer]:
        """A batch that fails (memory, most of all) is tried in halves; what fails alone is an error of its own."""
        started = time.monotonic()
        try:
            found = self._generate(requests)
        except (RuntimeError, ValueError, IndexError) as error:
            if len(requests) > 1:
                half = len(requests) // 2
                return self._answers(requests[:half]) + self._answers(requests[half:])
            said = " ".join(str(error).split())[:300]
            return [Answer(Status.ERROR, error=f"{type(error).__name__}: {said}")]
        seconds = (time.monotonic() - started) / len(requests)
        return [
            Answer(Status.SUCCESS, text, None, read, written, 1, seconds)
            if ended
            else Answer(Status.TRUNCATED, text, f"cut off after {written} tokens", read, written, 1, seconds)
            for text, ended, read, written in found
        ]

    def _generate(self, requests: Sequence[Request]) -> list[tuple[str, bool, int, int]]:
        """For each request: the text, whether it came to its own end, tokens read and written."""
        texts = [
            self._processor.apply_chat_template(_messages(r), tokenize=False, add_generation_prompt=True)
            for r in requests
        ]
        images = [r.image.decode() for r in requests if r.image is not None]
        inputs = self._processor(text=texts, images=images, padding=True, return_tensors="pt").to(self._device)
        with self._torch.inference_mode():
            made = self._model.generate(
                **inputs,
                max_new_tokens=max(r.answer_tokens for r in requests),
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=self._processor.tokenizer.pad_token_id,
            )
        ends = self._ends()
        read = inputs["attention_mask"].sum(dim=1).tolist()
        rows = made[:, inputs["input_ids"].shape[1] :].tolist()
        found = []
        for request, row, tokens_read in zip(requests, rows, read, strict=True):
            row = row[: request.answer_tokens]
            length = next((at for at, token in enumerate(row) if token in ends), None)
            text = self._processor.tokenizer.decode(row[:length], skip_special_tokens=True)
            found.append((text, length is not None, tokens_read, len(row) if length is None else length + 1))
        return found

    def _ends(self) -> set[int]:
        """Tokens that end an answer."""
        told = self._model.generation_config.eos_token_id
        ends = told if isinstance(told, list) else [told]
        return {token for token in (*ends, self._processor.tokenizer.eos_token_id) if token is not None}


def _messages(request: Request) -> list[dict[str, Any]]:
    picture = [{"type": "image"}, {"type": "text", "text": request.prompt}]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": [{"type": "text", "text": request.system}]},
        {"role": "user", "content": picture},
    ]
    for answer, said in request.turns:
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
            {"role": "user", "content": [{"type": "text", "text": said}]},
        ]
    return messages


def _libraries() -> tuple[Any, Any]:
    from annotate.torchvision_shim import prepare_torchvision

    try:
        prepare_torchvision()
        import torch
        import transformers
    except ImportError as error:
        raise MissingDependency(f"{error.name} is not installed: install glyphmill[vlm]") from error
    return torch, transformers
