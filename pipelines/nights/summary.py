"""What a night did, for a scheduler: passes with seconds, counts and rates, what is left, and an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from warehouse.errors import GlyphmillError, LakeBusy

#: The night is done, but something of it is not: units that failed, images that were not stored or inspected.
PARTIAL = 7


@dataclass(frozen=True)
class PassDone:
    """One pass of a night. `items`: what it worked on, images mostly."""

    name: str
    seconds: float
    items: int
    counts: Mapping[str, object]

    @property
    def per_second(self) -> float | None:
        return round(self.items / self.seconds, 2) if self.items and self.seconds > 0 else None


@dataclass(frozen=True)
class Left:
    """What of a night's own delivery is not done. `failed`: keys of units, as in the table errors; `uninspected` and
    `unstored`: images."""

    failed: tuple[str, ...] = ()
    uninspected: int = 0
    unstored: int = 0

    def __bool__(self) -> bool:
        return bool(self.failed or self.uninspected or self.unstored)

    def __str__(self) -> str:
        told = []
        if self.failed:
            told.append(f"{len(self.failed)} units failed (table errors; glyphmill replay --unit {self.failed[0]})")
        if self.uninspected:
            told.append(f"{self.uninspected} images could not be inspected")
        if self.unstored:
            told.append(f"{self.unstored} images could not be stored")
        return ", ".join(told)


@dataclass
class NightSummary:
    """One night of one source. Filled as the night goes, so that it tells as much of one that stopped half-way."""

    lake: str
    source: str
    night: str
    recipe: str
    recipe_hash: str
    engine: str
    units: int | None = None  # on the frozen list; None: nothing was delivered yet, and nothing is frozen
    samples: int = 0
    passes: list[PassDone] = field(default_factory=list)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    dataset: str | None = None
    version: str | None = None
    placed: Mapping[int, int] = field(default_factory=dict)
    left: Left = field(default_factory=Left)
    snapshot: int | None = None
    seconds: float = 0.0
    error: str | None = None
    error_code: int = 0

    def fail(self, error: BaseException) -> None:
        """Note what ended the night."""
        self.error = " ".join(f"{type(error).__name__}: {error}".split())
        self.error_code = 1
        if isinstance(error, GlyphmillError):
            self.error, self.error_code = str(error), error.exit_code

    @property
    def status(self) -> str:
        """done | nothing new | partial | busy | failed."""
        if self.error is not None:
            return "busy" if self.error_code == LakeBusy.exit_code else "failed"
        if self.left:
            return "partial"
        return "done" if self.units else "nothing new"

    @property
    def exit_code(self) -> int:
        return self.error_code or (PARTIAL if self.left else 0)

    def as_dict(self) -> dict[str, object]:
        """All of it, ready for JSON."""
        plain = {**asdict(self), "status": self.status, "exit_code": self.exit_code}
        for told, done in zip(plain["passes"], self.passes, strict=True):
            told["seconds"], told["per_second"] = round(done.seconds, 3), done.per_second
        plain["seconds"] = round(self.seconds, 3)
        plain["placed"] = {str(scale): count for scale, count in self.placed.items()}
        del plain["error_code"]
        return plain

    def __str__(self) -> str:
        what = f"{self.night} of {self.source}"
        if self.error is not None:
            return f"{what}: stopped"
        listed = "nothing delivered yet" if self.units is None else f"{self.samples} samples in {self.units} units"
        told = f"{what}: {listed}"
        if self.outcomes:
            told += "; the lake now: " + ", ".join(f"{n} {outcome}" for outcome, n in self.outcomes.items())
        if self.version:
            placed = ", ".join(f"{count} at {scale}" for scale, count in self.placed.items())
            told += f"; dataset {self.dataset} version {self.version}: {placed + ' pixels' if placed else 'no images'}"
        told += f"; {self.seconds:.1f} s"
        return f"{told}; left over: {self.left}" if self.left else told
