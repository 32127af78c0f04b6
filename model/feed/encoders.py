"""VAE and text encoder of a producer, called so that a sample's numbers do not depend on its fellows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from model.feed.messages import Dtype, Encoding
from model.feed.pixels import RULE, Pixels
from model.pixels import from_bytes
from model.text.encoder import Prompt, TextEncoder, load_text
from model.vae_base import Vae
from model.vae_loading import latent_identity, load_vae
from warehouse.errors import UsageError

#: Images in one call of the VAE on a GPU, if nobody says otherwise; on a CPU one by one costs nothing.
GPU_ROWS = 8


@dataclass(frozen=True)
class Encoders:
    """What a producer encodes with, and the Encoding that it makes."""

    vae: Vae
    text: TextEncoder
    encoding: Encoding
    device: str

    def latents(self, pixels: Sequence[Pixels]) -> list[torch.Tensor]:
        """Normalised latents (C, h, w), posterior mode, of uint8 pictures (H, W, 3) of one size.

        The VAE always sees `rows` pictures, grey ones where there are fewer: kernels are chosen by shape, so with
        another number the last bits could differ.
        """
        found: list[torch.Tensor] = []
        rows = self.encoding.rows
        for first in range(0, len(pixels), rows):
            some = pixels[first : first + rows]
            batch = torch.zeros(rows, 3, *some[0].shape[:2])
            for row, one in enumerate(some):
                # a copy: the picture's own memory may be read-only
                batch[row] = from_bytes(torch.tensor(one).permute(2, 0, 1))
            with torch.inference_mode(), full_float32():
                found += list(self.vae.encode(batch.to(self.device)).cpu()[: len(some)])
        return found

    def texts(self, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
        """(T_i, width) of each prompt. One at a time: nothing is padded, so nothing depends on the others."""
        with torch.inference_mode(), full_float32():
            return [self.text.encode([prompt])[0].cpu() for prompt in prompts]


class _FullFloat32:
    """Counts who is within, over all threads: the first turns TF32 off, the last puts back what was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._before = (True, True)

    def enter(self) -> None:
        with self._lock:
            if not self._within:
                self._before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
                torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            self._within += 1

    def leave(self) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._before


_FULL = _FullFloat32()


@contextmanager
def full_float32() -> Iterator[None]:
    """float32 is computed as float32 here: on GPUs, torch's default for convolutions is TF32, of 10 bits in place of
    23, and what is called float32 would be that no more."""
    _FULL.enter()
    try:
        yield
    finally:
        _FULL.leave()


def load_encoders(
    vae: str | Path,
    text: str | Path,
    *,
    device: str | None = None,
    rows: int | None = None,
    latent_dtype: Dtype = "float32",
    text_dtype: Dtype | None = None,
) -> Encoders:
    """Encoders from two folders. `device`: a GPU where there is one. `rows`: images encoded at once, 1 on a CPU and
    GPU_ROWS on a GPU. `text_dtype`: bfloat16 on a GPU, float32 on a CPU. Raises UsageError for folders without them."""
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    gpu = not where.startswith("cpu")
    if rows is not None and rows < 1:
        raise UsageError(f"rows is {rows}: the VAE encodes at least one image at once")
    autoencoder = load_vae(vae).to(where).requires_grad_(False)
    encoder = load_text(Path(text), device=where)
    encoding = Encoding(
        vae=latent_identity(autoencoder),
        text=encoder.identity,
        pixels=RULE,
        channels=autoencoder.config.z_dim,
        factor=autoencoder.config.spatial_factor,
        width=encoder.width,
        latent_dtype=latent_dtype,
        text_dtype=text_dtype or ("bfloat16" if gpu else "float32"),
        rows=rows or (GPU_ROWS if gpu else 1),
    )
    return Encoders(autoencoder, encoder, encoding, where)
