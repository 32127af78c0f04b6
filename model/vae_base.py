"""What both autoencoders are to everyone else: pixels in, normalised latents out, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from model.latents import Posterior, denormalise, normalise
from warehouse.errors import UsageError

#: Keys that diffusers writes into any config; they say nothing about the weights.
PRIVATE = ("_class_name", "_diffusers_version", "_name_or_path")


@dataclass(frozen=True)
class VaeConfig:
    """What both configurations have; fields are named as in the public config.json.

    `dim_mult`: channels of each level over `base_dim`; each level but the last halves the picture. `latents_mean` and
    `latents_std`: one value a channel of raw latents, measured on data (`model.latents.measure`).
    """

    class_name: ClassVar[str]

    base_dim: int
    z_dim: int
    dim_mult: tuple[int, ...]
    num_res_blocks: int
    temperal_downsample: tuple[bool, ...]
    latents_mean: tuple[float, ...]
    latents_std: tuple[float, ...]

    def __post_init__(self) -> None:
        levels = len(self.dim_mult)
        if levels < 1 or min((self.base_dim, self.z_dim, self.num_res_blocks, *self.dim_mult)) < 1:
            raise UsageError("a VAE needs positive base_dim, z_dim, num_res_blocks and dim_mult")
        if len(self.temperal_downsample) != levels - 1:
            raise UsageError(f"temperal_downsample needs one value for each of the {levels - 1} halvings of dim_mult")
        if not len(self.latents_mean) == len(self.latents_std) == self.z_dim:
            raise UsageError(f"latents_mean and latents_std need {self.z_dim} values each, one for each channel")
        if min(self.latents_std) <= 0:
            raise UsageError("latents_std must be positive: it is the standard deviation, not its logarithm")

    @property
    def spatial_factor(self) -> int:
        """Pixels of a side to one latent."""
        return 1 << (len(self.dim_mult) - 1)

    def to_dict(self) -> dict[str, Any]:
        """As config.json has it, `_class_name` included; keys at which this class stands still are written too."""
        return {"_class_name": self.class_name, **asdict(self), **self.fixed()}

    @classmethod
    def fixed(cls) -> dict[str, Any]:
        """Keys of the public config at which this class stands still."""
        return {"attn_scales": [], "dropout": 0.0}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """From config.json. Raises UsageError for another class, an unknown key or a value that is not ours."""
        name = found.get("_class_name", cls.class_name)
        if name != cls.class_name:
            raise UsageError(f"config.json is of {name}, not of {cls.class_name}")
        values = {key: value for key, value in found.items() if key not in PRIVATE}
        for key, stands in cls.fixed().items():
            value = values.pop(key, stands)
            if value != stands and not (isinstance(value, Sequence) and list(value) == stands):
                raise UsageError(f"config.json says {key} = {value!r}; only {stands!r} is built here")
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise UsageError(f"config.json has keys that {cls.class_name} does not know: {', '.join(unknown)}")
        try:
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**settings)
        except TypeError as error:
            raise UsageError(f"config.json does not describe a {cls.class_name}: {error}") from error


class Vae(nn.Module):
    """An autoencoder of images. Pixels are (B, 3, H, W) in -1..1, sides multiples of `config.spatial_factor`.

    Within, everything is in channels_last order, which convolutions are fastest in, on CPUs too; what comes out of
    `encode` and `decode` is contiguous.
    """

    config: VaeConfig
    encoder: nn.Module
    quant_conv: nn.Module
    post_quant_conv: nn.Module
    decoder: nn.Module

    def posterior(self, pixels: Tensor) -> Posterior:
        """The posterior over raw latents (B, z_dim, H/f, W/f). Raises UsageError for pixels of another shape."""
        factor = self.config.spatial_factor
        if pixels.dim() != 4 or pixels.shape[1] != 3 or pixels.shape[2] % factor or pixels.shape[3] % factor:
            raise UsageError(
                f"pixels must be (B, 3, H, W) with sides that are multiples of {factor}, not {tuple(pixels.shape)}"
            )
        last = self.channels_in(pixels).contiguous(memory_format=torch.channels_last)
        return Posterior.of(self.quant_conv(self.encoder(last)))

    def reconstruct(self, latents: Tensor) -> Tensor:
        """Raw latents (B, z_dim, h, w) -> pixels, not clamped: what a loss is computed on."""
        self._check(latents)
        last = latents.contiguous(memory_format=torch.channels_last)
        return self.channels_out(self.decoder(self.post_quant_conv(last)))

    def _check(self, latents: Tensor) -> None:
        if latents.dim() != 4 or latents.shape[1] != self.config.z_dim:
            raise UsageError(f"latents must be (B, {self.config.z_dim}, h, w), not {tuple(latents.shape)}")

    def channels_in(self, pixels: Tensor) -> Tensor:
        """RGB to what the encoder takes."""
        return pixels

    def channels_out(self, pixels: Tensor) -> Tensor:
        """What the decoder gives to RGB."""
        return pixels

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Normalised latents (B, z_dim, H/f, W/f): (mode - mean) / std. No gradients."""
        raw = self.posterior(pixels).mode()
        return normalise(raw, self.config.latents_mean, self.config.latents_std).contiguous()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents -> pixels (B, 3, H, W), clamped to -1..1. No gradients."""
        self._check(latents)
        raw = denormalise(latents, self.config.latents_mean, self.config.latents_std)
        return self.reconstruct(raw).clamp(-1.0, 1.0).contiguous()

    def decoder_parameters(self) -> list[nn.Parameter]:
        """What decoder fine-tuning may change: the decoder and the 1x1 convolution before it."""
        return [*self.post_quant_conv.parameters(), *self.decoder.parameters()]
