"""From a training run to a folder that diffusers opens: weights of a checkpoint, VAE, text encoder, schedule."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from model.checkpoint import checkpoints, export_weights, latest, read_facts, step_of
from model.components import Components
from model.components import save as save_components
from model.config import MMDiTConfig
from model.layout import check_shapes, expected_shapes, load_mmdit, save_mmdit
from model.mmdit import MMDiT
from model.schedule import ScheduleConfig
from model.text.encoder import TextEncoder, load_text
from model.vae_base import Vae
from model.vae_loading import latent_identity, load_vae
from model.weights import refuse_existing
from warehouse.errors import UsageError

Which = Literal["ema", "model"]
#: Where a run keeps its checkpoints, its text encoder, and what it was started with.
CHECKPOINTS, TEXT, RUN = "checkpoints", "text_encoder", "run.json"


@dataclass(frozen=True)
class Source:
    """What is exported: a training checkpoint of `run`, or a folder of weights (`run` None)."""

    path: Path
    run: Path | None = None
    step: int | None = None


def find_source(place: Path, step: int | None = None) -> Source:
    """A run's folder (its newest checkpoint, or that of `step`), one checkpoint of it, or a folder of weights.

    Raises UsageError where `place` is none of them or the step is not kept.
    """
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}: name a run of glyphmill train pretrain, or a folder of weights")
    if step_of(place) is not None:
        if step is not None and step != step_of(place):
            raise UsageError(
                f"{place} is the checkpoint of step {step_of(place)}, not of {step}: name the run's folder"
            )
        run = place.parent.parent if (place.parent.parent / RUN).is_file() else None
        return Source(place, run, step_of(place))
    for folder, run in ((place / CHECKPOINTS, place), (place, None)):
        found = checkpoints(folder) if folder.is_dir() else []
        if not found:
            continue
        chosen = latest(folder) if step is None else next((path for path in found if step_of(path) == step), None)
        if chosen is None:
            kept = ", ".join(str(step_of(path)) for path in found)
            raise UsageError(f"{folder} has no checkpoint of step {step}; it has {kept}")
        return Source(chosen, run, step_of(chosen))
    if (place / "config.json").is_file() or (place / "transformer").is_dir():
        return Source(place)
    raise UsageError(f"{place} has neither checkpoints of a training nor weights with a config.json")


def read_model(source: Source, which: Which) -> MMDiT:
    """The MMDiT of a source, on the CPU. `which`: the averaged weights of a checkpoint, or those that were trained."""
    if source.step is None:
        return load_mmdit(source.path)
    config = MMDiTConfig.from_dict(_identity(source, "model", dict))
    weights = export_weights(source.path, which)
    check_shapes({name: tuple(one.shape) for name, one in weights.items()}, expected_shapes(config), str(source.path))
    with torch.device("meta"):
        model = MMDiT(config)
    model.load_state_dict(weights, assign=True)
    return model


def read_vae(source: Source, folder: Path | None) -> Vae | None:
    """The VAE that the source was trained on: of `folder`, or of the place that the run's record names if it is there.

    None where neither is known. Raises UsageError where latents of that VAE are not those of the training.
    """
    place = folder or _recorded(source, "vae")
    if place is None:
        return None
    vae = load_vae(place)
    if source.step is not None:
        wanted = _identity(source, "vae", str)
        if latent_identity(vae) != wanted:
            raise UsageError(
                f"{place} is not the VAE of this training (its encoder is {latent_identity(vae)}, trained on was "
                f"{wanted}): name the right one with --vae"
            )
    return vae


def read_text(source: Source, folder: Path | None) -> TextEncoder | None:
    """The text encoder of the training: of `folder`, the run's own, or of the place that the run's record names.

    None where none is known. Raises UsageError where it is not the one that was trained with.
    """
    place = folder
    if place is None and source.run is not None:
        place = source.run / TEXT if (source.run / TEXT).is_dir() else _recorded(source, "text")
    if place is None:
        return None
    encoder = load_text(place, device="cpu")
    if source.step is not None:
        wanted = _identity(source, "text", str)
        if _but_type(encoder.identity) != _but_type(wanted):
            raise UsageError(
                f"{place} is not the text encoder of this training (it is {encoder.identity}, trained with was "
                f"{wanted}): name the right one with --text"
            )
    return encoder


def export(model: MMDiT, vae: Vae | None, text: TextEncoder | None, out: Path) -> bool:
    """Writes a whole checkpoint folder, or the transformer's alone where a part is not known; says whether whole.

    Raises UsageError where `out` is not empty or the parts are not of one model; nothing is written then.
    """
    refuse_existing(out)
    if vae is None or text is None:
        save_mmdit(model, out)
        return False
    save_components(Components(model, vae, text, ScheduleConfig()), out)
    return True


def _identity(source: Source, name: str, kind: type) -> Any:
    told = read_facts(source.path).identity.get(name)
    if not isinstance(told, kind):
        raise UsageError(f"{source.path} does not say its {name}: it is no checkpoint of glyphmill train pretrain")
    return told


def _but_type(identity: str) -> str:
    """A text encoder's identity without what it computes in: trained with on a GPU, exported on a CPU."""
    return re.sub(r" dtype=\w+", "", identity)


def _recorded(source: Source, name: str) -> Path | None:
    """A folder that the run was started with, where it still is; run.json names it under `settings`."""
    if source.run is None or not (source.run / RUN).is_file():
        return None
    try:
        told = json.loads((source.run / RUN).read_text(encoding="utf-8")).get("settings", {}).get(name)
    except (ValueError, AttributeError):
        return None
    return Path(told) if isinstance(told, str) and Path(told).is_dir() else None
