"""Where an autoencoder's pictures come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from model.vae_training.pictures import Training, Watching
from model.vae_training.settings import VaeTraining, View


@dataclass(frozen=True)
class PictureSource:
    """A query on a lake. `reader`: folder of a reader for the perceptual loss, if that has a weight."""

    lake: str | PurePath
    sql: str
    workers: int = 0
    cache: Path | None = None
    reader: Path | None = None

    def training(self, settings: VaeTraining) -> Training:
        """The query's pictures to train on. Raises as `Training` does."""
        return Training(
            self.lake,
            self.sql,
            batch=settings.batch,
            side=settings.resolution,
            view=settings.view,
            seed=settings.seed,
            workers=self.workers,
            cache=self.cache,
        )

    def watching(self, sql: str, *, side: int, view: View, most: int) -> Watching:
        """At most `most` pictures of another query on the same lake, to measure on. Raises as `Watching` does."""
        return Watching(self.lake, sql, side=side, view=view, most=most, cache=self.cache)
