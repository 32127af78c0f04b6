"""How many parameters each part has, counted on the meta device: nothing is allocated."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from model.config import NAMED, MMDiTConfig
from model.layout import expected_shapes
from model.vae import QwenVaeConfig
from model.vae_loading import build
from model.vae_residual import ResidualVaeConfig
from model.vae_size import Parameters, effective_parameters, total_parameters
from warehouse.errors import UsageError
from warehouse.files import told

#: What the parts of an MMDiT are called, by how the names of their parameters go on.
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("in and out", ("img_in.", "txt_norm.", "txt_in.", "proj_out.", "norm_out.")),
    ("time", ("time_text_embed.",)),
    ("modulation", ("img_mod.", "txt_mod.")),
    ("attention", ("attn.",)),
    ("MLP of images", ("img_mlp.",)),
    ("MLP of text", ("txt_mlp.",)),
)


@dataclass(frozen=True)
class VaeSize:
    """Parameters of an autoencoder: all, and those that a single image meets."""

    name: str
    total: Parameters
    effective: Parameters


def configuration(asked: str) -> MMDiTConfig:
    """A named configuration, or one from a JSON file or a folder with a config.json. Raises UsageError for neither."""
    if asked in NAMED:
        return NAMED[asked]
    path = Path(asked)
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"{asked} is neither a file nor a known configuration ({', '.join(NAMED)})")
    try:
        with told(f"reading {path}"):
            read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error})") from error
    if not isinstance(read, Mapping):
        raise UsageError(f"{path} holds no configuration")
    return MMDiTConfig.from_dict(read)


def mmdit_parts(config: MMDiTConfig) -> dict[str, int]:
    """Parameters of an MMDiT by part; their sum is the whole."""
    counts: Counter[str] = Counter({name: 0 for name, _ in PARTS})
    for name, shape in expected_shapes(config).items():
        inner = name.split(".", 2)[2] if name.startswith("transformer_blocks.") else name
        part = next(part for part, prefixes in PARTS if inner.startswith(prefixes))
        counts[part] += torch.Size(shape).numel()
    return dict(counts)


def vae_sizes() -> list[VaeSize]:
    """The two autoencoders of the public checkpoints."""
    found = []
    for name, config in (("VAE f8c16", QwenVaeConfig()), ("VAE f16c64", ResidualVaeConfig())):
        with torch.device("meta"):
            vae = build(config)
        found.append(VaeSize(name, total_parameters(vae), effective_parameters(vae)))
    return found
