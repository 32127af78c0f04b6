"""The estimate of memory against what torch really holds and keeps; layouts and their errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from model import fused  # noqa: E402
from model.config import NAMED, MMDiTConfig  # noqa: E402
from model.memory import block_activations, count, estimate, size_told  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.packing import Grid  # noqa: E402
from model.parallel_config import Checkpointing, ParallelConfig  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402

TINY = {
    "attention_head_dim": 32,
    "num_attention_heads": 4,
    "axes_dims_rope": (8, 12, 12),
    "joint_attention_dim": 48,
    "in_channels": 16,
    "out_channels": 4,
}


@pytest.mark.parametrize(
    "config", [*(replace(c, num_layers=2) for c in NAMED.values()), MMDiTConfig(num_layers=3, mlp_ratio=2.5, **TINY)]
)
def test_parameters_are_those_of_the_model(config: MMDiTConfig) -> None:
    with torch.device("meta"):
        model = MMDiT(config)
    found = count(config)
    assert found.total == sum(p.numel() for p in model.parameters())
    assert found.block == sum(p.numel() for p in model.transformer_blocks[0].parameters())
    assert found.idle == sum(p.numel() for n, p in model.named_parameters() if n in model.idle_parameters())


def kept_bytes(config: MMDiTConfig, rows: int, side: int, texts: int) -> int:
    """Bytes of all tensors that the backward pass of the real model needs, weights apart, each storage once."""
    model = MMDiT(config)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        tokens = torch.randn(rows, side * side, config.in_channels)
        context = torch.randn(rows, texts, config.joint_attention_dim)
        out = model(tokens, torch.rand(rows), context, grids=[(Grid(side, side),)] * rows)
    assert out.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_activations_are_those_that_torch_keeps(mlp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_by_hand", lambda *_: False)  # as on a GPU; a CPU's own norms keep less

    def made(layers: int) -> MMDiTConfig:
        return MMDiTConfig.from_dict(TINY | {"mlp": mlp, "num_layers": layers})

    rows, side, texts = 4, 10, 28
    tokens = side * side + texts
    measured = kept_bytes(made(4), rows, side, texts) - kept_bytes(made(3), rows, side, texts)
    # The CPU's plain RMSNorm also keeps queries and keys as normed, where the GPU's keeps one number a head.
    measured -= 2 * made(1).inner_dim * 4 * tokens * rows
    assert block_activations(made(1), 1, "fp32") * tokens * rows == pytest.approx(measured, rel=0.04)


def test_the_20b_model_of_the_report() -> None:
    config = MMDiTConfig()
    assert count(config).total == 20_430_401_088
    one = estimate(config, 4096 + 512, 1)
    assert one.parameters + one.gradients + one.optimizer == pytest.approx(20.43e9 * 16, rel=0.005)
    shared = estimate(config, 4096 + 512, 1, ParallelConfig(fsdp=64), Checkpointing("full"))
    assert shared.total < 80e9 < one.total
    # The blocks' inputs of 7,000 tokens are 2.6 GB a sample
    inputs = estimate(config, 7000, 1, ParallelConfig(fsdp=64), Checkpointing("full")).activations
    assert inputs == pytest.approx(2.6e9, rel=0.1)


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 3, 6]), st.sampled_from(["bf16", "fp32"]))
def test_more_ranks_and_more_forgetting_never_cost_memory(fsdp: int, tp: int, dtype: str) -> None:
    config = MMDiTConfig(num_layers=8)
    sizes = [
        estimate(config, 3000, 2, ParallelConfig(tp, fsdp), Checkpointing.parse(ac), dtype).activations
        for ac in ("none", "every-4", "every-2", "selective", "full")
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] > sizes[3] > sizes[4]
    here, wider = (estimate(config, 3000, 2, ParallelConfig(tp, ranks), dtype=dtype) for ranks in (fsdp, 2 * fsdp))
    assert wider.parameters <= here.parameters
    assert wider.optimizer <= here.optimizer
    whole = estimate(config, 3000, 2, ParallelConfig(tp, fsdp, modulation="replicated"), dtype=dtype)
    assert (whole.parameters > here.parameters) == (tp > 1)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_every_rank_has_a_place_of_its_own(tp: int, fsdp: int, replicate: int) -> None:
    layout = ParallelConfig(tp, fsdp, replicate)
    places = [layout.place(rank) for rank in range(layout.world)]
    assert len({(place.data_rank, place.tp_rank) for place in places}) == layout.world
    assert {place.data_rank for place in places} == set(range(fsdp * replicate))
    assert all(place.data_rank == places[0].data_rank for place in places[:tp])  # neighbours share a batch
    assert ParallelConfig.of_world(layout.world, tp=tp, replicate=replicate) == layout


def test_what_cannot_be_split_is_told() -> None:
    config = MMDiTConfig(num_layers=1, **TINY)
    with pytest.raises(UsageError, match="tp 3 does not divide the 4 attention heads: choose one of 1, 2, 4"):
        estimate(config, 10, 1, ParallelConfig(tp=3))
    with pytest.raises(UsageError, match="take 4 ranks or a multiple, started: 6"):
        ParallelConfig.of_world(6, tp=4)
    with pytest.raises(UsageError, match="tp must be at least 1"):
        ParallelConfig(tp=0)
    with pytest.raises(UsageError, match="rank 4 is not one of 4"):
        ParallelConfig(tp=2, fsdp=2).place(4)


@pytest.mark.parametrize("told", ["none", "every-1", "every-12", "full", "selective"])
def test_choices_of_checkpointing_by_name(told: str) -> None:
    assert str(Checkpointing.parse(told)) == told


@pytest.mark.parametrize("told", ["", "all", "every", "every-0", "every-x", "every--1"])
def test_other_names_are_refused(told: str) -> None:
    with pytest.raises(UsageError, match="activation checkpointing"):
        Checkpointing.parse(told)


@pytest.mark.parametrize(
    ("size", "told"), [(3.1e5, "0.31 MB"), (9.96e7, "99.6 MB"), (1.25e10, "12.5 GB"), (1.22e12, "1,220 GB")]
)
def test_sizes_are_told_in_units_of_their_own(size: float, told: str) -> None:
    assert size_told(size) == told
