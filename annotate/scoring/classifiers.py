"""Classifiers of pictures: whole ones of transformers with named labels, and small heads on a scorer's embedding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from annotate.models import Section
from annotate.scoring.encoders import BATCH, whole
from annotate.scoring.forward import Floats, alone, check_device, in_fixed_batches
from annotate.scoring.weights import fingerprint, loading, local
from annotate.torchvision_shim import prepare_torchvision
from warehouse.errors import UsageError

HUB = "hf-hub:"


class Labelled(Section):
    """Which labels of which classifier mean something. `model`: a folder or the name of one on the hub."""

    model: str
    labels: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    revision: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    batch: Annotated[int, Field(ge=1, le=4096)] = BATCH

    @property
    def fingerprint(self) -> str:
        """What decides its probabilities, 32 hex digits. Raises UsageError where its files are not there."""
        settings = self.model_dump(exclude={"model"})
        return fingerprint(*(f"{key}={value}" for key, value in sorted(settings.items())), self.model)


class HeadOf(Section):
    """A head on the embedding of a scorer. `head`: a file, or hf-hub:owner/name/file. `activation`: what is between its
    layers, of which a file of weights says nothing."""

    scorer: str
    head: str
    activation: Literal["none", "relu"] = "none"

    @property
    def fingerprint(self) -> str:
        """What decides its value beside the embedding, 32 hex digits. Raises UsageError where its file is missing."""
        return fingerprint(f"activation={self.activation}", self.head)


class Classifier:
    """A loaded image classifier of transformers; `names` are its labels in the order of its outputs."""

    def __init__(self, told: Labelled) -> None:
        prepare_torchvision()
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        path = local(told.model)
        name = str(path) if path else told.model
        self._model = whole(AutoModelForImageClassification, name, told.revision).to(told.device)
        processor: Any = AutoImageProcessor  # it has no types
        self._processor = processor.from_pretrained(name, revision=told.revision)
        self._told = told
        labels: Mapping[int, str] = self._model.config.id2label
        self.names = tuple(labels[place] for place in sorted(labels))
        self._several = self._model.config.problem_type == "multi_label_classification"

    def probabilities(self, images: Sequence[Image.Image]) -> Floats:
        """(n, labels) probabilities of n >= 1 upright RGB pictures. They sum to 1 in a row, but where the classifier
        was made to find several labels in one picture: there each stands for itself."""
        with alone():
            inputs = dict(self._processor(images=list(images), return_tensors="pt"))
            logits = in_fixed_batches(
                inputs, self._told.batch, self._told.device, lambda batch: self._model(**batch).logits
            ).astype(np.float64)
        if self._several:
            found = 1 / (1 + np.exp(-logits))
        else:
            found = np.exp(logits - logits.max(axis=1, keepdims=True))
            found /= found.sum(axis=1, keepdims=True)
        return np.asarray(found, np.float32)

    def share(self, probabilities: Floats, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        """(n,) probability that a picture is one of `labels`: their sum; the highest where labels do not exclude each
        other, since nothing is known of how they overlap."""
        columns = probabilities[:, [self.names.index(label) for label in labels]].astype(np.float64)
        shares: npt.NDArray[np.float64] = columns.max(axis=1) if self._several else columns.sum(axis=1).clip(max=1.0)
        return shares


def classifier(section: str, told: Labelled) -> Classifier:
    """The classifier of that section, loaded once a process. Raises UsageError where it cannot be, or lacks a label."""
    with loading(section, f"classifier {told.model}"):
        check_device(section, told.device)
        # The labels asked for are no part of the model: both kinds of content may come from one.
        bare = told.model_copy(update={"labels": ()})
        found = _classifier(bare, bare.fingerprint)
    unknown = [label for label in told.labels if label not in found.names]
    if unknown:
        raise UsageError(
            f"[{section}] asks for label {unknown[0]!r}, classifier {told.model} has: {', '.join(found.names)}"
        )
    return found


@cache
def _classifier(told: Labelled, content: str) -> Classifier:
    return Classifier(told)


@dataclass(frozen=True)
class Head:
    """Linear layers, (out, in) weights and (out,) biases, the last with one output."""

    layers: tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], ...]
    activation: Literal["none", "relu"]

    def __call__(self, embedding: npt.ArrayLike) -> float:
        """The value of one embedding (d,) of length 1. Raises ValueError where the head was made for another d."""
        value = np.asarray(embedding, np.float64)
        if value.shape != (self.layers[0][0].shape[1],):
            raise ValueError(f"the head takes {self.layers[0][0].shape[1]} numbers, the embedding has {value.size}")
        for place, (weight, bias) in enumerate(self.layers):
            value = (weight * value).sum(axis=1) + bias
            if self.activation == "relu" and place < len(self.layers) - 1:
                value = np.maximum(value, 0)
        return float(value[0])


def head(section: str, told: HeadOf) -> Head:
    """The head of that section, loaded once a process. Raises UsageError for a file that holds no such head."""
    with loading(section, f"head {told.head}"):
        return _head(told, told.fingerprint)


@cache
def _head(told: HeadOf, content: str) -> Head:
    return Head(layers(_tensors(_file(told.head))), told.activation)


def layers(
    tensors: Mapping[str, npt.NDArray[np.float32]],
) -> tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], ...]:
    """The linear layers of a state dict (`0.weight`, `0.bias`, `2.weight` ..., whatever stands before) in the order of
    their numbers. Raises ValueError where these are no linear layers that follow one another to a single output."""
    prefixes = sorted({name.rpartition(".")[0] for name in tensors}, key=_natural)
    found = []
    for prefix in prefixes:
        dot = f"{prefix}." if prefix else ""
        weight, bias = tensors.get(f"{dot}weight"), tensors.get(f"{dot}bias")
        if weight is None or weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[:1]):
            raise ValueError(f"{prefix or 'it'} is no linear layer")
        wide = weight.astype(np.float64)
        found.append((wide, np.zeros(len(wide)) if bias is None else bias.astype(np.float64)))
    if not found:
        raise ValueError("it holds no layer")
    for (before, _), (after, _) in pairwise(found):
        if len(before) != after.shape[1]:
            raise ValueError(f"a layer of {after.shape[1]} inputs follows one of {len(before)} outputs")
    if len(found[-1][0]) != 1:
        raise ValueError(f"it has {len(found[-1][0])} outputs and should have one")
    return tuple(found)


def _file(named: str) -> Path:
    path = local(named)
    if path is not None:
        return path
    owner, _, rest = named.removeprefix(HUB).partition("/")
    repository, _, file = rest.partition("/")
    if not named.startswith(HUB) or not file:
        raise ValueError("it is neither an absolute path nor hf-hub:owner/name/file")
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(f"{owner}/{repository}", file))


def _tensors(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        found = load_file(path)
    else:
        import torch

        found = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float().numpy() for name, tensor in found.items()}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts layer 10 after layer 2."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]
