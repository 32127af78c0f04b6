"""What an extractor is: one small file that measures something about images and declares the columns it fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from PIL import Image

from pipelines.decode import Picture
from pipelines.header import Header
from warehouse.schema import Aggregate, Column, Table, caption_signal_table, signal_table


@dataclass(frozen=True)
class CaptionText:
    """One caption of an image, a row of `captions`."""

    caption_id: str
    kind: str
    text: str
    lang: str


@dataclass(frozen=True)
class Described:
    """What is known of an image without its bytes: all that an extractor with `needs="captions"` gets.

    `captions`: those the extractor has not measured yet (all of them for one with `per="image"`). `rows`: for each
    extractor that it comes `after`, that one's row of this image; one that failed on the image is left out. For each
    relation that it `reads`: this image's row there, if it has one.
    """

    image_id: str
    captions: tuple[CaptionText, ...] = field(default=(), kw_only=True)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class Sample(Described):
    """One image as an extractor gets it; a picture that it did not ask for may not be there.

    `picture`: for `needs="pixels"`. `image`: the upright RGB picture at its own size, transparency on white, for
    `needs="image"`.
    """

    data: bytes
    header: Header
    picture: Picture | None = None
    image: Image.Image | None = None

    @property
    def pixels(self) -> Picture:
        """The picture, for extractors with `needs="pixels"`."""
        assert self.picture is not None
        return self.picture

    @property
    def full(self) -> Image.Image:
        """The upright RGB picture at its own size, for extractors with `needs="image"`."""
        assert self.image is not None
        return self.image


Row = Mapping[str, object]
Measure = Callable[[Sequence[Sample]], Sequence[Row]]
MeasureCaptions = Callable[[Sequence[Sample]], Sequence[Sequence[Row]]]


@dataclass(frozen=True)
class Extractor:
    """Measures some columns of an image, or of each of its captions.

    `fn` takes a batch of samples and gives one dict of the columns' values per sample, in order; with `per="caption"`
    a list of dicts per sample, each with its `caption_id`. It must give the same values whatever else is in the batch.
    Raise `version` whenever it would give other values for the same bytes: its part is then measured again, no other.

    `needs` says what is read for it, and so in which pass it runs: `header` (no decode) and `pixels` (the working size)
    in scan; `image` (a full decode) and `captions` (no bytes at all) in inspect, for images not dropped by then.
    `reads` names tables or views of the lake with a row per image (inspect only): what is known of it without looking.
    `missing` says in one line what this machine lacks to run it, or None; it must be quick and load no model.
    `weights` names what it is configured with (models, thresholds, engines), as part of the version of its rows.
    `batch`: samples that inspect hands to `fn` at once. A slow one takes few, so that the engine sees it is alive.
    Heavy libraries are imported and models loaded by `fn` when it is first called, once per process.
    """

    name: str
    version: str
    doc: str
    columns: tuple[Column, ...]
    fn: Measure | MeasureCaptions
    needs: Literal["header", "pixels", "image", "captions"] = "pixels"
    per: Literal["image", "caption"] = "image"
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    missing: Callable[[], str | None] = lambda: None
    weights: Callable[[], str] = lambda: ""
    batch: int = 16

    @property
    def in_scan(self) -> bool:
        return self.needs in ("header", "pixels")

    @cached_property
    def table(self) -> Table:
        """The table `signals_<name>` that the columns are stored in."""
        if self.per == "caption":
            return caption_signal_table(self.name, self.columns, self.doc, self.aggregates)
        return signal_table(self.name, self.columns, self.doc)
