"""Blocks can be compiled and checkpointed from outside: one graph, the same numbers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from mmdit_parity import TINY, Inputs, inputs, tiny  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from model.mmdit import MMDiT  # noqa: E402

CONFIG = replace(TINY, num_layers=2, zero_cond_t=True)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def batch() -> Inputs:
    return inputs(CONFIG, [[(3, 4), (2, 2)], [(2, 3)]], 6, [6, 3])


def trained(model: MMDiT) -> tuple[Tensor, dict[str, Tensor]]:
    found = batch().of(model)
    found[:, :4].square().mean().backward()
    return found.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def same(one: MMDiT, other: MMDiT) -> None:
    (wanted, gradients), (found, others) = trained(one), trained(other)
    assert (found - wanted)[0].abs().max() < 1e-5
    assert (found - wanted)[1, :6].abs().max() < 1e-5
    assert {name.replace("_orig_mod.", "") for name in others} == set(gradients)
    for name, gradient in others.items():
        peer = gradients[name.replace("_orig_mod.", "")]
        assert (gradient - peer).abs().max() <= 1e-5 * max(1.0, float(peer.abs().max())), name


SLOW = (
    pytest.mark.soak,
    pytest.mark.skipif(os.environ.get("GLYPHMILL_SOAK") != "1", reason="a minute of compiling: make soak"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here: apt-get install g++"),
)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=SLOW)])
def test_a_block_is_one_graph_with_the_same_numbers(backend: str) -> None:
    compiled = tiny(CONFIG)
    for block in compiled.transformer_blocks:
        block.compile(backend=backend, fullgraph=True)
    same(tiny(CONFIG), compiled)


class Forgetting(nn.Module):
    """A block whose activations are computed again in the backward pass."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = checkpoint(self.block, *given, use_reentrant=False)
        return found


def test_a_checkpointed_block_gives_the_same_numbers() -> None:
    model = tiny(CONFIG)
    wanted, gradients = trained(model)
    again = tiny(CONFIG)
    again.transformer_blocks = nn.ModuleList([Forgetting(block) for block in again.transformer_blocks])
    found, others = trained(again)
    assert torch.equal(found, wanted)
    for name, gradient in others.items():
        assert torch.equal(gradient, gradients[name.replace(".block.", ".")]), name
