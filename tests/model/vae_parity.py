"""Our autoencoders beside the public classes, through folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from annotate.torchvision_shim import prepare_torchvision
from model.vae_base import Vae
from model.vae_loading import build, load_vae, save_vae


def public(name: str) -> Any:
    """A class of diffusers."""
    prepare_torchvision()
    import diffusers

    return getattr(diffusers, name)


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """The process's generator as `seed` leaves it, put back afterwards; and one of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def random_vae(config: Any) -> Vae:
    """Weights of a size at which every part of the network matters: gammas and biases too are random."""
    with seeded(0):
        vae = build(config).eval()
        for parameter in vae.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return vae


def parity(config: Any, folder: Path, height: int, width: int, batch: int) -> None:
    """Encode and decode agree with the public class loaded from our folder; its folder loads here bit for bit."""
    ours = random_vae(config)
    save_vae(ours, folder / "ours")
    theirs = public(config.class_name).from_pretrained(folder / "ours").eval()
    with seeded(1), torch.no_grad():
        pixels = torch.rand(batch, 3, height, width) * 2 - 1
        shown = pixels
        if getattr(config, "in_channels", 3) == 4:
            shown = torch.cat([pixels, torch.ones(batch, 1, height, width)], dim=1)
        found, moments = ours.posterior(pixels), theirs.encode(shown[:, :, None]).latent_dist
        assert found.mean.std() > 0.02  # something is compared
        for mine, other in ((found.mean, moments.mean), (found.logvar, moments.logvar)):
            torch.testing.assert_close(mine, other[:, :, 0], atol=1e-5, rtol=0)
        latents = torch.randn(found.mean.shape)
        decoded = theirs.decode(latents[:, :, None]).sample[:, :3, 0]
        mine = ours.reconstruct(latents).clamp(-1, 1)
        assert float(mine.std()) > 0.01
        assert float((mine.abs() < 1).float().mean()) > 0.5
        torch.testing.assert_close(mine, decoded, atol=1e-5, rtol=0)
    theirs.save_pretrained(folder / "theirs")
    again = load_vae(folder / "theirs")
    assert again.config == ours.config
    for name, value in ours.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def shapes(module: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}
