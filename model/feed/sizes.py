"""How many bytes leased work will come to."""

from __future__ import annotations

from collections.abc import Iterable

from model.feed.manifest import Manifest
from model.feed.messages import Encoding, Task
from model.feed.shard import TORCH, data_bytes


class Sizes:
    """Latents by their shape, texts by the mean of those seen."""

    def __init__(self) -> None:
        self._texts = self._bytes = 0

    def saw(self, manifest: Manifest) -> None:
        if manifest.kind == "text":
            self._texts += len(manifest.entries)
            self._bytes += data_bytes(manifest)

    def of(self, tasks: Iterable[Task], encoding: Encoding | None) -> int:
        """Bytes that these tasks will come to."""
        if encoding is None:
            return 0
        text = self._bytes / max(1, self._texts)
        value = TORCH[encoding.latent_dtype].itemsize * encoding.channels / encoding.factor**2
        return int(sum(task.height * task.width * value if task.kind == "latent" else text for task in tasks))
