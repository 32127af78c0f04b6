"""The validation loss: fixed samples, fixed noise, and nothing else counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_training import CPU, random_batch, tiny_model

from model.flow import stream
from model.training.micro_batches import take
from model.training.precision import chosen
from model.training.validation import HeldOut, by_shape, validate

PRECISION = chosen("fp32", CPU)


def _held_out() -> HeldOut:
    batch = random_batch(5)
    rows = [(f"name-{row}", take(batch, [row])) for row in range(6)]
    small = replace(rows[0][1], latents=rows[0][1].latents[..., :4])
    return by_shape([*rows, ("small", small)])


def test_samples_of_one_shape_are_put_together() -> None:
    held_out = _held_out()
    assert [len(batch.positions) for batch in held_out.batches] == [6, 1]
    assert len(held_out) == 7


def test_it_is_the_mean_error_at_eight_sigmas_with_each_samples_own_noise() -> None:
    model, held_out = tiny_model(), _held_out()
    found = validate(model, held_out, PRECISION, patch=2, seed=4)
    by_hand = [0.0] * 8
    for batch, names in zip(held_out.batches, held_out.names, strict=True):
        for row, name in enumerate(names):
            x0 = batch.latents[row]
            eps = torch.randn(x0.shape, generator=stream("held-out", 4, name))
            told = batch.context[row : row + 1, : int(batch.lengths[row])]
            for place in range(8):
                s = torch.tensor([(place + 0.5) / 8])
                with torch.no_grad():
                    v = model.velocity(((1 - s) * x0 + s * eps)[None], s, told)[0]
                by_hand[place] += float(((v - (eps - x0)) ** 2).mean()) / 7
    assert found.by_sigma == pytest.approx(by_hand, rel=1e-4)
    assert found.loss == pytest.approx(sum(by_hand) / 8, rel=1e-4)
    assert found.samples == 7


def test_it_repeats_to_the_bit_and_leaves_the_model_and_the_random_state_alone() -> None:
    model, held_out = tiny_model().train(), _held_out()
    state, weights = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    first = validate(model, held_out, PRECISION, patch=2)
    torch.manual_seed(99)
    assert validate(model, held_out, PRECISION, patch=2) == first
    torch.set_rng_state(state)
    assert model.training
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert validate(model, held_out, PRECISION, patch=2, seed=1) != first


def test_cutting_it_into_pieces_changes_only_rounding() -> None:
    model, held_out = tiny_model(), _held_out()
    whole, pieces = (validate(model, held_out, PRECISION, patch=2, budget=b) for b in (None, 50))
    assert pieces.by_sigma == pytest.approx(whole.by_sigma, rel=1e-5)


def test_it_moves_only_with_the_model() -> None:
    held_out = _held_out()
    one, other = (validate(tiny_model(seed), held_out, PRECISION, patch=2).loss for seed in (0, 1))
    assert one != other
