"""What the driver was told and a worker on another machine, with another environment, must know as well."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from annotate import models


@dataclass(frozen=True)
class Settled:
    """A worker's set-up: the driver's settings first, then what the work asks for."""

    variables: Mapping[str, str]
    setup: Callable[[], None] | None

    def __call__(self) -> None:
        os.environ.update(self.variables)
        if self.setup is not None:
            self.setup()


def settled(setup: Callable[[], None] | None) -> Settled:
    """`setup`, preceded by where the driver was told that its models are: every worker must see that file."""
    told = os.environ.get(models.ENVIRONMENT)
    return Settled({models.ENVIRONMENT: str(models.path().absolute())} if told else {}, setup)
