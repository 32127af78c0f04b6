"""How well a text fits a picture: scorers as configured in models.toml, one section [alignment.NAME] each.

A score is the cosine of the picture's and the text's embedding, -1 to 1, stored rounded to four decimals. What is a
good one differs between models: CLIP's usual range is 0.15 to 0.35, SigLIP's lower and wider. SigLIP's own probability
is `match_probability`, which grows with the cosine: a threshold on the one is a threshold on the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from annotate import models
from annotate.scoring import encoders, weights
from annotate.scoring.encoders import LIBRARIES, Encoder, OpenClip, Own, Texts, Transformers
from warehouse.errors import UsageError

SECTION = "alignment"
DECIMALS = 4
Vectors = npt.NDArray[np.float32]

_NEEDED = {OpenClip: ("torch", "torchvision", "open_clip"), Transformers: ("torch", "torchvision", "transformers")}


@dataclass(frozen=True)
class Scorer:
    """A loaded scorer. Its embeddings have length 1 and depend on no other image or text of the batch."""

    name: str
    encoder: Encoder

    def images(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, d) embeddings of upright RGB pictures, as precise as float16 is: what a stored one gives back."""
        return _unit(self.encoder.encode_images(images)).astype(np.float16).astype(np.float32)

    def texts(self, texts: Sequence[str]) -> Texts:
        """(n, d) embeddings of texts; `truncated` where one is longer than the model reads."""
        found = self.encoder.encode_texts(texts)
        return Texts(_unit(found.embeddings), found.truncated)


class Guess(NamedTuple):
    """The likeliest label and its probability among the labels asked about."""

    label: str
    probability: float


def names() -> tuple[str, ...]:
    """The scorers that are configured."""
    return tuple(sorted(models.section(SECTION)))


def section_of(name: str) -> str:
    """The section of models.toml that tells of a scorer."""
    return f"{SECTION}.{name}"


def config(name: str) -> OpenClip | Transformers | Own:
    """What models.toml says of a scorer. Raises UsageError where it says nothing, or nothing that can be used."""
    told = models.section(SECTION).get(name)
    if told is None:
        raise UsageError(f"no scorer {name}: {weights.not_configured(section_of(name))}")
    library = told.get("library") if isinstance(told, Mapping) else None
    if library not in LIBRARIES:
        raise UsageError(
            f"models file {models.path()}: [{section_of(name)}] needs library = one of {', '.join(LIBRARIES)}, "
            "see docs/models.md"
        )
    return models.checked(section_of(name), told, LIBRARIES[library])


def missing(name: str) -> str | None:
    """One line on what this machine lacks to run a scorer, or None. Nothing is loaded."""
    if name not in models.section(SECTION):
        return weights.not_configured(section_of(name))
    told = config(name)
    paths = (told.weights,) if isinstance(told, Own) else (told.model, getattr(told, "weights", None))
    return weights.lacking(section_of(name), _NEEDED.get(type(told), ()), paths)


def fingerprint(name: str) -> str:
    """What decides a scorer's embeddings: its settings and the content of its files; empty where none is configured.

    Versions of libraries are not in it: they move the last digits, and every image would have to be read again.
    """
    if name not in models.section(SECTION):
        return ""
    told = config(name)
    settings = told.model_dump(exclude={"model", "weights"})
    listed = [f"{key}={value}" for key, value in sorted(settings.items())]
    return weights.fingerprint(*listed, getattr(told, "model", None), getattr(told, "weights", None))


def scorer(name: str) -> Scorer:
    """The scorer of that name, loaded once a process. Raises UsageError where it is not configured or cannot be."""
    return _loaded(name, config(name), fingerprint(name))


@cache
def _loaded(name: str, told: OpenClip | Transformers | Own, content: str) -> Scorer:
    what = told.factory if isinstance(told, Own) else told.model
    with weights.loading(section_of(name), f"scorer {name} ({told.library}, {what})"):
        return Scorer(name, encoders.load(section_of(name), told))


def cosine(image: npt.ArrayLike, text: npt.ArrayLike) -> float:
    """Cosine of two embeddings (d,), rounded as it is stored."""
    a, b = np.asarray(image, np.float64), np.asarray(text, np.float64)
    return round(float((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())), DECIMALS)


def match_probability(score: float, encoder: Encoder) -> float:
    """SigLIP's probability that image and text belong together: Zhai et al. 2023 (arXiv 2303.15343), the loss's term
    for a positive pair, sigmoid(t * cosine + b)."""
    return 1 / (1 + math.exp(-(encoder.logit_scale * score + encoder.logit_bias)))


def zero_shot(scorer: Scorer, embeddings: npt.ArrayLike, prompts: Mapping[str, Iterable[str]]) -> list[Guess]:
    """The likeliest label of each of (n, d) image embeddings, where `prompts` says each label in one or more ways.

    Radford et al. 2021 (arXiv 2103.00020), sections 3.1.2 and 3.1.4: a label's embedding is the mean of its prompts',
    its probability the softmax over labels of logit_scale * cosine. Of equals the first label wins. An image's guess
    does not depend on the other images. Raises ValueError for no label, or one without a prompt.
    """
    labels = {label: list(texts) for label, texts in prompts.items()}
    if not labels or not all(labels.values()):
        raise ValueError("zero-shot needs labels with at least one prompt each")
    encoded = scorer.texts([text for texts in labels.values() for text in texts]).embeddings
    ends = np.cumsum([len(texts) for texts in labels.values()])
    centres = _unit(np.stack([group.mean(axis=0) for group in np.split(encoded, ends[:-1])])).astype(np.float64)
    guesses = []
    for image in np.asarray(embeddings, np.float64):
        logits = scorer.encoder.logit_scale * (centres * image).sum(axis=1) / math.sqrt((image * image).sum())
        odds = np.exp(logits - logits.max())
        best = int(odds.argmax())
        guesses.append(Guess(list(labels)[best], round(float(odds[best] / odds.sum()), DECIMALS)))
    return guesses


def pack(embedding: npt.ArrayLike) -> bytes:
    """An embedding (d,) as it is stored: float16, little-endian, 2 d bytes."""
    return np.asarray(embedding).astype("<f2").tobytes()


def unpack(stored: bytes) -> Vectors:
    """The embedding (d,) that was stored."""
    return np.frombuffer(stored, "<f2").astype(np.float32)


def _unit(rows: Vectors) -> Vectors:
    """(n, d) rows brought to length 1. Raises ValueError where a model gave what is no vector."""
    wide = np.asarray(rows, np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError("the model gave an embedding that is no vector of finite length")
    unit: Vectors = (wide / lengths).astype(np.float32)
    return unit
