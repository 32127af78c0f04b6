"""Muon beside AdamW: each parameter steps as in torch's own, a checkpoint goes on to the bit, refusals are told."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from model.checkpoint import Role, TrainingState, load_checkpoint, save_checkpoint  # noqa: E402
from model.config import MMDiTConfig  # noqa: E402
from model.initial import initialise  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.training.optimizer import OptimizerConfig, make_optimizer, set_rate  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402

CONFIG = OptimizerConfig("muon", weight_decay=0.01)
RATE = 1e-2


def tiny() -> MMDiT:
    model = MMDiT(
        MMDiTConfig(
            num_layers=2,
            attention_head_dim=14,
            num_attention_heads=2,
            joint_attention_dim=8,
            axes_dims_rope=(2, 6, 6),
        )
    )
    initialise(model, torch.Generator().manual_seed(1))
    return model


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "transformer_blocks.1.txt_mlp" not in name:  # never has one
            parameter.grad = torch.randn(parameter.shape, generator=generator)


def steps(model: MMDiT, optimizer: torch.optim.Optimizer, numbers: range) -> None:
    for number in numbers:
        give_gradients(model, number)
        set_rate(optimizer, RATE)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def test_each_part_steps_as_torchs_own() -> None:
    model, other = tiny(), tiny()
    steps(model, make_optimizer(model, CONFIG, model.hidden_matrices()), range(4))
    hidden = other.hidden_matrices()
    taken = {id(p) for p in hidden}
    rest = [p for p in other.parameters() if id(p) not in taken]
    muon = torch.optim.Muon(hidden, lr=RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(
        [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=RATE,
        fused=True,
    )
    for number in range(4):
        give_gradients(other, number)
        muon.step()
        adam.step()
        other.zero_grad(set_to_none=True)
    for (name, mine), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_hidden_matrices_are_those_between_tokens() -> None:
    model = tiny()
    chosen = {id(p) for p in model.hidden_matrices()}
    names = {name for name, p in model.named_parameters() if id(p) in chosen}
    assert "transformer_blocks.0.attn.to_q.weight" in names
    assert "transformer_blocks.1.img_mlp.net.2.weight" in names
    assert not any(
        "_mod." in name or name.endswith("bias") or not name.startswith("transformer_blocks") for name in names
    )


def test_a_checkpoint_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole = tiny()
    steps(whole, make_optimizer(whole, CONFIG, whole.hidden_matrices()), range(6))

    first = tiny()
    optimizer = make_optimizer(first, CONFIG, first.hidden_matrices())
    steps(first, optimizer, range(3))
    path = save_checkpoint(tmp_path, 3, TrainingState({"model": Role(first, optimizer)}))
    second = tiny()
    again = make_optimizer(second, CONFIG, second.hidden_matrices())
    load_checkpoint(path, TrainingState({"model": Role(second, again)}))
    steps(second, again, range(3, 6))
    for (name, mine), theirs in zip(second.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_without_hidden_matrices_it_is_refused() -> None:
    with pytest.raises(UsageError, match="train with adamw"):
        make_optimizer(nn.Linear(3, 3), CONFIG)


def test_a_closure_is_refused() -> None:
    model = tiny()
    with pytest.raises(ValueError, match="no closure"):
        make_optimizer(model, CONFIG, model.hidden_matrices()).step(lambda: 0.0)
