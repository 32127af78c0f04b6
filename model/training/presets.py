"""Which model a run trains: a file, a published configuration by name, or a small one cut to what it is joined to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from model.config import NAMED, MMDiTConfig
from warehouse.errors import UsageError


@dataclass(frozen=True)
class Small:
    """Layers, heads and channels of a head by axis; `width` of text vectors of its own. The rest comes from what the
    model is joined to."""

    layers: int
    heads: int
    axes: tuple[int, int, int]
    width: int


#: "small" learns 86 characters at 64 px on two cores (docs/learn.md).
SMALL = {
    "tiny": Small(layers=2, heads=2, axes=(4, 6, 6), width=32),
    "small": Small(layers=4, heads=4, axes=(8, 12, 12), width=64),
    "base": Small(layers=12, heads=12, axes=(16, 24, 24), width=256),
}
DEFAULT = "small"
PATCH_AT = {8: 2, 16: 1}  # by the VAE's compression: 16 pixels a token


def names() -> list[str]:
    """What may be given instead of a file."""
    return [*SMALL, *NAMED]


def width_of(told: str) -> int:
    """How wide text vectors are made for a model, where its text encoder has no width of its own."""
    if told in SMALL:
        return SMALL[told].width
    return named_config(told).joint_attention_dim


def named_config(told: str) -> MMDiTConfig:
    """A published configuration by name, or a JSON file's. Raises UsageError where it is neither."""
    return NAMED[told] if told in NAMED else _read(told)


def model_config(told: str, *, channels: int, factor: int, width: int) -> MMDiTConfig:
    """The configuration that `told` is: a name of `names()` or a JSON file with keys as in a diffusers config.json.

    `channels`, `factor`: of the VAE's latents; `width`: of the text encoder's vectors. Raises UsageError where it does
    not fit them.
    """
    if told in SMALL:
        small = SMALL[told]
        patch = PATCH_AT.get(factor, 2)
        return MMDiTConfig(
            patch_size=patch,
            in_channels=channels * patch**2,
            out_channels=channels,
            num_layers=small.layers,
            attention_head_dim=sum(small.axes),
            num_attention_heads=small.heads,
            joint_attention_dim=width,
            axes_dims_rope=small.axes,
        )
    config = named_config(told)
    check_fit(config, told, channels=channels, width=width)
    return config


def check_fit(config: MMDiTConfig, told: str, *, channels: int, width: int) -> None:
    """Raises UsageError where a configuration, called `told`, takes other latents or text vectors."""
    if config.latent_channels != channels or config.out_channels != channels:
        raise UsageError(
            f"model {told} takes latents of {config.latent_channels} channels, the VAE makes {channels}: "
            f"choose another VAE, or set in_channels {channels * config.patch_size**2} and out_channels {channels}"
        )
    if config.joint_attention_dim != width:
        raise UsageError(
            f"model {told} takes text vectors of {config.joint_attention_dim}, the text encoder makes {width}: choose "
            f"another encoder, or set joint_attention_dim {width}"
        )


def _read(told: str) -> MMDiTConfig:
    path = Path(told)
    if path.is_dir():
        path = path / "config.json"
    if not path.is_file():
        raise UsageError(f"model {told} is neither a JSON file nor one of {', '.join(names())}")
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is no JSON ({error})") from error
    if not isinstance(read, dict):
        raise UsageError(f"{path} holds no settings of a model")
    return MMDiTConfig.from_dict(read)
