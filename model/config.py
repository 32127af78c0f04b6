"""What an MMDiT is made of: the numbers that decide its parameters, under the names of the public config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from warehouse.errors import UsageError

Mlp = Literal["gelu", "swiglu"]
#: Keys that published config.json files carry and that change nothing.
WITHOUT_EFFECT = frozenset({"pooled_projection_dim"})
#: Switches of public variants that this model does not have; only "off" is accepted.
NOT_HERE = {
    "guidance_embeds": "guidance-distilled variants",
    "use_additional_t_cond": "the Layered variant",
    "use_layer3d_rope": "the Layered variant",
}
#: Switches of ours, which the public class does not know.
OURS = ("mlp", "mlp_ratio")


@dataclass(frozen=True)
class MMDiTConfig:
    """Configuration of an `MMDiT`; the defaults are Qwen-Image 1.0 (20,430,401,088 parameters).

    `in_channels`: channels of a packed token. `out_channels`: channels of the latent, so that a token of the output has
    `patch_size ** 2 * out_channels`. `joint_attention_dim`: width of the text features. `axes_dims_rope`: how the
    channels of a head are shared by frame, height and width. `zero_cond_t`: reference tokens are modulated with the
    time of clean data (Edit-2511). `mlp` and `mlp_ratio` are ours: the 2.0 report's variant is "swiglu", with patch 1
    on f16c64 latents and the text width of its encoder; its depth and width were not published.
    Raises UsageError where the numbers do not fit together.
    """

    patch_size: int = 2
    in_channels: int = 64
    out_channels: int = 16
    num_layers: int = 60
    attention_head_dim: int = 128
    num_attention_heads: int = 24
    joint_attention_dim: int = 3584
    guidance_embeds: bool = False
    axes_dims_rope: tuple[int, int, int] = (16, 56, 56)
    zero_cond_t: bool = False
    use_additional_t_cond: bool = False
    use_layer3d_rope: bool = False
    mlp: Mlp = "gelu"
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        for name in (
            "patch_size",
            "in_channels",
            "out_channels",
            "num_layers",
            "attention_head_dim",
            "num_attention_heads",
            "joint_attention_dim",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"MMDiT configuration: {name} must be a whole number of at least 1, got {value!r}")
        for name in ("zero_cond_t", *NOT_HERE):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"MMDiT configuration: {name} must be true or false, got {getattr(self, name)!r}")
        for name, variant in NOT_HERE.items():
            if getattr(self, name):
                raise UsageError(f"MMDiT configuration: {name} is for {variant}, which this model does not have")
        if self.in_channels % self.patch_size**2:
            raise UsageError(
                f"MMDiT configuration: in_channels {self.in_channels} is no multiple of patch_size squared "
                f"({self.patch_size**2}); it counts the channels of a packed token"
            )
        self._check_axes()
        if self.mlp not in ("gelu", "swiglu"):
            raise UsageError(f'MMDiT configuration: mlp must be "gelu" or "swiglu", got {self.mlp!r}')
        if not isinstance(self.mlp_ratio, (int, float)) or isinstance(self.mlp_ratio, bool) or self.mlp_hidden < 1:
            raise UsageError(f"MMDiT configuration: mlp_ratio must be a number above 0, got {self.mlp_ratio!r}")

    def _check_axes(self) -> None:
        axes = self.axes_dims_rope
        if len(axes) != 3 or not all(isinstance(dim, int) and dim >= 2 and dim % 2 == 0 for dim in axes):
            raise UsageError(f"MMDiT configuration: axes_dims_rope must be three even numbers, got {list(axes)!r}")
        if sum(axes) != self.attention_head_dim:
            raise UsageError(
                f"MMDiT configuration: axes_dims_rope {list(axes)} sum to {sum(axes)}, but a head has "
                f"attention_head_dim {self.attention_head_dim} channels"
            )

    @property
    def inner_dim(self) -> int:
        """Width of both streams."""
        return self.num_attention_heads * self.attention_head_dim

    @property
    def mlp_hidden(self) -> int:
        """Width between the two layers of an MLP."""
        return round(self.inner_dim * self.mlp_ratio)

    @property
    def latent_channels(self) -> int:
        """Channels of the latents that are packed into tokens."""
        return self.in_channels // self.patch_size**2

    @property
    def is_public(self) -> bool:
        """Whether the public class can hold these weights."""
        return self.mlp == "gelu" and self.mlp_hidden == 4 * self.inner_dim

    def to_dict(self) -> dict[str, Any]:
        """The constructor keys of the public class, and ours only where they differ from it; ready for JSON."""
        told = asdict(self) | {"axes_dims_rope": list(self.axes_dims_rope)}
        return {name: value for name, value in told.items() if not (self.is_public and name in OURS)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> MMDiTConfig:
        """Reads a config.json. Missing keys take the defaults, keys with a leading underscore are left alone.

        Raises UsageError where a key is unknown or a value does not fit.
        """
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in told.items() if not name.startswith("_") and name not in WITHOUT_EFFECT}
        unknown = sorted(set(given) - known)
        if unknown:
            raise UsageError(
                f"MMDiT configuration: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        if "axes_dims_rope" in given:
            axes = given["axes_dims_rope"]
            if not isinstance(axes, (list, tuple)):
                raise UsageError(f"MMDiT configuration: axes_dims_rope must be three even numbers, got {axes!r}")
            given["axes_dims_rope"] = tuple(axes)
        if given.get("out_channels", 0) is None:  # the public class then takes in_channels
            given["out_channels"] = given.get("in_channels", cls.in_channels)
        return cls(**given)


#: Named configurations for the command line. The 2.0 one is ours: published are only SwiGLU, f16c64, Qwen3-VL.
NAMED: dict[str, MMDiTConfig] = {
    "qwen-image": MMDiTConfig(),
    "qwen-image-edit-2511": MMDiTConfig(zero_cond_t=True),
    "qwen-image-2": MMDiTConfig(
        patch_size=1, in_channels=64, out_channels=64, joint_attention_dim=4096, mlp="swiglu", mlp_ratio=3.0
    ),
}
