"""A whole checkpoint: one folder in the layout of diffusers' pipelines.

    <folder>/model_index.json
             transformer/  vae/  scheduler/  text_encoder/  [tokenizer/  processor/]

diffusers opens transformer/, vae/ and scheduler/ each, where they are of public classes, and the whole folder too: with
an encoder of characters by `QwenImagePipeline.from_pretrained(folder, text_encoder=None, tokenizer=None)`, the
pipeline being given `prompt_embeds`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch

from model.config import MMDiTConfig
from model.layout import LAYOUT, load_mmdit, public_config, save_mmdit
from model.mmdit import MMDiT
from model.schedule import CLASS, ScheduleConfig, load_schedule, save_schedule
from model.text.encoder import FOLDER as TEXT
from model.text.encoder import TextEncoder, load_text, pipeline_parts, save_text
from model.vae_base import Vae
from model.vae_loading import config_from, identity, load_vae, save_vae
from model.vae_loading import read_config as read_vae_config
from model.weights import read_config, refuse_existing
from warehouse.errors import UsageError
from warehouse.files import make_folder, sync, told

INDEX = "model_index.json"
TRANSFORMER, VAE, SCHEDULER = "transformer", "vae", "scheduler"
PIPELINE, EDITING = "QwenImagePipeline", "QwenImageEditPlusPipeline"


@dataclass(frozen=True)
class Components:
    """All that turns a prompt into a picture. `text` sees its own device; the others are where `on` put them."""

    mmdit: MMDiT
    vae: Vae
    text: TextEncoder
    schedule: ScheduleConfig

    def __post_init__(self) -> None:
        config = self.mmdit.config
        if self.text.width != config.joint_attention_dim:
            raise UsageError(
                f"the text encoder gives vectors of {self.text.width}, the transformer takes "
                f"{config.joint_attention_dim}: these parts are not of one model"
            )
        if self.vae.config.z_dim * config.patch_size**2 != config.in_channels:
            raise UsageError(
                f"the VAE has {self.vae.config.z_dim} channels, the transformer takes {config.in_channels} a token in "
                f"patches of {config.patch_size}: these parts are not of one model"
            )

    @property
    def multiple(self) -> int:
        """What a picture's sides must be multiples of, pixels."""
        return self.vae.config.spatial_factor * self.mmdit.config.patch_size

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(C, h, w) of the latents of a picture of that size in pixels. Raises UsageError where it does not divide."""
        if height < 1 or width < 1 or height % self.multiple or width % self.multiple:
            near = [max(1, round(side / self.multiple)) * self.multiple for side in (width, height)]
            raise UsageError(
                f"a picture of {width}x{height} cannot be made: width and height must be multiples of {self.multiple}, "
                f"such as {near[0]}x{near[1]}"
            )
        factor = self.vae.config.spatial_factor
        return self.vae.config.z_dim, height // factor, width // factor

    def identities(self) -> dict[str, str]:
        """What names the parts: `vae` (hash of its weights) and `text`."""
        return {"vae": identity(self.vae), "text": self.text.identity}

    def on(self, device: str, dtype: torch.dtype | None = None) -> Components:
        """The same, transformer and VAE moved there; `dtype`: of the transformer's weights, as stored if None."""
        return Components(self.mmdit.to(device, dtype), self.vae.to(device), self.text, self.schedule)


def save(components: Components, folder: Path) -> None:
    """Write the folder, whole or not at all. Raises UsageError where something stands there."""
    refuse_existing(folder)
    make_folder(folder.parent)
    building = folder.with_name(f".{folder.name}.{token_hex(4)}.tmp")
    try:
        with told(f"writing {folder}", folder.parent):
            building.mkdir()
            save_mmdit(components.mmdit, building / TRANSFORMER)
            save_vae(components.vae, building / VAE)
            save_schedule(components.schedule, building / SCHEDULER)
            save_text(components.text, building / TEXT, aside=building)
            index = json.dumps(_index(components), indent=2) + "\n"
            (building / INDEX).write_text(index, encoding="utf-8")
            sync(building / INDEX)
            sync(building)
            if folder.exists():
                folder.rmdir()  # empty, or this fails
            building.rename(folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def load(folder: Path, *, device: str = "cpu", dtype: torch.dtype | None = None) -> Components:
    """Read a folder of `save`, or a published one. Raises UsageError, one line, for what is missing or does not fit."""
    _whole(folder)
    parts = Components(
        load_mmdit(folder / TRANSFORMER).eval().requires_grad_(False),
        load_vae(folder / VAE).eval().requires_grad_(False),
        load_text(folder, device=device),
        load_schedule(folder / SCHEDULER),
    )
    return parts.on(device, dtype)


def multiple_of(folder: Path) -> int:
    """What a picture's sides must be multiples of, pixels, told by the configurations alone. Raises UsageError."""
    _whole(folder)
    config = config_from(read_vae_config(folder / VAE), str(folder / VAE))
    return config.spatial_factor * MMDiTConfig.from_dict(read_config(folder / TRANSFORMER)).patch_size


def _whole(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"no model at {folder}: name a checkpoint folder, which holds {TRANSFORMER}/ and {VAE}/")
    lacking = [part for part in (TRANSFORMER, VAE, SCHEDULER, TEXT) if not (folder / part).is_dir()]
    if lacking:
        raise UsageError(f"{folder} is no whole checkpoint: it lacks {', '.join(lacking)}")


def _index(components: Components) -> dict[str, Any]:
    """model_index.json: for each part the library and class that open it, null for what needs nothing there."""
    parts = pipeline_parts(components.text)
    transformer = public_config(components.mmdit.config)["_class_name"]
    vae = components.vae.config.to_dict()["_class_name"]
    theirs: Mapping[str, tuple[str | None, str | None]] = {
        SCHEDULER: ("diffusers", CLASS),
        **parts,
        TRANSFORMER: ("diffusers" if components.mmdit.config.is_public else "model.mmdit", transformer),
        VAE: ("diffusers", vae),
    }
    return {
        "_class_name": EDITING if "processor" in parts else PIPELINE,
        "_diffusers_version": LAYOUT,
        "_text_encoder": components.text.identity,
        **{name: list(pair) for name, pair in sorted(theirs.items())},
    }
