"""What a planned batch needs: the entries of each of its samples, named by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from model.batches import Picture, PlannedBatch, PlannedSample
from model.feed.messages import Encoding, Kind, Task
from model.feed.plans import PlanLike
from warehouse.errors import UsageError

MissingCaption = Literal["error", "skip"]
#: What the model is told where the condition is dropped, as in sampling: a blank through the same template.
BLANK = " "


@dataclass(frozen=True)
class SampleNeeds:
    """The entries of the sample at `place` of the global batch."""

    place: int
    latent: Task
    references: tuple[Task, ...]
    text: Task

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (self.latent, *self.references, self.text)


def share(samples: int, rank: int, world_size: int) -> range:
    """The places of the global batch that a data-parallel rank has: one run of them, sizes differ by one at most."""
    return range(samples * rank // world_size, samples * (rank + 1) // world_size)


def batch_needs(
    plan: PlanLike, planned: PlannedBatch, encoding: Encoding, places: range, missing_caption: MissingCaption
) -> list[SampleNeeds]:
    """What the samples at `places` need. A sample without a caption is left out if `missing_caption` is "skip".

    Raises UsageError for it otherwise, naming the sample, and where the size is none that the VAE can encode.
    """
    if planned.height % encoding.factor or planned.width % encoding.factor:
        raise UsageError(
            f"step {planned.step} of the plan is {planned.width}x{planned.height} pixels, which the VAE's compression "
            f"by {encoding.factor} does not divide: change the resolution of phase {planned.phase}"
        )
    found = []
    for place in places:
        sample = planned.samples[place]
        if lacks_caption(sample):
            if missing_caption == "skip":
                continue
            raise UsageError(
                f"step {planned.step} place {place}: record {sample.target.record} of selection "
                f"{sample.target.selection} has no caption; add one, select only captioned images, or skip such "
                "samples (--missing-caption skip)"
            )
        found.append(_sample_needs(plan, planned, encoding, place, sample))
    return found


def lacks_caption(sample: PlannedSample) -> bool:
    return not sample.dropped and (sample.caption is None or not sample.caption.strip())


def _sample_needs(
    plan: PlanLike, planned: PlannedBatch, encoding: Encoding, place: int, sample: PlannedSample
) -> SampleNeeds:
    height, width = planned.height, planned.width

    def task(kind: Kind, pictures: tuple[Picture, ...], text: str | None) -> Task:
        contents = [plan.content(picture) for picture in pictures]
        size = (height, width) if pictures else (0, 0)
        key = entry_key(encoding, kind, contents, size, text)
        return Task(key, kind, plan.digest, planned.step, place, *size, pictures, text)

    told = BLANK if sample.dropped else sample.caption
    return SampleNeeds(
        place,
        task("latent", (sample.target,), None),
        tuple(task("latent", (reference,), None) for reference in sample.references),
        task("text", sample.references, told),
    )


def entry_key(encoding: Encoding, kind: Kind, contents: list[str], size: tuple[int, int], text: str | None) -> str:
    """32 hex digits over everything that decides the entry's numbers, and nothing else."""
    joined = _made_by(encoding, kind, bool(contents), size) + _parted(*contents, text or "")
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@lru_cache
def _made_by(encoding: Encoding, kind: Kind, pictures: bool, size: tuple[int, int]) -> str:
    """What the names of all entries of a batch begin with."""
    if kind == "latent":
        made_by = [encoding.vae, encoding.pixels, encoding.latent_dtype, str(encoding.rows)]
    else:
        made_by = [encoding.text, encoding.pixels if pictures else "", encoding.text_dtype]
    return _parted(kind, *made_by, f"{size[0]}x{size[1]}")


def _parted(*parts: str) -> str:
    """Lengths before the parts, so that no two lists of parts give the same text."""
    return "".join([f"{len(part)}:{part}" for part in parts])
