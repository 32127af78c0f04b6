"""A producer's process: `python -m model.feed.worker SETTINGS`, settings as JSON."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from model.feed.messages import Dtype
from model.feed.plans import OpenPlan, Plans
from warehouse.errors import GlyphmillError

OPENER = "model.feed.plans:open_plan"


@dataclass(frozen=True)
class ProducerSettings:
    """`store`: the feed's address or folder. `vae`, `text`: folders of the encoders. `folder`: for shards, where the
    store's own is not within reach; served at `host`:`port`. `plans`: copies of plans on this machine. `opener`: what
    opens a plan, as module:name. `parent`: the process without which this one is to end. The others as in
    `load_encoders` and `Producer`; `threads`: of torch on a CPU."""

    store: str
    vae: str
    text: str
    name: str | None = None
    folder: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    plans: tuple[str, ...] = ()
    opener: str = OPENER
    device: str | None = None
    rows: int | None = None
    latent_dtype: Dtype = "float32"
    text_dtype: Dtype | None = None
    decoders: int = 2
    threads: int = 1
    patience_s: float = 60.0
    parent: int | None = None


JSON: TypeAdapter[ProducerSettings] = TypeAdapter(ProducerSettings)


def work(settings: ProducerSettings) -> None:
    """Be a producer until the store closes or SIGTERM comes. Raises what `Producer.run` does."""
    import torch

    from model.feed.client import HttpDoor
    from model.feed.encoders import load_encoders
    from model.producer import Producer, default_name

    torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    encoders = load_encoders(
        settings.vae, settings.text, device=settings.device, rows=settings.rows,
        latent_dtype=settings.latent_dtype, text_dtype=settings.text_dtype,
    )  # fmt: skip
    name = settings.name or default_name()
    producer = Producer(
        HttpDoor(settings.store, settings.patience_s),
        encoders,
        Plans(_opener(settings.opener), [Path(folder) for folder in settings.plans]),
        name,
        folder=Path(settings.folder) if settings.folder else None,
        host=settings.host,
        port=settings.port,
        decoders=settings.decoders,
        look_ahead=not encoders.device.startswith("cpu"),
        say=lambda line: print(f"{name}: {line}", flush=True),
    )
    signal.signal(signal.SIGTERM, lambda number, frame: producer.stop())
    producer.run(lambda: _end_without(settings.parent))


def _opener(name: str) -> OpenPlan:
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    opener: OpenPlan = found  # type: ignore[assignment]
    return opener


def _end_without(parent: int | None) -> None:
    """End at once where the process that started this one has gone: nobody would stop it."""
    if parent is not None and os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """One line on stderr and the error's exit code where a person can act on it, as the command does."""
    try:
        work(JSON.validate_json(sys.argv[1]))
    except GlyphmillError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
