"""What must not be trained on, sexual and violent content apart: each by the labels of an image classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from annotate import models
from annotate.scoring import weights
from annotate.scoring.classifiers import Classifier, Labelled, classifier
from annotate.scoring.forward import Floats
from pipelines.extractors.base import Extractor, Sample
from warehouse.schema import Column

KINDS = {"sexual": "sexual content", "violence": "violence, blood or gore"}


@dataclass
class _Latest:
    """What a classifier last said. Both kinds of content are asked about the same batch, one after the other, and one
    classifier may answer both: it then runs once."""

    model: Classifier | None = None
    image_ids: tuple[str, ...] = ()
    found: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def probabilities(self, model: Classifier, batch: Sequence[Sample]) -> Floats:
        image_ids = tuple(sample.image_id for sample in batch)
        if model is not self.model or image_ids != self.image_ids:
            self.found = model.probabilities([sample.full for sample in batch])
            self.model, self.image_ids = model, image_ids
        return self.found


_latest = _Latest()


def extractors() -> tuple[Extractor, ...]:
    """An extractor for each kind of content; one that no section tells of is absent. Raises UsageError for a wrong
    section."""
    return tuple(_extractor(kind, what) for kind, what in KINDS.items())


def _extractor(kind: str, what: str) -> Extractor:
    name, told = f"nsfw_{kind}", _told(kind)
    column = Column(name, pa.float32(), f"probability of {what}, 0 to 1: that of the labels named by [nsfw.{kind}]")
    return Extractor(
        name,
        "1",
        f"one row per image: probability of {what}",
        (column,),
        partial(_measure, kind),
        needs="image",
        missing=partial(_missing, kind),
        weights=lambda: told.fingerprint if told else "",
    )


def _told(kind: str) -> Labelled | None:
    found = models.section("nsfw").get(kind)
    return None if found is None else models.checked(f"nsfw.{kind}", found, Labelled)


def _missing(kind: str) -> str | None:
    told = _told(kind)
    if told is None:
        return weights.not_configured(f"nsfw.{kind}")
    return weights.lacking(f"nsfw.{kind}", ("torch", "torchvision", "transformers"), (told.model,))


def _measure(kind: str, batch: Sequence[Sample]) -> list[dict[str, object]]:
    told = _told(kind)
    assert told is not None
    model = classifier(f"nsfw.{kind}", told)
    found = _latest.probabilities(model, batch)
    return [{f"nsfw_{kind}": round(float(share), 4)} for share in model.share(found, told.labels)]
