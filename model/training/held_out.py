"""Samples that are kept out of training, by hash, and encoded for the validation loss.

Which samples those are depends on their ids alone: a lake that grows holds out the same ones and some of the new.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch

from model.batches import LatentBatch, PlannedBatch
from model.curriculum.schema import Curriculum, Phase, Source
from model.feed.encoders import Encoders
from model.feed.pixels import Pixels, UndecodableError, fitted
from model.plan.plan import PhaseTables, Plan
from model.text.encoder import Prompt, padded
from model.training.validation import HeldOut, by_shape
from warehouse.errors import UsageError
from warehouse.lake import Lake

ID = {"t2i": "image_id", "ti2i": "pair_id"}


def without(curriculum: Curriculum, share: float) -> Curriculum:
    """The curriculum whose queries leave out the held-out `share` of all samples. 0 changes nothing."""
    return _filtered(curriculum, share, ">=")


def only(curriculum: Curriculum, share: float, samples: int) -> Curriculum:
    """A curriculum of the held-out samples: each phase as long as `samples` single ones, none told a blank prompt."""
    phases = tuple(_single(phase, samples) for phase in curriculum.phases)
    return replace(_filtered(curriculum, share, "<"), phases=phases)


def make_plan(curriculum: Curriculum, lake: Lake, folder: Path, share: float, samples: int, seed: int) -> str | None:
    """Write the plan of the held-out samples into `folder`. Gives the reason where there are none: a small lake may
    hold out nothing."""
    try:
        Plan.make(only(curriculum, share, samples), lake, folder, seed)
    except UsageError as error:
        return str(error)
    return None


class HeldOutSamples:
    """The held-out samples of each phase, encoded when they are first asked for."""

    def __init__(self, plan: Plan, encoders: Callable[[], AbstractContextManager[Encoders]]) -> None:
        self.plan, self._encoders = plan, encoders
        self._made: dict[str, HeldOut] = {}

    def of_phase(self, name: str) -> HeldOut | None:
        """Those of a phase, each once, at its resolutions; None for a phase that came later, by a change of recipe.
        Raises LakeError where the lake is not there."""
        if name not in self._made:
            found = self._phase(name)
            if found is None:
                return None
            seen: dict[str, LatentBatch] = {}
            with self._encoders() as encoders:
                for step in range(found.first, found.first + found.phase.steps):
                    planned = self.plan.batch(step)
                    target = planned.samples[0].target
                    key = f"{self.plan.content(target)} {planned.height}x{planned.width} {planned.task}"
                    if key not in seen and (row := self._encoded(planned, encoders)) is not None:
                        seen[key] = row
            self._made[name] = by_shape(list(seen.items()))
        return self._made[name]

    def prompts(self, name: str, count: int) -> tuple[str, ...]:
        """The captions of the first samples of a phase, each once; none where it has text-and-image samples only, or
        came later."""
        found = self._phase(name)
        if found is None:
            return ()
        batches = [self.plan.batch(found.first + step) for step in range(found.phase.steps)]
        captions = [b.samples[0].caption for b in batches if b.task == "t2i"]
        return tuple(dict.fromkeys(caption for caption in captions if caption))[:count]

    def _phase(self, name: str) -> PhaseTables | None:
        return next((p for p in self.plan.phases if p.phase.name == name), None)

    def _encoded(self, planned: PlannedBatch, encoders: Encoders) -> LatentBatch | None:
        """One row; None where an image is forgotten or no picture."""
        sample = planned.samples[0]
        pixels: list[Pixels] = []
        for picture in (sample.target, *sample.references):
            data = self.plan.read(picture)
            if data is None:
                return None
            try:
                pixels.append(fitted(data, planned.height, planned.width).pixels)
            except UndecodableError:
                return None
        latents = [encoders.latents([one])[0].clone() for one in pixels]
        context, lengths = padded(encoders.texts([Prompt(sample.caption or " ", tuple(pixels[1:]))]))
        return LatentBatch(
            step=planned.step,
            phase=planned.phase,
            task=planned.task,
            positions=(0,),
            latents=latents[0][None],
            references=(tuple(latents[1:]),),
            context=context.to(torch.float32),
            lengths=lengths,
        )


def _filtered(curriculum: Curriculum, share: float, sign: str) -> Curriculum:
    if not 0 <= share < 1:
        raise UsageError(f"the share to hold out is {share}, and must be from 0 to below 1")
    if share == 0:
        return curriculum
    border = f"{round(share * (1 << 32)):08x}"

    def narrowed(source: Source) -> Source:
        inner = source.sql.strip().rstrip(";")
        column = f"left(md5({ID[source.task]}::VARCHAR), 8)"
        return replace(source, sql=f"SELECT * FROM (\n{inner}\n) WHERE {column} {sign} '{border}'")

    return replace(curriculum, sources={name: narrowed(source) for name, source in curriculum.sources.items()})


def _single(phase: Phase, samples: int) -> Phase:
    return replace(
        phase,
        steps=max(samples, phase.segments),
        resolutions=tuple(replace(r, batch=1, tokens=None, divisible_by=1) for r in phase.resolutions),
        warmup=0,
        dropout=0.0,
    )
