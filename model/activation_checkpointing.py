"""Forgetting activations and computing them again in the backward pass, put on a model from outside, block by block.

The blocks keep their names, so checkpoints and optimizers see no difference. A forward pass without gradients, as in
sampling, costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from model.parallel_config import Checkpointing

#: What computes attention, as a kernel's overload; a build of torch has some of them.
_ATTENTION = (
    ("aten", "_scaled_dot_product_flash_attention"),
    ("aten", "_scaled_dot_product_flash_attention_for_cpu"),
    ("aten", "_scaled_dot_product_efficient_attention"),
    ("aten", "_scaled_dot_product_cudnn_attention"),
    ("torch_attn", "_varlen_attn"),
)


class Blocks(Protocol):
    """A model whose blocks stand in a list of this name."""

    transformer_blocks: nn.ModuleList


def checkpoint_activations(model: Blocks, choice: Checkpointing) -> None:
    """Makes the blocks that `choice` names forget their activations; losses and gradients stay the same to the bit.

    Once only for a model, after tensor parallelism, before compilation and FSDP. The blocks draw no random numbers, so
    no random state is kept for them.
    """
    for place, block in enumerate(model.transformer_blocks):
        if choice.applies_to(place):
            block.forward = _forgetting(block.forward, keep_attention=choice.mode == "selective")


def _forgetting(forward: Callable[..., Any], keep_attention: bool) -> Callable[..., Any]:
    def again(*arguments: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*arguments)
        if keep_attention:
            return checkpoint(
                forward, *arguments, use_reentrant=False, preserve_rng_state=False, context_fn=_keeping_attention
            )
        return checkpoint(forward, *arguments, use_reentrant=False, preserve_rng_state=False)

    return again


def attention_kernels() -> frozenset[object]:
    """The kernels of attention that this build of torch has."""
    found = (getattr(getattr(torch.ops, space), name, None) for space, name in _ATTENTION)
    return frozenset(kernel.default for kernel in found if kernel is not None)


def _keeping_attention() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    kernels = attention_kernels()

    def policy(_context: Any, kernel: object, *_arguments: Any, **_named: Any) -> CheckpointPolicy:
        return CheckpointPolicy.MUST_SAVE if kernel in kernels else CheckpointPolicy.PREFER_RECOMPUTE

    contexts: tuple[AbstractContextManager[Any], AbstractContextManager[Any]]
    contexts = create_selective_checkpoint_contexts(policy)  # type: ignore[no-untyped-call]
    return contexts
