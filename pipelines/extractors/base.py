"""What an extractor is: one small file that measures something about images and declares the columns it fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.decode import Picture
from pipelines.header import Header
from warehouse.schema import Column, Table, signal_table


@dataclass(frozen=True)
class Sample:
    """One image as an extractor gets it. `picture` is there for extractors that need pixels, None for the others."""

    image_id: str
    data: bytes
    header: Header
    picture: Picture | None = None

    @property
    def pixels(self) -> Picture:
        """The picture, for extractors with `needs="pixels"`."""
        assert self.picture is not None
        return self.picture


Measure = Callable[[Sequence[Sample]], Sequence[Mapping[str, object]]]


@dataclass(frozen=True)
class Extractor:
    """Measures some columns of an image.

    `fn` takes a batch of samples and gives one dict of the columns' values per sample, in order; it must give the same
    values whatever else is in the batch. Raise `version` whenever it would give other values for the same bytes: its
    part is then measured again, and no other. `needs="header"` spares the decode where nothing else is to be measured.
    """

    name: str
    version: str
    doc: str
    columns: tuple[Column, ...]
    fn: Measure
    needs: Literal["header", "pixels"] = "pixels"

    @property
    def table(self) -> Table:
        """The table `signals_<name>` that the columns are stored in."""
        return signal_table(self.name, self.columns, self.doc)
