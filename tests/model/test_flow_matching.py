"""One step of flow matching is the formula, whatever it is cut into."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import MemoryFeed, random_batch, tiny_model, trainer_of

from model.flow import Timesteps, draws
from model.training.algorithm import FlowMatching
from model.training.micro_batches import cut, take


def _gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_the_gradient_is_that_of_the_formula_written_by_hand() -> None:
    model, batch = tiny_model(), random_batch(4)
    losses = FlowMatching(model, patch=2, seed=7).single_train_step(batch, torch.full((6,), 1 / 6))
    losses.to_minimise["model"].backward()
    found = _gradients(model)

    model.zero_grad()
    drawn = draws(7, 4, range(6), (4, 8, 8))
    total = torch.zeros(())
    for row in range(6):  # one by one, without padding
        s, eps, x0 = drawn.sigma[row], drawn.eps[row], batch.latents[row]
        x = (1 - s) * x0 + s * eps
        told = batch.context[row : row + 1, : int(batch.lengths[row])]
        v = model.velocity(x[None], s[None], told)[0]
        total = total + ((v - (eps - x0)) ** 2).mean() / 6
    total.backward()

    assert float(losses.loss.mean()) == pytest.approx(float(total.detach()), abs=1e-6)
    assert found.keys() == _gradients(model).keys()
    assert set(dict(model.named_parameters())) - found.keys() == model.idle_parameters()
    for name, gradient in _gradients(model).items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_references_are_seen_and_not_predicted() -> None:
    model, batch = tiny_model(), random_batch(1, references=True)
    algorithm, shares = FlowMatching(model, patch=2, seed=7), torch.full((6,), 1 / 6)
    with_them = algorithm.single_train_step(batch, shares).loss
    without = algorithm.single_train_step(replace(batch, references=((),) * 6), shares).loss
    shown = torch.tensor([len(row) > 0 for row in batch.references])
    assert (with_them != without)[shown].all()
    torch.testing.assert_close(with_them[~shown], without[~shown])


def test_a_weighting_scales_the_rows_and_a_zero_share_leaves_a_row_out() -> None:
    model, batch = tiny_model(), random_batch(1)
    shares = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    plain = FlowMatching(model, patch=2, timesteps=Timesteps("uniform")).single_train_step(batch, shares)
    bell = FlowMatching(model, patch=2, timesteps=Timesteps("uniform", weighting="bell")).single_train_step(
        batch, shares
    )
    assert float(plain.to_minimise["model"].detach()) == pytest.approx(float(plain.loss[:2].mean()))
    assert not torch.allclose(plain.loss, bell.loss)
    assert torch.equal(plain.sigma, bell.sigma)


@pytest.mark.parametrize("budget", [1, 40, 70])
@pytest.mark.parametrize("references", [False, True])
def test_accumulated_micro_batches_are_the_whole_batch(budget: int, references: bool) -> None:
    def unequal(batch: object) -> list[float]:
        return [1.0, 2.0, 0.5, 1.0, 3.0, 0.25]

    seen = {}
    for size in (None, budget):
        model = tiny_model()
        feed = MemoryFeed(lambda step: random_batch(step, references=references))
        trainer = trainer_of(model, feed, budget=size, weights=unequal)
        seen[size] = (trainer.step(2, accept=lambda outcome: None), _weights_after(model))
    whole, pieces = seen[None][0], seen[budget][0]
    assert len(whole.rows) == 1 < len(pieces.rows)
    torch.testing.assert_close(whole.record.sums, pieces.record.sums, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(whole.record.grad_norm, pieces.record.grad_norm, atol=1e-6, rtol=1e-5)
    for name, weight in seen[None][1].items():
        torch.testing.assert_close(weight, seen[budget][1][name], atol=1e-4, rtol=1e-3, msg=name)


def test_the_loss_of_a_step_is_the_weighted_mean_of_its_rows() -> None:
    weights = [1.0, 2.0, 0.5, 1.0, 3.0, 0.25]
    trainer = trainer_of(tiny_model(), budget=40, weights=lambda batch: weights)
    outcome = trainer.step(2)
    of = {p: x for rows in outcome.rows for p, x in zip(rows.positions, rows.loss.tolist(), strict=True)}
    assert float(outcome.record.sums[0]) == pytest.approx(sum(of[p] * w for p, w in enumerate(weights)) / sum(weights))


def _weights_after(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@given(
    text=st.lists(st.integers(1, 50), min_size=0, max_size=30),
    budget=st.one_of(st.none(), st.integers(1, 400)),
    pieces=st.integers(1, 6),
    data=st.data(),
)
def test_every_row_is_in_one_piece_within_the_budget(
    text: list[int], budget: int | None, pieces: int, data: st.DataObject
) -> None:
    image = data.draw(st.lists(st.sampled_from([4, 16]), min_size=len(text), max_size=len(text)))
    made = cut(text, image, budget, pieces)
    assert sorted(row for piece in made for row in piece) == list(range(len(text)))
    assert len(made) >= min(pieces, len(text))
    for piece in made:
        size = len(piece) * (max(text[r] for r in piece) + max(image[r] for r in piece))
        assert len(piece) == 1 or budget is None or size <= budget


def test_sorting_by_length_leaves_little_padding() -> None:
    text = [1 + (37 * row) % 100 for row in range(100)]
    padded = sum(len(p) * max(text[r] for r in p) for p in cut(text, [0] * 100, 600))
    assert padded < 1.15 * sum(text)


def test_a_piece_pads_to_its_own_longest_text_only() -> None:
    batch = random_batch(0, lengths=[7, 2, 3, 1, 6, 2])
    piece = take(batch, [1, 3])
    assert piece.context.shape == (2, 2, 12)
    assert piece.positions == (1, 3)
    assert torch.equal(piece.context[1, :1], batch.context[3, :1])
    assert piece.lengths.tolist() == [2, 1]
