"""What a curriculum says. Everything here is data: `load` reads it, `model.plan` makes batches of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from model.batches import Task
from model.curriculum.ramp import Ramp
from model.curriculum.sizes import size
from model.timesteps import Timesteps
from warehouse.buckets import ASPECT_BUCKETS
from warehouse.errors import UsageError

TASKS: tuple[Task, ...] = ("t2i", "ti2i")
OnMissing = Literal["error", "skip"]
Decay = Literal["linear", "cosine"]


@dataclass(frozen=True)
class Optimizer:
    """The optimiser's settings. `clip`: largest global norm of the gradient; `ema`: decay of the averaged weights, 0
    for none."""

    name: Literal["adam", "adamw", "muon"] = "adamw"
    weight_decay: float = 0.0
    clip: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    ema: float = 0.0


@dataclass(frozen=True)
class Source:
    """Named samples. `sql` gives image_id (of a `ti2i` source pair_id), and may give weight and bucket; `$name` in it
    is a value of the phase, `$side` the side of the resolution. `captions`: shares of caption kinds (of a `ti2i` source
    `en`, `zh`), None for the curriculum's; `captions_sql` gives image_id, text and perhaps kind in place of the lake's
    captions."""

    name: str
    sql: str
    task: Task = "t2i"
    captions: Mapping[str, Ramp] | None = None
    captions_sql: str | None = None


@dataclass(frozen=True)
class Resolution:
    """`side` of the square of the same area, in pixels. A step holds `batch` images, or as many as fit `tokens`,
    rounded down to a multiple of `divisible_by`. `share` of the phase's steps, of the sum of all shares."""

    side: int
    batch: int | None = None
    tokens: int | None = None
    divisible_by: int = 1
    share: Ramp = field(default_factory=lambda: Ramp((1.0,)))
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # bucket -> height, width

    def size(self, bucket: str, multiple: int) -> tuple[int, int]:
        """Height and width of a bucket in pixels; ValueError where its label is no shape."""
        return self.sizes.get(bucket) or size(self.side, bucket, multiple)

    def images(self, height: int, width: int, token: int) -> int:
        """Images of one step at this size, over all ranks; `token` is the side of a token in pixels."""
        if self.batch is not None:
            return self.batch
        fitting = (self.tokens or 0) // ((height // token) * (width // token))
        return max(1, fitting // self.divisible_by) * self.divisible_by


@dataclass(frozen=True)
class Phase:
    """Some steps under the same rules. Ramps run from its first step to its last; `values` move in `segments` jumps,
    for each needs a query of its own. `edits`: share of the steps that are text-and-image to image."""

    name: str
    steps: int
    resolutions: tuple[Resolution, ...]
    shares: Mapping[str, Ramp]
    learning_rate: Ramp | None
    decay: Decay = "linear"
    warmup: int = 0
    edits: Ramp = field(default_factory=lambda: Ramp((0.0,)))
    dropout: float = 0.1
    captions: Mapping[str, Ramp] | None = None
    values: Mapping[str, Ramp] = field(default_factory=dict)
    segments: int = 1

    def rate(self, step: int) -> float:
        """Learning rate at a step counted from the phase's first, warmed up linearly; ValueError where it has none."""
        if self.learning_rate is None:
            raise ValueError(f"phase {self.name} has no learning rate")
        fraction = step / max(1, self.steps - 1)
        if self.decay == "cosine" and len(self.learning_rate.points) == 2:
            begin, end = self.learning_rate.points
            rate = end + (begin - end) * (1 + math.cos(math.pi * fraction)) / 2
        else:
            rate = self.learning_rate.value(fraction)
        return rate * min(1.0, (step + 1) / self.warmup) if self.warmup else rate

    def segment_starts(self) -> list[int]:
        """First step of each segment, and the number of steps at the end."""
        return [number * self.steps // self.segments for number in range(self.segments + 1)]

    def segment_values(self, segment: int) -> dict[str, float]:
        """The values of a segment: a ramp's first point in the first segment, its last in the last."""
        fraction = segment / max(1, self.segments - 1)
        return {name: ramp.value(fraction) for name, ramp in self.values.items()}


@dataclass(frozen=True)
class Curriculum:
    """A whole training. `multiple`: sizes are multiples of it, in pixels; `token`: side of a token in pixels."""

    name: str
    phases: tuple[Phase, ...]
    sources: Mapping[str, Source]
    doc: str = ""
    optimizer: Optimizer = Optimizer()
    timesteps: Timesteps = field(default_factory=Timesteps)
    buckets: tuple[str, ...] = ASPECT_BUCKETS
    multiple: int = 16
    token: int = 16
    on_missing_caption: OnMissing = "error"
    toml: str = ""

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def digest(self) -> str:
        """32 hex digits that name the content: comments, spacing and the description do not matter."""
        content = {**asdict(self), "doc": "", "toml": ""}
        written = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(written.encode()).hexdigest()[:32]

    def without_rate(self) -> list[str]:
        """Names of the phases that no learning rate is given for."""
        return [phase.name for phase in self.phases if phase.learning_rate is None]

    def captions(self, phase: Phase, source: Source) -> Mapping[str, Ramp] | None:
        """The caption kinds of a source in a phase: the source's own, else the phase's; None: the best there is. What a
        phase says is of pictures, not of instructions."""
        if source.captions is not None:
            return source.captions
        return phase.captions if source.task == "t2i" else None

    def shrunk(self, *, steps: int = 1, batch: int = 1) -> Curriculum:
        """The same with 1/steps of the steps and warm-up, and 1/batch of each batch or token budget; at least one."""

        def smaller(resolution: Resolution) -> Resolution:
            return replace(
                resolution,
                batch=None if resolution.batch is None else max(1, resolution.batch // batch),
                tokens=None if resolution.tokens is None else max(1, resolution.tokens // batch),
                divisible_by=1 if batch > 1 else resolution.divisible_by,
            )

        phases = tuple(
            replace(
                phase,
                steps=max(phase.segments, phase.steps // steps),
                warmup=phase.warmup // steps,
                resolutions=tuple(map(smaller, phase.resolutions)),
            )
            for phase in self.phases
        )
        return replace(self, phases=phases)

    def with_rate(self, rate: float) -> Curriculum:
        """The same with this learning rate in every phase that names none. Raises UsageError where all do."""
        if not self.without_rate():
            raise UsageError(
                f"every phase of {self.name} names its learning rate: change it there, or leave --learning-rate away"
            )
        given = Ramp((rate,))
        return replace(self, phases=tuple(replace(p, learning_rate=p.learning_rate or given) for p in self.phases))
