"""How much memory of one GPU a training takes, before it is started: pure arithmetic, no torch.

Weights, gradients and AdamW's moments are float32 (16 bytes a parameter), the average of the weights too. Activations
are counted from what the blocks of `model.mmdit` keep for the backward pass; tests compare the count with what torch
really keeps. Not counted: the GPU's context (about 0.5 GB), NCCL's buffers, fragmentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.config import MMDiTConfig
from model.parallel_config import Checkpointing, ParallelConfig

DType = Literal["bf16", "fp32"]

#: Channels of the time's sinusoid.
_SINUSOID = 256
_FP32 = 4  # bytes


@dataclass(frozen=True)
class Parameters:
    """Parameters of a network: `total` of them, `block` in one block and `root` outside of the blocks; on one rank of
    a tensor-parallel group `block_local` of a block. `idle`: of the last block, without gradient or moments."""

    total: int
    block: int
    block_local: int
    root: int
    idle: int


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one GPU. `working`: what comes and goes: gathered parameters, gradients before they are reduced, the
    activations of a block that is computed again."""

    parameters: int
    gradients: int
    optimizer: int
    ema: int
    activations: int
    working: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.optimizer + self.ema + self.activations + self.working

    def lines(self) -> list[str]:
        """For people: GB = 10^9 bytes."""
        rows = {
            "weights": self.parameters,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
            "average": self.ema,
            "activations": self.activations,
            "working": self.working,
            "together": self.total,
        }
        return [f"{name:<12}{size / 1e9:8.2f} GB" for name, size in rows.items()]


def size_told(size: float) -> str:
    """For people, in units of 10^9 or 10^6 bytes: 0.3 MB, 12.5 GB, 1,220 GB."""
    unit, value = ("GB", size / 1e9) if size >= 1e8 else ("MB", size / 1e6)
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def count(config: MMDiTConfig, parallel: ParallelConfig | None = None) -> Parameters:
    """Parameters by formula; `parallel` decides what a rank of tensor parallelism holds of a block."""
    parallel = parallel or ParallelConfig()
    dim, hidden, tp = config.inner_dim, config.mlp_hidden, parallel.tp
    ups = 2 if config.mlp == "swiglu" else 1
    modulations = 2 * 6 * (dim * dim + dim)
    columns = 6 * (dim * dim + dim) + 2 * ups * (dim * hidden + hidden)
    rows = 2 * dim * dim + 2 * hidden * dim
    whole = 4 * dim + 4 * config.attention_head_dim  # biases of the row-parallel layers, QK-norms
    split = columns + rows + (modulations if parallel.modulation == "sharded" else 0)
    block = modulations + columns + rows + whole
    out = config.patch_size**2 * config.out_channels
    root = (
        (config.in_channels * dim + dim)
        + config.joint_attention_dim
        + (config.joint_attention_dim * dim + dim)
        + (_SINUSOID * dim + dim + dim * dim + dim)
        + (2 * dim * dim + 2 * dim)
        + (dim * out + out)
    )
    text_mlp = ups * (dim * hidden + hidden) + hidden * dim + dim
    idle = 2 * (dim * dim + dim) + config.attention_head_dim + text_mlp
    return Parameters(block * config.num_layers + root, block, block - split + split // tp, root, idle)


def block_activations(config: MMDiTConfig, tp: int, dtype: DType, *, autocast: bool = False) -> float:
    """Bytes that one block keeps of each token of a sample (text or image) for its backward pass, on a GPU.

    Of the width of the streams: input, normed, modulated and result, for attention and for the MLP. Of the width of a
    rank's heads: queries and keys before their norm (float32), queries, keys, values and results of attention, and the
    results once more, cut into text and image. Of the width of the MLP: before and after the activation, SwiGLU twice
    that. And attention's normaliser. `autocast`: inputs of norms and what is normed are float32 then.
    """
    size = 2 if dtype == "bf16" else _FP32
    dim, hidden = config.inner_dim, config.mlp_hidden
    mlp = (4 if config.mlp == "swiglu" else 2) * hidden * size
    heads = dim * (5 * size + 2 * _FP32) + config.num_attention_heads * _FP32
    streams = 8 * size + (4 * (_FP32 - size) if autocast else 0)
    return streams * dim + (heads + mlp) / tp


def estimate(
    config: MMDiTConfig,
    tokens: int,
    batch: int,
    parallel: ParallelConfig | None = None,
    ac: Checkpointing | None = None,
    dtype: DType = "bf16",
    *,
    ema: bool = True,
) -> MemoryEstimate:
    """Memory of one GPU in a step of pre-training.

    `tokens`: of one sample, text and image and references together. `batch`: samples that one GPU has in flight at once
    (a piece, where gradients are accumulated). `dtype`: what is computed in. Raises UsageError where the network cannot
    be split so.
    """
    parallel, ac = parallel or ParallelConfig(), ac or Checkpointing()
    parallel.check(config)
    size = 2 if dtype == "bf16" else _FP32
    held = count(config, parallel)
    local = held.block_local * config.num_layers + held.root
    trained = local - round(held.idle * held.block_local / held.block)
    whole = held.root * size
    if parallel.data_world > 1:
        # Two blocks gathered (one ahead), the last one kept; one block's gradients, before and while they are reduced
        gathered = 3 * held.block_local * size + whole
        reduced = held.block_local * (size + _FP32)
    else:
        gathered = local * size if dtype == "bf16" else 0  # autocast keeps its copies of weights for the step
        reduced = held.block_local * size
    autocast = dtype == "bf16" and parallel.data_world == 1
    everything = block_activations(config, parallel.tp, dtype, autocast=autocast) * tokens * batch
    inputs = config.inner_dim * size * tokens * batch
    attention = (config.inner_dim * size + config.num_attention_heads * _FP32) / parallel.tp * tokens * batch
    forgetting = sum(ac.applies_to(block) for block in range(config.num_layers))
    kept = inputs + (attention if ac.mode == "selective" else 0)
    ends = (2 * config.inner_dim + config.joint_attention_dim) * size * tokens * batch
    again = everything if forgetting else 0
    flowing = (4 * config.inner_dim + 2 * config.mlp_hidden / parallel.tp) * size * tokens * batch
    return MemoryEstimate(
        parameters=local * _FP32 // parallel.fsdp,
        gradients=trained * _FP32 // parallel.fsdp,
        optimizer=2 * trained * _FP32 // parallel.fsdp,
        ema=local * _FP32 // parallel.fsdp if ema else 0,
        activations=round(forgetting * kept + (config.num_layers - forgetting) * everything + ends),
        working=round(gathered + reduced + again + flowing),
    )
