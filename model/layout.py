"""An MMDiT in and out of the public layout: a folder as diffusers has it, or one file as ComfyUI has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from model.config import MMDiTConfig
from model.mmdit import MMDiT
from model.weights import SHARD_BYTES, Stored, find_weights, headers, read_config, tensors_of, write_folder
from warehouse.errors import UsageError

PUBLIC_CLASS = "QwenImageTransformer2DModel"
#: What a configuration that diffusers cannot hold calls itself, so that nothing takes it for the public class.
OUR_CLASS = "GlyphmillMMDiT"
#: The release of diffusers whose layout this is.
LAYOUT = "0.42.1"
#: What single files put before every name. The longest that all names have is taken off.
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "module.")
#: An empty tensor by which single files of Edit-2511 say that references are modulated with time 0 (from memory of
#: ComfyUI's loader, not from a file seen here).
ZERO_TIME = "__index_timestep_zero__"
DTYPES = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
#: Differences named in an error, at most.
NAMED_DIFFERENCES = 3


def save_mmdit(model: MMDiT, folder: Path, *, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes config.json and the weights, each tensor in its own type, sharded above `shard_bytes`.

    diffusers' `from_pretrained` opens the folder where the configuration is one of the public class (`is_public`);
    another names itself GlyphmillMMDiT. Raises UsageError where the folder exists and is not empty.
    """
    save_state(model.config, model.state_dict(), folder, shard_bytes=shard_bytes)


def save_state(
    config: MMDiTConfig, state: Mapping[str, torch.Tensor], folder: Path, *, shard_bytes: int = SHARD_BYTES
) -> None:
    """The same from a state dict, checked against the configuration first."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    check_shapes(shapes, expected_shapes(config), f"the weights for {folder}")
    write_folder(folder, public_config(config), state, shard_bytes)


def public_config(config: MMDiTConfig) -> dict[str, Any]:
    """What config.json holds."""
    name = PUBLIC_CLASS if config.is_public else OUR_CLASS
    return {"_class_name": name, "_diffusers_version": LAYOUT, **config.to_dict()}


def load_mmdit(place: Path, *, config: MMDiTConfig | None = None, device: torch.device | str = "cpu") -> MMDiT:
    """Reads a folder of `save_mmdit` or diffusers, or one safetensors file (then `config`, or what its shapes tell).

    Weights keep the types they are stored in. Raises UsageError, one line, where something is missing, cut off or of
    another configuration; it names the first differences.
    """
    config, stored = open_mmdit(place, config)
    with torch.device("meta"):
        model = MMDiT(config)
    state = {name: tensor.to(device) for name, tensor in tensors_of(stored)}
    model.load_state_dict(state, assign=True)
    return model


def open_mmdit(place: Path, config: MMDiTConfig | None = None) -> tuple[MMDiTConfig, dict[str, Stored]]:
    """The configuration of a folder or file and where each of its weights lies, all checked; no weight is read yet.

    Raises UsageError as `load_mmdit` does.
    """
    place = Path(place)
    if not place.exists():
        raise UsageError(f"there is no {place}: name a folder of weights or a safetensors file")
    inner = place / "transformer"
    if place.is_dir() and not (place / "config.json").is_file() and inner.is_dir():
        place = inner  # a whole pipeline's folder
    stored = without_prefix(headers(find_weights(place)))
    marked = stored.pop(ZERO_TIME, None) is not None
    if config is None:
        config = _config_of_folder(place) if place.is_dir() else infer_config(stored, place)
        if marked:
            config = replace(config, zero_cond_t=True)
    check_shapes({name: one.shape for name, one in stored.items()}, expected_shapes(config), str(place))
    _check_types(stored, place)
    return config, stored


def expected_shapes(config: MMDiTConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a configuration's state dict; nothing is allocated."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in MMDiT(config).state_dict().items()}


def without_prefix(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """Names as the public layout has them: the parts of `PREFIXES` that all names begin with are taken off.

    A whole checkpoint of ComfyUI's kind, with VAE and text encoder under other prefixes, gives its MMDiT alone.
    """
    kept = dict(stored)
    whole = {name: one for name, one in kept.items() if name.startswith(PREFIXES[0])}
    if whole:
        kept = whole
    stripped = True
    while stripped and kept:
        stripped = False
        for prefix in PREFIXES:
            if all(name.startswith(prefix) for name in kept):
                kept = {name.removeprefix(prefix): one for name, one in kept.items()}
                stripped = True
    return kept


def check_shapes(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], what: str) -> None:
    """Raises UsageError, one line with the first differences, where names or shapes are not those wanted."""
    missing = [f"{name} is missing" for name in wanted if name not in found]
    unexpected = [f"{name} is not known" for name in found if name not in wanted]
    wrong = [
        f"{name} is {list(found[name])} instead of {list(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    differences = wrong + missing + unexpected
    if differences:
        more = len(differences) - NAMED_DIFFERENCES
        rest = f" and {more} more" if more > 0 else ""
        raise UsageError(
            f"{what} is of another configuration: {'; '.join(differences[:NAMED_DIFFERENCES])}{rest}"
            f" ({len(found)} tensors, {len(wanted)} expected)"
        )


def infer_config(stored: Mapping[str, Stored], place: Path) -> MMDiTConfig:
    """What the shapes tell of a file without config.json, for the public head of 128 channels.

    A packed token of 64 channels is taken for 16 channels in patches of 2, which a file of f16c64 latents must
    overrule by a configuration. Raises UsageError where the names are not those of an MMDiT.
    """
    shapes = {name: one.shape for name, one in stored.items()}
    try:
        inner, in_channels = shapes["img_in.weight"]
        (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
        (context,) = shapes["txt_norm.weight"]
        out = shapes["proj_out.weight"][0]
        hidden = shapes["transformer_blocks.0.img_mlp.net.0.proj.weight"][0]
    except (KeyError, ValueError) as error:
        raise UsageError(f"{place} holds no MMDiT of this architecture ({error} is not there as expected)") from error
    layers = {name.split(".")[1] for name in shapes if name.startswith("transformer_blocks.")}
    default = MMDiTConfig()
    if head != default.attention_head_dim or out % default.patch_size**2:
        raise UsageError(f"{place} has heads of {head} channels: give its configuration, it cannot be told from shapes")
    gated = "transformer_blocks.0.img_mlp.net.0.gate_layer.weight" in shapes
    return MMDiTConfig(
        in_channels=in_channels,
        out_channels=out // default.patch_size**2,
        num_layers=len(layers),
        num_attention_heads=inner // head,
        joint_attention_dim=context,
        mlp="swiglu" if gated else "gelu",
        mlp_ratio=hidden / inner,
    )


def _config_of_folder(folder: Path) -> MMDiTConfig:
    told = read_config(folder)
    name = told.get("_class_name", PUBLIC_CLASS)
    if name not in (PUBLIC_CLASS, OUR_CLASS):
        raise UsageError(f"{folder} holds a {name}, not an MMDiT ({PUBLIC_CLASS})")
    return MMDiTConfig.from_dict(told)


def _check_types(stored: Mapping[str, Stored], place: Path) -> None:
    for name, one in stored.items():
        if one.dtype not in DTYPES:
            raise UsageError(f"{place} stores {name} as {one.dtype}: get the file in bf16, fp16 or fp32")
