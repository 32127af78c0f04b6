"""A recipe's section [watch]: how far a night may stray from the ones before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Limits(_Strict):
    """Limits of one signal; None: that statistic is told and not judged.

    `missing`: change of the share that is not measured, 0 to 1. `psi`: population stability index. `mean`: change of
    the mean, in the standard deviations of the nights before.
    """

    missing: float | None = Field(default=None, ge=0)
    psi: float | None = Field(default=None, ge=0)
    mean: float | None = Field(default=None, ge=0)

    @field_validator("missing", "psi", "mean", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: object) -> object:
        return _as_float(value)


class WatchEntry(Limits):
    """[watch] as written. The limits hold for every signal that `signals` names none for.

    `nights`: batches that one is held against. `least`: images that a batch, and those before it together, must have to
    be judged. `share`: change of a share of outcomes, stages, rules, categories or sources, 0 to 1.
    """

    nights: int = Field(default=14, ge=1)
    least: int = Field(default=100, ge=1)
    share: float | None = Field(default=None, ge=0)
    signals: Mapping[str, Limits] = Field(default_factory=dict)

    @field_validator("share", mode="before")
    @classmethod
    def _whole_shares_too(cls, value: object) -> object:
        return _as_float(value)

    def limits_of(self, signal: str) -> Limits:
        """What holds for a signal: its own limits, and the general ones where it has none of its own."""
        own = self.signals.get(signal, Limits())
        return Limits(
            missing=self.missing if own.missing is None else own.missing,
            psi=self.psi if own.psi is None else own.psi,
            mean=self.mean if own.mean is None else own.mean,
        )

    def unknown(self, known: Iterable[str]) -> list[str]:
        """Names of signals that nobody measures."""
        return sorted(set(self.signals) - set(known))


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
