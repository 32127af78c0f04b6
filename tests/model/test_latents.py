"""Statistics of latents, and the posterior."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.latents import Posterior, denormalise, measure, normalise
from warehouse.errors import UsageError


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.floats(-1e6, 1e6), st.integers(0, 1000))
def test_one_pass_measures_what_all_at_once_would(sizes: list[int], offset: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    batches = [torch.randn(n, 3, 2, 4, generator=draw, dtype=torch.float64) * 3 + offset for n in sizes]
    found = measure(batches)
    everything = torch.cat(batches).transpose(0, 1).flatten(1)
    assert found.count == everything.shape[1]
    torch.testing.assert_close(torch.tensor(found.mean, dtype=torch.float64), everything.mean(1))
    expected = everything.std(1, correction=0)
    torch.testing.assert_close(torch.tensor(found.std, dtype=torch.float64), expected, rtol=1e-9, atol=0)


@given(st.integers(0, 1000))
def test_normalised_latents_have_mean_0_and_std_1_and_come_back(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    scale, shift = torch.tensor([1.0, 5.0, 0.2]).view(1, 3, 1, 1), torch.tensor([0.0, 3.0, -9.0]).view(1, 3, 1, 1)
    latents = torch.randn(8, 3, 4, 4, generator=draw) * scale + shift
    found = measure([latents])
    normal = normalise(latents, found.mean, found.std)
    again = measure([normal])
    assert max(map(abs, again.mean)) < 1e-4
    assert all(abs(std - 1) < 1e-4 for std in again.std)
    torch.testing.assert_close(denormalise(normal, found.mean, found.std), latents, atol=1e-5, rtol=0)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        measure([])
    with pytest.raises(UsageError, match=r"\[1\] never vary"):
        measure([torch.stack([torch.randn(2, 2), torch.ones(2, 2)])[None]])
    with pytest.raises(UsageError, match="not finite"):
        measure([torch.full((1, 2, 2, 2), float("nan"))])
    with pytest.raises(UsageError, match="another VAE"):
        normalise(torch.zeros(1, 4, 2, 2), (0.0,) * 16, (1.0,) * 16)


def test_posterior() -> None:
    moments = torch.cat([torch.full((1, 2, 64, 64), 3.0), torch.full((1, 2, 64, 64), 0.8)], dim=1)
    found = Posterior.of(moments)
    assert torch.equal(found.mode(), moments[:, :2])
    sample = found.sample(torch.Generator().manual_seed(0))
    assert abs(float(sample.mean()) - 3.0) < 0.1
    assert abs(float(sample.var()) - float(torch.tensor(0.8).exp())) < 0.1
    assert torch.equal(sample, found.sample(torch.Generator().manual_seed(0)))
    normal = torch.distributions.Normal(3.0, torch.tensor(0.4).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(found.kl(), expected, atol=1e-4, rtol=0)
    assert float(Posterior.of(torch.full((1, 2, 1, 1), 1e9)).logvar) == 20.0
