"""How well made a picture is, by a head on a scorer's embedding, as the LAION aesthetic predictors are."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from annotate import models
from annotate.scoring import alignment, weights
from annotate.scoring.classifiers import HeadOf, head
from pipelines.extractors.alignment import embedding_name, stored_embedding
from pipelines.extractors.base import Extractor, Sample
from warehouse.schema import Column

SECTION = "aesthetic"

COLUMNS = (
    Column("aesthetic", pa.float32(), "how well made the picture is, on the head's own scale; LAION's: about 1 to 10"),
)


def extractors() -> tuple[Extractor, ...]:
    """The one extractor, absent where no section tells of a head. It reads the stored embedding, no bytes. Raises
    UsageError for a wrong section."""
    told = _told()
    return (
        Extractor(
            SECTION,
            "1",
            "one row per image: how well made it is",
            COLUMNS,
            _measure,
            needs="captions",
            after=(embedding_name(told.scorer),) if told else (),
            missing=_missing,
            weights=lambda: told.fingerprint if told else "",
        ),
    )


def _told() -> HeadOf | None:
    found = models.section(SECTION)
    return models.checked(SECTION, found, HeadOf) if found else None


def _missing() -> str | None:
    told = _told()
    if told is None:
        return weights.not_configured(SECTION)
    return alignment.missing(told.scorer) or weights.lacking(SECTION, ("safetensors",), (told.head,))


def _measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    told = _told()
    assert told is not None
    value = head(SECTION, told)
    return [{"aesthetic": round(value(stored_embedding(told.scorer, sample)), 4)} for sample in batch]
