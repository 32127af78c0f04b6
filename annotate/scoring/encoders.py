"""Two-tower models of images and texts: from open_clip, from transformers, or one's own, behind one small interface."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from annotate.models import Section
from annotate.scoring.forward import Floats, alone, check_device, in_fixed_batches
from annotate.scoring.weights import local
from annotate.torchvision_shim import prepare_torchvision
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8

#: Tokens that Chinese-CLIP was trained on (Yang et al. 2022, arXiv 2211.01335); its text tower would take 512.
CHINESE_CLIP_TOKENS = 52


class Texts(NamedTuple):
    """Encoded texts: `embeddings` (n, d); `truncated` (n,) where the text was longer than the model reads."""

    embeddings: Floats
    truncated: npt.NDArray[np.bool_]


class Encoder(Protocol):
    """A model of images and texts in one space. `encode_*` give rows of any length, which must not depend on the batch.

    The model's own probability that a text belongs to an image is, for SigLIP, sigmoid(logit_scale * cosine +
    logit_bias); for CLIP a softmax of logit_scale * cosine over the texts at hand, and logit_bias is 0.
    """

    logit_scale: float
    logit_bias: float

    def encode_images(self, images: Sequence[Image.Image]) -> Floats:
        """(n, d) embeddings of n >= 1 upright RGB pictures."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Texts:
        """Embeddings of n >= 1 texts; one that is longer than the model reads is cut, and says so."""
        ...


class OpenClip(Section):
    """`model`: an architecture's name, the .json of one that open_clip does not know, a folder with
    open_clip_config.json, or hf-hub:owner/name. `weights`, for the first two: a file, or a tag that open_clip knows."""

    library: Literal["open_clip"]
    model: str
    weights: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    batch: Annotated[int, Field(ge=1, le=4096)] = BATCH


class Transformers(Section):
    """`model`: a folder or the name of one on the hub, of which `revision` is taken: SigLIP, SigLIP 2, Chinese-CLIP,
    CLIP. `context_length`: tokens of a text that are read, where the model's own number is not wanted."""

    library: Literal["transformers"]
    model: str
    revision: str | None = None
    context_length: Annotated[int, Field(ge=2)] | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    batch: Annotated[int, Field(ge=1, le=4096)] = BATCH


class Own(Section):
    """`factory`: `module:function` that takes `weights` and returns an Encoder. `version`: raised by its author
    whenever it gives other embeddings for the same weights."""

    library: Literal["python"]
    factory: str
    weights: str | None = None
    version: str = ""


LIBRARIES: dict[str, type[OpenClip] | type[Transformers] | type[Own]] = {
    "open_clip": OpenClip,
    "transformers": Transformers,
    "python": Own,
}


def load(section: str, told: OpenClip | Transformers | Own) -> Encoder:
    """The model that [section] tells of, with its weights. Raises UsageError and whatever the library raises."""
    if isinstance(told, Own):
        return _own(told)
    prepare_torchvision()
    check_device(section, told.device)
    return OpenClipEncoder(told) if isinstance(told, OpenClip) else TransformersEncoder(told)


class OpenClipEncoder:
    """A model that open_clip makes. Raises what open_clip raises; it refuses to run without weights."""

    def __init__(self, told: OpenClip) -> None:
        import open_clip

        name = _open_clip_name(told)
        weights = local(told.weights)
        self._model, self._preprocess = open_clip.create_model_from_pretrained(
            name, str(weights) if weights else told.weights, device=told.device, weights_only=True
        )
        self._model.eval()
        self._tokenizer = open_clip.get_tokenizer(name)
        if getattr(self._tokenizer, "reduction_fn", None) is not None:
            self._tokenizer.reduction_fn = None  # a trick of training that drops words of long texts at random
        self._told = told
        self.logit_scale = float(self._model.logit_scale.detach().exp())
        bias = getattr(self._model, "logit_bias", None)
        self.logit_bias = 0.0 if bias is None else float(bias.detach())

    def encode_images(self, images: Sequence[Image.Image]) -> Floats:
        """(n, d) embeddings, not normalised."""
        import torch

        with alone():
            pixels = torch.stack([self._preprocess(image) for image in images])
            return self._run({"values": pixels}, self._model.encode_image)

    def encode_texts(self, texts: Sequence[str]) -> Texts:
        """(n, d) embeddings, not normalised."""
        with alone():
            length = int(self._tokenizer.context_length)
            tokens = self._tokenizer(list(texts), context_length=length)
            return Texts(self._run({"values": tokens}, self._model.encode_text), self._longer(texts, length))

    def _run(self, inputs: dict[str, Tensor], tower: Any) -> Floats:
        return in_fixed_batches(inputs, self._told.batch, self._told.device, lambda batch: tower(batch["values"]))

    def _longer(self, texts: Sequence[str], length: int) -> npt.NDArray[np.bool_]:
        """Whether a text still fills a context of one token more."""
        wider = self._tokenizer(list(texts), context_length=length + 1)
        padding = getattr(getattr(self._tokenizer, "tokenizer", None), "pad_token_id", None)
        if padding is None:  # open_clip's own: 0 fills up, and may be a word's token too, but never the last one
            longer = wider[:, -1] != 0
        else:
            longer = (wider != padding).sum(dim=1) > length
        found: npt.NDArray[np.bool_] = longer.numpy()
        return found


class TransformersEncoder:
    """A two-tower model of transformers. Raises what transformers raises, and UsageError where weights are missing."""

    def __init__(self, told: Transformers) -> None:
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        path = local(told.model)
        name = str(path) if path else told.model
        model = whole(AutoModel, name, told.revision)
        if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
            raise ValueError(f"{type(model).__name__} is no model of images and texts")
        self._model = model.to(told.device)
        processor: Any = AutoImageProcessor  # it has no types
        self._processor = processor.from_pretrained(name, revision=told.revision)
        self._tokenizer = AutoTokenizer.from_pretrained(name, revision=told.revision)
        self._told = told
        self._length = told.context_length or _text_tokens(model.config)
        self.logit_scale = float(model.logit_scale.detach().exp())
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = 0.0 if bias is None else float(bias.detach())

    def encode_images(self, images: Sequence[Image.Image]) -> Floats:
        """(n, d) embeddings, not normalised."""
        with alone():
            inputs = dict(self._processor(images=list(images), return_tensors="pt"))
            return self._run(inputs, self._model.get_image_features)

    def encode_texts(self, texts: Sequence[str]) -> Texts:
        """(n, d) embeddings, not normalised."""
        with alone():
            inputs = dict(
                self._tokenizer(
                    list(texts), padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
                )
            )
            if self._model.config.model_type.startswith("siglip"):
                inputs.pop("attention_mask", None)  # it was trained to read its padding too (Zhai et al. 2023)
            whole_texts = self._tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
            longer = np.array([len(tokens) > self._length for tokens in whole_texts])
            return Texts(self._run(inputs, self._model.get_text_features), longer)

    def _run(self, inputs: dict[str, Tensor], tower: Any) -> Floats:
        def features(batch: dict[str, Tensor]) -> Tensor:
            found = tower(**batch)
            pooled: Tensor = getattr(found, "pooler_output", found)  # a plain tensor before transformers 5
            return pooled

        return in_fixed_batches(inputs, self._told.batch, self._told.device, features)


def whole(kind: Any, name: str, revision: str | None) -> Any:
    """A transformers model with every one of its weights: where some are not in the files, transformers would make
    them up at random. Raises ValueError then."""
    import torch
    from transformers.utils import logging

    bars: Any = logging  # it has no types
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        model, told = kind.from_pretrained(name, revision=revision, dtype=torch.float32, output_loading_info=True)
    finally:
        if shown:
            bars.enable_progress_bar()
    if told["missing_keys"]:
        raise ValueError(f"its files lack {len(told['missing_keys'])} weights, {sorted(told['missing_keys'])[0]} first")
    return model.eval()


def _open_clip_name(told: OpenClip) -> str:
    """The name under which open_clip knows the model, after telling it of one of our own."""
    import open_clip

    path = local(told.model)
    if path is None or path.is_dir():
        name = f"local-dir:{path}" if path else told.model
        if name.startswith(("local-dir:", "hf-hub:")):
            if told.weights:
                raise ValueError(f"{told.model} has its own weights: leave the setting weights out")
        elif not told.weights:
            raise ValueError(f"{told.model} is an architecture without weights: say weights")
        return name
    if not told.weights:
        raise ValueError(f"{path.name} is an architecture without weights: say weights")
    known = open_clip.get_model_config(path.stem)
    if known is None:
        open_clip.add_model_config(path)
    elif known != json.loads(Path(path).read_text(encoding="utf-8")):
        raise ValueError(f"open_clip has another architecture called {path.stem}: rename {path.name}")
    return path.stem


def _text_tokens(config: Any) -> int:
    if config.model_type == "chinese_clip":
        return CHINESE_CLIP_TOKENS
    return int(config.text_config.max_position_embeddings)


def _own(told: Own) -> Encoder:
    module, _, function = told.factory.partition(":")
    if not module or not function:
        raise UsageError(f'factory = "{told.factory}" is not of the form "module:function"')
    weights = local(told.weights)
    made: Encoder = getattr(importlib.import_module(module), function)(str(weights) if weights else told.weights)
    return made
