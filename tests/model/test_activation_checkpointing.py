"""Activations that are forgotten and computed again: the same losses and gradients, less kept, nothing else changed."""

from __future__ import annotations

import gc

import pytest

torch = pytest.importorskip("torch")

from model.activation_checkpointing import attention_kernels, checkpoint_activations  # noqa: E402
from model.config import MMDiTConfig  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.packing import Grid  # noqa: E402
from model.parallel_config import Checkpointing  # noqa: E402

CHOICES = ["none", "every-2", "selective", "full"]
CONFIG = MMDiTConfig(
    num_layers=4,
    attention_head_dim=16,
    num_attention_heads=4,
    axes_dims_rope=(4, 6, 6),
    joint_attention_dim=24,
    in_channels=16,
    out_channels=4,
)


def make(choice: str) -> MMDiT:
    model = MMDiT(CONFIG)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.1)
    checkpoint_activations(model, Checkpointing.parse(choice))
    return model


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(4)
    return (
        torch.randn(2, 64, 16, generator=draw),
        torch.rand(2, generator=draw),
        torch.randn(2, 8, 24, generator=draw),
    )


def forward(model: MMDiT) -> torch.Tensor:
    return model(*inputs(), grids=[(Grid(8, 8),)] * 2, lengths=[8, 5])


@pytest.fixture(scope="module")
def plain() -> tuple[torch.Tensor, dict[str, torch.Tensor | None]]:
    model = make("none")
    out = forward(model)
    out.square().mean().backward()
    return out.detach(), {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("choice", CHOICES[1:])
def test_nothing_changes_but_memory(choice: str, plain: tuple[torch.Tensor, dict[str, torch.Tensor | None]]) -> None:
    model = make(choice)
    out = forward(model)
    out.square().mean().backward()
    assert torch.equal(out, plain[0])
    for name, parameter in model.named_parameters():
        expected = plain[1][name]
        assert (parameter.grad is None) == (expected is None), name
        assert expected is None or torch.equal(parameter.grad, expected), name


def kept(model: MMDiT) -> int:
    """Bytes alive for the backward pass: what autograd saved and what Python holds, each storage once."""
    gc.collect()
    before = {id(found) for found in gc.get_objects() if issubclass(type(found), torch.Tensor)}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t) or note(t), lambda t: t):
        out = forward(model)
    for found in gc.get_objects():
        if issubclass(type(found), torch.Tensor) and id(found) not in before:
            note(found)
    assert out.requires_grad
    return sum(sizes.values())


def test_each_choice_keeps_less() -> None:
    sizes = {choice: kept(make(choice)) for choice in CHOICES}
    assert sizes["none"] > 1.5 * sizes["every-2"]
    assert sizes["every-2"] > 1.5 * sizes["selective"]
    assert sizes["selective"] > sizes["full"]


def test_selective_computes_attention_once() -> None:
    """Kernels of attention that run in a step: one a block, twice where all is forgotten."""

    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        runs = 0

        def __torch_dispatch__(self, kernel, types, args=(), kwargs=None):
            self.runs += kernel in attention_kernels()
            return kernel(*args, **(kwargs or {}))

    found = {}
    for choice in ("none", "selective", "full"):
        model = make(choice)
        with Counting() as counting:
            forward(model).sum().backward()
        found[choice] = counting.runs
    assert found == {"none": 4, "selective": 4, "full": 8}


def test_names_stay_and_looks_cost_nothing() -> None:
    model = make("full")
    assert model.state_dict().keys() == MMDiT(CONFIG).state_dict().keys()
    with torch.no_grad():
        assert torch.equal(forward(model), forward(make("none")))
