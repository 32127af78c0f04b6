"""The section `[balance]` of a recipe: what stages 6 and 7 shall make of the images that every rule keeps."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.categories.taxonomy import DEFAULT, load_taxonomy


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TrackShares(_Strict):
    """Least shares of the images that stage 6 takes, 0 to 1: on the text track, on the portrait track."""

    text: float = Field(default=0.0, ge=0, le=1)
    portrait: float = Field(default=0.0, ge=0, le=1)

    @field_validator("*", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: object) -> object:
        return _as_float(value)


class TokenWeights(_Strict):
    """Text-token frequency balance: w(token) = min(1, (threshold / images with it) ** exponent).

    `threshold`: the median over the tokens seen where None. `exponent` 0 switches it off. `minimum`: images that each
    character of `levels` (of the General Standard Chinese Characters) should be in; what lacks is asked for.
    """

    exponent: float = Field(default=0.5, ge=0, le=2)
    threshold: int | None = Field(default=None, ge=1)
    minimum: int = Field(default=0, ge=0)
    levels: tuple[int, ...] = (1, 2)

    @field_validator("exponent", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: object) -> object:
        return _as_float(value)

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_are_one_to_three(cls, value: object) -> object:
        levels = tuple(value) if isinstance(value, list | tuple) else value
        if not isinstance(levels, tuple) or not set(levels) <= {1, 2, 3}:
            raise ValueError(f"levels are out of 1, 2 and 3, got {value}")
        return tuple(sorted(set(levels)))


class BalanceEntry(_Strict):
    """The section as written; part of the recipe's hash by way of `content`.

    `size`: images that stage 6 plans for, deficits among them. Without it the size is the largest at which no class
    stands more than `tolerance` above its share, and at least what takes the share `keep` of the images there are.
    `best_of_leaf`: share of stage 6's images that stage 7 takes, the best of each leaf by quality. `max_repeat`:
    expected copies up to which the images of a leaf with a deficit make up for it.
    """

    taxonomy: str = DEFAULT
    size: int | None = Field(default=None, ge=1)
    tolerance: float = Field(default=0.01, gt=0, lt=1)
    keep: float = Field(default=0.25, ge=0, le=1)
    tracks: TrackShares = TrackShares()
    best_of_leaf: float = Field(default=0.5, gt=0, le=1)
    max_repeat: float = Field(default=1.0, ge=1, le=100)
    tokens: TokenWeights = TokenWeights()

    @field_validator("tolerance", "keep", "best_of_leaf", "max_repeat", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: object) -> object:
        return _as_float(value)

    def content(self) -> dict[str, object]:
        """All that decides the outcome, for the recipe's hash: the settings, and the taxonomy by its content."""
        return {**self.model_dump(mode="json"), "taxonomy": load_taxonomy(self.taxonomy).hash}


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
