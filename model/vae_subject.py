"""Any autoencoder in diffusers layout, ours or not, as something that gives pictures back."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from annotate.torchvision_shim import prepare_torchvision
from model.pixels import from_bytes, to_bytes
from model.vae_loading import OURS, load_vae, read_config
from model.vae_size import Parameters, effective_parameters, total_parameters
from warehouse.errors import MissingDependency, UsageError

PROBE = 64  # pixels of the picture by which shapes are found


@dataclass(frozen=True)
class Subject:
    """`factor`: pixels of a side to one latent; `channels` of latents. `reconstruct`: uint8 (B, 3, H, W) to the same,
    by the posterior's mode."""

    name: str
    class_name: str
    factor: int
    channels: int
    total: Parameters
    effective: Parameters
    reconstruct: Callable[[Tensor], Tensor]


def names(folders: Sequence[Path]) -> list[str]:
    """What tells folders apart: the last parts of their paths, as few as do."""
    parts = [folder.resolve().parts for folder in folders]

    def name(of: tuple[str, ...]) -> str:
        others = [other for other in parts if other != of]
        count = next((n for n in range(1, len(of)) if all(other[-n:] != of[-n:] for other in others)), len(of))
        return str(Path(*of[-count:]))

    return [name(of) for of in parts]


def open_subject(folder: Path, device: str = "cpu", name: str | None = None) -> Subject:
    """The autoencoder in a folder: by our own classes where we have them, by diffusers otherwise. It is called `name`,
    or as its folder.

    Raises UsageError where the folder holds none, MissingDependency where diffusers is needed and not installed.
    """
    class_name = str(read_config(folder).get("_class_name"))
    name = name or folder.resolve().name
    if class_name in OURS:
        vae = load_vae(folder).to(device)

        @torch.no_grad()
        def ours(pictures: Tensor) -> Tensor:
            return to_bytes(vae.reconstruct(vae.posterior(from_bytes(pictures, device)).mode())).cpu()

        config = vae.config
        total, effective = total_parameters(vae), effective_parameters(vae)
        return Subject(name, class_name, config.spatial_factor, config.z_dim, total, effective, ours)
    return _foreign(name, class_name, _load(class_name, folder).to(device).eval(), device)


def _load(class_name: str, folder: Path) -> Any:
    if importlib.util.find_spec("diffusers") is None:
        raise MissingDependency(f"{folder} holds a {class_name}, which diffusers runs: pip install diffusers")
    if importlib.util.find_spec("torchvision") is not None:
        prepare_torchvision()
    import diffusers

    kind: Any = getattr(diffusers, class_name, None)
    if kind is None:
        raise UsageError(
            f"{folder} holds a {class_name}, which the installed diffusers ({diffusers.__version__}) lacks"
        )
    try:
        return kind.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{folder} cannot be loaded: {str(error).strip().splitlines()[0]}") from error


def _foreign(name: str, class_name: str, model: Any, device: str) -> Subject:
    frames = any(isinstance(module, nn.Conv3d) for module in model.modules())

    def there_and_back(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, all that the encoder gives, pixels."""
        shown = pixels.unsqueeze(2) if frames else pixels
        encoded = model.encode(shown)
        if hasattr(encoded, "latent_dist"):
            latents, given = encoded.latent_dist.mode(), encoded.latent_dist.parameters
        else:
            latents = given = encoded.latent if hasattr(encoded, "latent") else encoded.latents
        back = model.decode(latents).sample
        return latents, given, back[:, :, 0] if frames else back

    @torch.no_grad()
    def reconstruct(pictures: Tensor) -> Tensor:
        return to_bytes(there_and_back(from_bytes(pictures, device))[2][:, :3]).cpu()

    pixels = torch.rand(1, 3, PROBE, PROBE, generator=torch.Generator().manual_seed(0)).to(device) * 2 - 1
    latents, given, back = there_and_back(pixels)
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(back.square().mean() + given.square().mean())
    effective = _sides(model, _met)
    model.zero_grad(set_to_none=True)
    return Subject(
        name,
        class_name,
        PROBE // latents.shape[-1],
        latents.shape[1],
        _sides(model, Tensor.numel),
        effective,
        reconstruct,
    )


def _met(parameter: Tensor) -> int:
    """How many of its numbers a single image meets: those that its gradient reaches."""
    return 0 if parameter.grad is None else int(parameter.grad.count_nonzero())


def _sides(model: nn.Module, count: Callable[[Tensor], int]) -> Parameters:
    encoder = decoder = 0
    for name, parameter in model.named_parameters():
        if name.startswith(("decoder", "post_quant_conv")):
            decoder += count(parameter)
        else:
            encoder += count(parameter)
    return Parameters(encoder, decoder)
