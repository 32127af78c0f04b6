"""The MMDiT of Qwen-Image: two streams, joint attention, modulation by time. Math only.

Qwen-Image technical report (arXiv 2508.02324), section 2.3; names and shapes of the state dict are those of the public
checkpoints. Parallelism, activation checkpointing and compilation are applied from outside, block by block: the blocks
stand in `transformer_blocks`, and a block takes and returns tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.attention import JointAttention, Padding, RMSNorm, padding_of
from model.config import MMDiTConfig
from model.fused import modulated
from model.packing import Grid, pack_rows, unpack
from model.rope import RopeTables

#: Channels of the time's sinusoid.
SINUSOID = 256


def sinusoid(sigma: Tensor, legacy_bf16: bool = False) -> Tensor:
    """(B,) sigma in [0, 1], float32 or wider, to (B, 256): cosines, then sines, of 1000 sigma / 10000^(k / 128).

    `legacy_bf16` rounds sigma and the frequencies to bfloat16 first, as the released pipelines do: that moves a time by
    up to 2 of 1000, so it is for comparing with them only. Raises ValueError where sigma comes in half precision.
    """
    if sigma.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"sigma is {sigma.dtype}: keep it float32 up to here (under FSDP2: MixedPrecisionPolicy("
            "cast_forward_inputs=False)), half precision moves it by up to 2 of 1000"
        )
    half = SINUSOID // 2
    exponent = -math.log(10_000) * torch.arange(half, dtype=torch.float32, device=sigma.device) / half
    frequencies = torch.exp(exponent)
    if legacy_bf16:
        sigma = sigma.to(torch.bfloat16).float()
        frequencies = frequencies.to(torch.bfloat16).float()
    angles = 1000 * (sigma[:, None] * frequencies)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepEmbedder(nn.Module):
    """Two linear layers with SiLU between them, from the sinusoid to the width of the streams."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(SINUSOID, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, waves: Tensor) -> Tensor:
        embedded: Tensor = self.linear_2(functional.silu(self.linear_1(waves.to(self.linear_1.weight.dtype))))
        return embedded


class TimeEmbedding(nn.Module):
    """Holds the embedder under its public name, `time_text_embed.timestep_embedder`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.timestep_embedder = TimestepEmbedder(dim)

    def forward(self, waves: Tensor) -> Tensor:
        embedded: Tensor = self.timestep_embedder(waves)
        return embedded


class FinalNorm(nn.Module):
    """Holds the last modulation under its public name, `norm_out.linear`: (scale, shift), unlike the blocks' order."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 2 * dim)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.linear(condition).chunk(2, dim=-1)
        return modulated(image, shift, scale)


class Gelu(nn.Module):
    """Linear, GELU (tanh)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(self.proj(x), approximate="tanh")


class SwiGlu(nn.Module):
    """SiLU(gate(x)) * proj(x), as two layers: tensor parallelism splits both by columns."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, hidden)
        self.gate_layer = nn.Linear(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = functional.silu(self.gate_layer(x)) * self.proj(x)
        return gated


class Mlp(nn.Module):
    """`net.0` up with its activation, `net.2` down; `net.1` is where the public class has a dropout of 0."""

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        up = SwiGlu if config.mlp == "swiglu" else Gelu
        down = nn.Linear(config.mlp_hidden, config.inner_dim)
        self.net = nn.ModuleList([up(config.inner_dim, config.mlp_hidden), nn.Identity(), down])

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.net[2](self.net[0](x))
        return mixed


def modulation(linear: nn.Module, condition: Tensor, reference: Tensor | None) -> tuple[Tensor, ...]:
    """(shift, scale, gate) for attention and again for the MLP, each (B, 1, dim), or (B, N, dim) with `reference`:
    (B, N, 1), true at the tokens that take the second row of the condition."""
    parts: tuple[Tensor, ...] = linear(condition).chunk(6, dim=-1)
    if reference is None:
        return parts
    return tuple(torch.where(reference, part[:, 1:], part[:, :1]) for part in parts)


class DualStreamBlock(nn.Module):
    """Joint attention and an MLP for each stream, every one modulated before and gated after."""

    def __init__(self, config: MMDiTConfig, text_output: bool = True) -> None:
        super().__init__()
        dim = config.inner_dim
        self.text_output = text_output
        self.img_mod = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.txt_mod = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.attn = JointAttention(dim, config.attention_head_dim, text_output)
        self.img_mlp = Mlp(config)
        self.txt_mlp = Mlp(config)

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        condition: Tensor,
        table: Tensor,
        padding: Padding | None = None,
        reference: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One block; returns the image (B, N, dim) and the text (B, T, dim), which the last block leaves as it came.

        `condition`: (B, 1, dim), SiLU of the time's embedding (the SiLU of `img_mod.0` and `txt_mod.0`, done once for
        all blocks); with `reference` (B, N, 1) it has a second row, of clean data, for the tokens marked there.
        `table`: rotations of `RopeTables.joint`.
        """
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation(self.img_mod[1], condition, reference)
        text_mods = modulation(self.txt_mod[1], condition[:, :1], None)
        text_shift, text_scale, text_gate, text_mlp_shift, text_mlp_scale, text_mlp_gate = text_mods
        found, text_found = self.attn(
            modulated(image, shift, scale), modulated(text, text_shift, text_scale), table, padding
        )
        image = torch.addcmul(image, gate, found)
        image = torch.addcmul(image, mlp_gate, self.img_mlp(modulated(image, mlp_shift, mlp_scale)))
        if text_found is None:
            return image, text
        text = torch.addcmul(text, text_gate, text_found)
        mixed = self.txt_mlp(modulated(text, text_mlp_shift, text_mlp_scale))
        return image, torch.addcmul(text, text_mlp_gate, mixed)


class MMDiT(nn.Module):
    """Velocity of packed latents under a text, at a noise level (see `forward`).

    The last block's text output is thrown away by the architecture, so it is not computed: the parameters that
    `idle_parameters` names exist, are saved and loaded, and never get a gradient.
    """

    def __init__(self, config: MMDiTConfig, *, legacy_bf16_timestep: bool = False) -> None:
        super().__init__()
        self.config = config
        self.legacy_bf16_timestep = legacy_bf16_timestep
        dim = config.inner_dim
        self.time_text_embed = TimeEmbedding(dim)
        self.txt_norm = RMSNorm(config.joint_attention_dim)
        self.img_in = nn.Linear(config.in_channels, dim)
        self.txt_in = nn.Linear(config.joint_attention_dim, dim)
        last = config.num_layers - 1
        self.transformer_blocks = nn.ModuleList(
            [DualStreamBlock(config, text_output=place != last) for place in range(config.num_layers)]
        )
        self.norm_out = FinalNorm(dim)
        self.proj_out = nn.Linear(dim, config.patch_size**2 * config.out_channels)
        self._tables = RopeTables(config.axes_dims_rope)

    def forward(
        self,
        tokens: Tensor,
        sigma: Tensor,
        context: Tensor,
        *,
        grids: Sequence[Sequence[Grid]],
        lengths: Tensor | Sequence[int] | None = None,
    ) -> Tensor:
        """Velocity (B, N, patch^2 * out_channels) at all N tokens, of which the target's come first.

        `tokens`: (B, N, in_channels), packed, target then references, padded on the right where grids differ.
        `sigma`: (B,) float32, 1 is noise. `context`: (B, T, joint_attention_dim). `grids`: for each row its images'
        grids, target first. `lengths`: (B,) valid context tokens, None for all; on the CPU they cost no
        synchronisation. Neither padding nor the other rows change a row's output. Raises ValueError where shapes do
        not fit together, UsageError past the limit of positions.
        """
        rows = [tuple(Grid(*grid) for grid in row) for row in grids]
        counts = [sum(grid.tokens for grid in row) for row in rows]
        texts = self._lengths(context, lengths)
        if not len(tokens) == len(sigma) == len(context) == len(rows) == len(texts):
            raise ValueError(
                f"rows differ: {len(tokens)} of tokens, {len(sigma)} of sigma, {len(context)} of context, "
                f"{len(rows)} of grids, {len(texts)} of lengths"
            )
        padding = padding_of(texts, counts, context.shape[1], tokens.shape[1], tokens.device)
        table = self._tables.joint(rows, context.shape[1], tokens.shape[1], tokens.device)
        kind = self.img_in.weight.dtype
        image = self.img_in(tokens.to(kind))
        text = self.txt_in(self.txt_norm(context.to(kind)))
        reference = self._reference(rows, tokens) if self.config.zero_cond_t else None
        condition = self._condition(sigma, clean=reference is not None)
        for block in self.transformer_blocks:
            image, text = block(image, text, condition, table, padding, reference)
        velocity: Tensor = self.proj_out(self.norm_out(image, condition[:, :1]))
        return velocity

    def velocity(
        self,
        latents: Tensor,
        sigma: Tensor,
        context: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        references: Sequence[Sequence[Tensor]] = (),
    ) -> Tensor:
        """Velocity of the target, (B, out_channels, h, w), for latents (B, C, h, w).

        `references`: for each row its clean latents (C, h', w') of any size, or nothing at all. The rest as in
        `forward`. Raises ValueError where a latent's size is no multiple of the patch.
        """
        patch = self.config.patch_size
        tokens, grids = pack_rows(latents, references, patch)
        # Through __call__, so that hooks of FSDP and compilation see it
        found: Tensor = self(tokens, sigma, context, grids=grids, lengths=lengths)
        target = grids[0][0]
        return unpack(found[:, : target.tokens], target, patch)

    def idle_parameters(self) -> frozenset[str]:
        """Names of the parameters that never get a gradient: what only feeds the text output of the last block."""
        last = f"transformer_blocks.{self.config.num_layers - 1}."
        parts = ("attn.add_q_proj.", "attn.norm_added_q.", "attn.to_add_out.", "txt_mlp.")
        idle = tuple(last + part for part in parts)
        return frozenset(name for name, _ in self.named_parameters() if name.startswith(idle))

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights of the blocks' projections and MLPs, which turn tokens into tokens; not the modulations, which turn
        time into scales. What Muon steps."""
        named = self.transformer_blocks.named_parameters()
        return [p for name, p in named if p.ndim == 2 and "_mod." not in name]

    def _condition(self, sigma: Tensor, clean: bool) -> Tensor:
        """SiLU of the time's embedding, (B, 1, dim); with `clean` (B, 2, dim), the second of sigma 0."""
        levels = torch.cat([sigma, torch.zeros_like(sigma)]) if clean else sigma
        embedded = self.time_text_embed(sinusoid(levels, self.legacy_bf16_timestep))
        return functional.silu(embedded).view(-1, len(sigma), embedded.shape[-1]).transpose(0, 1)

    def _reference(self, rows: Sequence[tuple[Grid, ...]], tokens: Tensor) -> Tensor | None:
        """(B, N, 1), true from the first reference token on; None where no row has a reference."""
        if all(len(row) == 1 for row in rows):
            return None
        targets = torch.tensor([row[0].tokens for row in rows])
        return (torch.arange(tokens.shape[1]) >= targets[:, None]).unsqueeze(-1).to(tokens.device)

    @staticmethod
    def _lengths(context: Tensor, lengths: Tensor | Sequence[int] | None) -> list[int]:
        if lengths is None:
            return [context.shape[1]] * len(context)
        told: list[int] = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
        return told
