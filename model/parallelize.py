"""Spreading an MMDiT over ranks, from outside the model: tensor parallelism by heads, then FSDP2.

Tensor parallelism (Shoeybi et al., "Megatron-LM", arXiv 1909.08053, section 3): the projections to queries, keys,
values and the MLP's first layer are split by columns, so a rank has whole heads; what follows is split by rows, and its
results are added up: two sums a stream and block. Written with DTensor, so that a parameter knows what part of it lies
where; FSDP2 then splits each part further, and checkpoints need no knowledge of either.

Call in this order: model, `parallelize`, weights, and only then optimizer and average.
"""

from __future__ import annotations

import warnings
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate, distribute_module
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn import functional

from model.activation_checkpointing import checkpoint_activations
from model.attention import RMSNorm
from model.config import MMDiTConfig
from model.fused import rms_norm
from model.mmdit import MMDiT
from model.parallel_config import Checkpointing, ParallelConfig
from model.ranks import together, world
from warehouse.errors import UsageError


def make_mesh(parallel: ParallelConfig, device: str) -> DeviceMesh:
    """The ranks as (replicate, fsdp, tp). Raises UsageError where their number is not that of the layout."""
    if world() != parallel.world:
        raise UsageError(
            f"{world()} ranks were started, but tp {parallel.tp} x fsdp {parallel.fsdp} x replicate "
            f"{parallel.replicate} are {parallel.world}: torchrun --nproc-per-node {parallel.world}"
        )
    shape = (parallel.replicate, parallel.fsdp, parallel.tp)
    return init_device_mesh(device, shape, mesh_dim_names=("replicate", "fsdp", "tp"))


def parallelize(
    model: MMDiT,
    parallel: ParallelConfig,
    ac: Checkpointing | None = None,
    *,
    device: torch.device | None = None,
    compute: torch.dtype | None = None,
    compile_blocks: bool = False,
) -> MMDiT:
    """The same model on `device` (None: where it is), spread over the ranks, forgetting activations as `ac` says.

    Its parameters become DTensors where they are split. A model on torch's meta device, which takes no memory, gets
    each rank's part of it on `device`, to be filled by `model.initial.fill` or from a checkpoint; otherwise its weights
    must be the same on all ranks, which keep their parts. `compute`: what FSDP gathers and computes in (None: the dtype
    of the weights); weights are kept and gradients reduced in the dtype that they have.
    Raises UsageError where the layout does not fit the network or the number of ranks that were started.
    """
    parallel.check(model.config)
    if compile_blocks and parallel.tp > 1 and parallel.data_world > 1:
        raise UsageError("torch.compile cannot take tp and fsdp together (torch 2.13): leave --compile or --tp away")
    empty = all(parameter.is_meta for parameter in model.parameters())
    device = device or next(model.parameters()).device
    mesh = make_mesh(parallel, device.type) if together() or parallel.world > 1 else None
    if mesh is not None and parallel.tp > 1:
        tensor_parallel(model, mesh["tp"], parallel)
    checkpoint_activations(model, ac or Checkpointing())
    if compile_blocks:
        for block in model.transformer_blocks:
            block.compile()
    if mesh is not None and parallel.data_world > 1:
        names = ("replicate", "fsdp") if parallel.replicate > 1 else ("fsdp",)
        shard(model, mesh[names], compute)
    return model.to_empty(device=device) if empty else model.to(device)


def shard(model: MMDiT, mesh: DeviceMesh, compute: torch.dtype | None) -> None:
    """FSDP2: each block is gathered when it is needed; the root holds what stands around them and stays gathered.

    Inputs are not cast on the way in: sigma and the rotations must stay float32, the model casts the rest itself.
    """
    wide = next(model.parameters()).dtype
    policy = MixedPrecisionPolicy(
        param_dtype=None if compute == wide else compute,
        reduce_dtype=None if compute in (None, wide) else wide,
        cast_forward_inputs=False,
    )
    # Nothing here changes an output in place, which is what it warns of at each block.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor", category=UserWarning)
    blocks = list(model.transformer_blocks)
    for block in blocks:
        # The last block is needed again at once, by the backward pass: not let go of in between
        fully_shard(block, mesh=mesh, mp_policy=policy, reshard_after_forward=block is not blocks[-1])
    fully_shard(model, mesh=mesh, mp_policy=policy)

    def let_go(*_: object) -> None:
        """Without a backward pass what stays gathered would stay for good, and not see a change of the weights."""
        if not torch.is_grad_enabled():
            cast(FSDPModule, blocks[-1]).reshard()
            cast(FSDPModule, model).reshard()

    model.register_forward_hook(let_go)


def tensor_parallel(model: MMDiT, mesh: DeviceMesh, parallel: ParallelConfig) -> None:
    """Splits the blocks over the ranks of `mesh` by heads; what stands around them is whole on each."""
    for block in model.transformer_blocks:
        parallelize_module(block, mesh, block_plan(model.config, parallel))
    around = ("img_in", "txt_norm", "txt_in", "norm_out.linear", "proj_out")
    embedder = "time_text_embed.timestep_embedder"
    whole = (*around, f"{embedder}.linear_1", f"{embedder}.linear_2")
    parallelize_module(model, mesh, {name: Whole() for name in whole})


def block_plan(config: MMDiTConfig, parallel: ParallelConfig) -> dict[str, ParallelStyle]:
    """Which layer of a block is split how; see the table in docs/parallel.md."""
    plan: dict[str, ParallelStyle] = {
        # Entering once for all three projections: the backward pass then sums over the ranks once, not three times
        "attn": PrepareModuleInput(
            input_layouts=(Replicate(), Replicate(), None, None),
            desired_input_layouts=(Replicate(), Replicate(), None, None),
        ),
        "attn.to_out.0": RowwiseParallel(),
        "attn.to_add_out": RowwiseParallel(),
    }
    for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj"):
        plan[f"attn.{name}"] = ColwiseParallel()
    for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
        plan[f"attn.{name}"] = Whole(partial_gradient=True)  # each rank sees its own heads only
    for stream in ("img", "txt"):
        if config.mlp == "swiglu":
            plan[f"{stream}_mlp.net.0"] = PrepareModuleInput(
                input_layouts=(Replicate(),), desired_input_layouts=(Replicate(),)
            )
            plan[f"{stream}_mlp.net.0.gate_layer"] = ColwiseParallel()
        plan[f"{stream}_mlp.net.0.proj"] = ColwiseParallel()
        plan[f"{stream}_mlp.net.2"] = RowwiseParallel()
        split = parallel.modulation == "sharded"
        plan[f"{stream}_mod.1"] = ColwiseParallel(output_layouts=Replicate()) if split else Whole()
    return plan


class Whole(ParallelStyle):
    """A layer that every rank has whole and computes with plain tensors; its parameters are DTensors like all others,
    so that optimizers and norms can treat them alike. For `nn.Linear` and `RMSNorm`.

    `partial_gradient`: each rank's gradient is of its own heads, so they are summed over the ranks. Otherwise all ranks
    compute the same.
    """

    def __init__(self, *, partial_gradient: bool = False) -> None:
        super().__init__()
        self.partial_gradient = partial_gradient

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        group = device_mesh.get_group()

        def here(name: str) -> Tensor:
            local: Tensor = getattr(module, name).to_local(grad_placements=[Replicate()])
            return summed_gradient(local, group) if self.partial_gradient else local

        def linear(x: Tensor) -> Tensor:
            return functional.linear(x, here("weight"), here("bias"))

        def norm(x: Tensor) -> Tensor:
            return rms_norm(x, here("weight"))

        distribute_module(module, device_mesh)
        module.forward = norm if isinstance(module, RMSNorm) else linear
        return module


def summed_gradient(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """`x`, whose gradient is the sum of those of all ranks of the group."""
    same: Tensor = _SumOfGradients.apply(x, group)  # type: ignore[no-untyped-call]
    return same


class _SumOfGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].to(torch.promote_types(gradients[0].dtype, torch.float32), copy=True)
        dist.all_reduce(total, group=ctx.group)
        return total.to(gradients[0].dtype), None
