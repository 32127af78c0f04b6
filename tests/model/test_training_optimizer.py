"""The optimizer, the clipping and the moving average against arithmetic written out."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_training import random_batch, tiny_model, trainer_of

from model.training.ema import Ema
from model.training.optimizer import OptimizerConfig, clip_gradients, make_optimizer, parameter_groups, set_rate
from warehouse.errors import UsageError


def test_matrices_decay_and_norms_and_biases_do_not() -> None:
    model = tiny_model()
    decaying, others = parameter_groups(model, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in decaying["params"]} == {2}
    assert {p.ndim for p in others["params"]} == {1}
    assert len(decaying["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_a_parameter_without_gradient_does_not_decay() -> None:
    model = tiny_model()
    idle = {name: p.detach().clone() for name, p in model.named_parameters() if name in model.idle_parameters()}
    trainer = trainer_of(model, optimizer=OptimizerConfig(weight_decay=0.5), rate=0.1)
    for step in range(2):
        trainer.step(step)
    for name, before in idle.items():
        assert torch.equal(model.get_parameter(name), before), name


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_two_steps_are_those_of_the_papers(kind: str) -> None:
    """Kingma & Ba 2014, algorithm 1; Loshchilov & Hutter 2019, algorithm 2."""
    module = torch.nn.Linear(2, 1, bias=False)
    start = module.weight.detach().clone()
    optimizer = make_optimizer(module, OptimizerConfig(kind=kind, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1))
    theta, m, v = start.double(), torch.zeros(1, 2).double(), torch.zeros(1, 2).double()
    for step, rate in enumerate((0.1, 0.05), start=1):
        gradient = torch.tensor([[0.3, -0.2 * step]])
        module.weight.grad = gradient.clone()
        set_rate(optimizer, rate)
        optimizer.step()
        g = gradient.double() + (0.1 * theta if kind == "adam" else 0)
        if kind == "adamw":
            theta = theta - rate * 0.1 * theta
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        theta = theta - rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-8)
    torch.testing.assert_close(module.weight.detach().double(), theta, atol=1e-6, rtol=1e-5)


def test_gradients_are_scaled_to_the_limit_and_their_norm_is_told() -> None:
    model = tiny_model()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    count = sum(p.numel() for p in model.parameters())
    norm = clip_gradients(model.parameters(), 1.0)
    assert float(norm) == pytest.approx(0.5 * math.sqrt(count), rel=1e-5)
    left = math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None))
    assert left == pytest.approx(1.0, rel=1e-4)
    assert float(clip_gradients(model.parameters(), 5.0)) == pytest.approx(1.0, rel=1e-4)
    assert float(clip_gradients(model.parameters(), None)) == pytest.approx(1.0, rel=1e-4)


def test_the_average_warms_up_and_then_decays() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
    ema, expected = Ema(module, 0.5), 1.0
    for n in range(20):
        with torch.no_grad():
            module.weight.fill_(float(n))
        decay = min(0.5, (1 + n) / (10 + n))
        assert ema.decay_now() == pytest.approx(decay)
        ema.update()
        expected = decay * expected + (1 - decay) * n
        assert float(ema.shadow["weight"]) == pytest.approx(expected, rel=1e-5)


def test_the_average_is_applied_and_taken_back_to_the_bit() -> None:
    model = tiny_model()
    trainer = trainer_of(model, rate=0.05)
    for step in range(3):
        trainer.step(step)
    ema = trainer.averages["model"]
    own = {name: p.detach().clone() for name, p in model.named_parameters()}
    mean = {name: p.clone() for name, p in ema.shadow.items()}
    assert any(not torch.equal(own[name], mean[name]) for name in own)
    with ema.applied():
        assert all(torch.equal(p, mean[name]) for name, p in model.named_parameters())
    assert all(torch.equal(p, own[name]) for name, p in model.named_parameters())
    assert all(torch.equal(p, mean[name]) for name, p in ema.shadow.items())


def test_only_float32_weights_have_an_average() -> None:
    with pytest.raises(UsageError, match="must be float32"):
        Ema(torch.nn.Linear(1, 1).to(torch.bfloat16))


@pytest.mark.parametrize(
    "wrong", [{"kind": "sgd"}, {"betas": (0.9, 1.0)}, {"eps": 0.0}, {"weight_decay": -1.0}, {"clip": 0.0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        OptimizerConfig(**wrong)  # type: ignore[arg-type]


def test_nothing_to_train_is_refused() -> None:
    model = tiny_model().requires_grad_(False)
    with pytest.raises(UsageError, match="nothing to train"):
        make_optimizer(model, OptimizerConfig())


def test_training_lowers_the_loss_of_a_batch_that_repeats() -> None:
    model = tiny_model()
    trainer = trainer_of(model, rate=5e-3)
    trainer.feed.batch = lambda step: random_batch(0)  # type: ignore[method-assign]
    losses = [float(trainer.step(0).record.sums[0]) for _ in range(40)]
    assert losses[-1] < 0.8 * losses[0]
