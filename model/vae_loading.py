"""Autoencoders in folders of the diffusers layout: config.json beside diffusion_pytorch_model.safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.vae import QwenVae, QwenVaeConfig
from model.vae_base import Vae, VaeConfig
from model.vae_residual import ResidualVae, ResidualVaeConfig
from warehouse.errors import UsageError
from warehouse.files import sync, told

CONFIG, WEIGHTS, INDEX = (
    "config.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
)
OURS = (QwenVaeConfig.class_name, ResidualVaeConfig.class_name)


def build(config: VaeConfig) -> Vae:
    """An autoencoder with fresh weights."""
    if isinstance(config, QwenVaeConfig):
        return QwenVae(config)
    if isinstance(config, ResidualVaeConfig):
        return ResidualVae(config)
    raise UsageError(f"no autoencoder here is of {type(config).__name__}")


def config_from(found: Mapping[str, Any], where: str) -> VaeConfig:
    """The configuration that a config.json names by its `_class_name`. `where` is told in errors."""
    name = found.get("_class_name")
    if name == QwenVaeConfig.class_name:
        return QwenVaeConfig.from_dict(found)
    if name == ResidualVaeConfig.class_name:
        return ResidualVaeConfig.from_dict(found)
    raise UsageError(f"{where} is of {name or 'no class'}; here run {' and '.join(OURS)}")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder. Raises UsageError where there is none."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        inner = folder / "vae"
        hint = (
            f"did you mean {inner}?" if (inner / CONFIG).is_file() else "name the folder of a VAE in diffusers layout"
        )
        raise UsageError(f"no {CONFIG} in {folder}: {hint}") from error
    except ValueError as error:
        raise UsageError(f"{folder / CONFIG} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{folder / CONFIG} holds no configuration")
    return found


def load_vae(folder: str | Path) -> Vae:
    """The autoencoder of a folder, in evaluation mode, float32 or as stored. Raises UsageError for what is not one."""
    root = Path(folder)
    config = config_from(read_config(root), str(root / CONFIG))
    stored = _weights(root)
    with torch.device("meta"):
        vae = build(config)
    expected = {name: tuple(value.shape) for name, value in vae.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in stored.items()}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        name = wrong[0]
        raise UsageError(
            f"the weights in {root} are not those of its {CONFIG}: {len(wrong)} tensors differ, the first is {name} "
            f"(stored {found.get(name)}, configured {expected.get(name)})"
        )
    vae.load_state_dict(stored, assign=True)
    return vae.eval().requires_grad_(True)


def save_vae(vae: Vae, folder: str | Path, *, replace: bool = False) -> None:
    """Write the folder whole or not at all. Raises UsageError where something stands there and `replace` is not set."""
    root = Path(folder)
    if root.exists() and not replace and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists already: name another folder")
    tag = f".{root.name}.{os.getpid()}-{secrets.token_hex(4)}"
    new, old = root.with_name(tag + ".tmp"), root.with_name(tag + ".old")
    with told(f"writing {root}"):
        try:
            new.mkdir(parents=True)
            weights = {name: value.detach().cpu().contiguous() for name, value in vae.state_dict().items()}
            save_file(weights, new / WEIGHTS, metadata={"format": "pt"})
            (new / CONFIG).write_text(json.dumps(vae.config.to_dict(), indent=2) + "\n", encoding="utf-8")
            (new / WEIGHTS).chmod((new / CONFIG).stat().st_mode)  # safetensors writes for its owner alone
            for file in (new / WEIGHTS, new / CONFIG, new):
                sync(file)
            if root.exists():
                root.rename(old)
            new.rename(root)
            sync(root.parent)
        finally:
            if old.exists() and not root.exists():
                old.rename(root)
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def identity(vae: Vae) -> str:
    """16 hex digits of everything: configuration, latents mean and std, every weight's name, type, shape and bytes."""
    return _hash(vae, vae.state_dict().items())


def latent_identity(vae: Vae) -> str:
    """16 hex digits of what decides latents: configuration, their mean and std, encoder. Two decoders of one encoder
    share it, so latents encoded before a decoder was fine-tuned stay good."""
    ours = ("encoder.", "quant_conv.")
    return _hash(vae, ((name, value) for name, value in vae.state_dict().items() if name.startswith(ours)))


def _hash(vae: Vae, tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256(json.dumps(vae.config.to_dict(), sort_keys=True).encode())
    for name, value in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _weights(root: Path) -> dict[str, Tensor]:
    """All tensors of the folder's safetensors, of one file or of those that an index names."""
    try:
        if (root / WEIGHTS).exists():
            return load_file(root / WEIGHTS)
        if (root / INDEX).exists():
            index = json.loads((root / INDEX).read_text(encoding="utf-8"))
            files = sorted(set(index["weight_map"].values()))
            return {name: value for file in files for name, value in load_file(root / file).items()}
    except (SafetensorError, FileNotFoundError, ValueError, KeyError) as error:
        raise UsageError(f"the weights in {root} cannot be read ({error}): copy the folder again") from error
    raise UsageError(f"no {WEIGHTS} in {root}: name the folder of a VAE in diffusers layout")
