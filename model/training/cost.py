"""Floating point operations of a model, by count; memory is counted by `model/memory.py`."""

from __future__ import annotations

from collections.abc import Sequence

from model.config import MMDiTConfig

#: Dense bf16 FLOP/s of one device, as their makers print it, by a part of its name.
PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "A800": 312e12, "L40S": 362e12, "RTX 4090": 165e12}


def block_parameters(config: MMDiTConfig) -> tuple[int, int]:
    """Weights of the matrices of one block: those that every token of a stream passes (of one stream; both are alike),
    and those of both modulations, which every sample passes."""
    d, hidden = config.inner_dim, config.mlp_hidden
    up = 2 if config.mlp == "swiglu" else 1
    return 4 * d * d + (up + 1) * d * hidden, 2 * 6 * d * d


def forward_flops(config: MMDiTConfig, text: Sequence[int], image: Sequence[int]) -> float:
    """FLOPs of one forward pass (a multiplication and an addition are two): rows of `text` and `image` tokens, no
    padding counted. Norms, activations and the rotary embedding are left out, as usual."""
    d = config.inner_dim
    each, modulation = block_parameters(config)
    total = 0.0
    for t, n in zip(text, image, strict=True):
        blocks = config.num_layers * ((t + n) * each + modulation + 2 * (t + n) ** 2 * d)
        # of the last block's text only keys and values are used
        unused = t * (each - 2 * d * d) + 2 * t * (t + n) * d
        ends = n * config.in_channels * d + t * config.joint_attention_dim * d
        ends += n * d * config.patch_size**2 * config.out_channels + (256 * d + d * d) + 2 * d * d
        total += 2 * (blocks - unused + ends)
    return total


def training_flops(config: MMDiTConfig, text: Sequence[int], image: Sequence[int]) -> float:
    """Of one step: the backward pass costs twice the forward one. What is computed again to save memory is not
    counted (model FLOPs, as PaLM, arXiv 2204.02311, appendix B, counts them)."""
    return 3 * forward_flops(config, text, image)


def peak_flops(device_name: str) -> float | None:
    """bf16 FLOP/s of a device by its name, None where it is not known."""
    return next((peak for part, peak in PEAK_BF16.items() if part in device_name), None)
