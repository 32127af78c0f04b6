"""Rectified flow: toy distributions come back, sigmas have the density asked for, noise is each sample's own."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.errors import UsageError

torch = pytest.importorskip("torch")

from model.flow import Timesteps, draw_sigma, draws, loss_weight, noised, stratified, target  # noqa: E402
from model.sampler import Condition, sample  # noqa: E402
from model.schedule import ScheduleConfig, factor, sigmas  # noqa: E402

PLAIN = ScheduleConfig(use_dynamic_shifting=False, shift_terminal=None)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices: threads of several workers would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Field(torch.nn.Module):
    """A small velocity field on points, which are pictures of 1 x 1 pixel to the sampler."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(axes + 7, 96), torch.nn.SiLU(), torch.nn.Linear(96, 96), torch.nn.SiLU(),
            torch.nn.Linear(96, axes),
        )  # fmt: skip

    def forward(self, x, sigma):
        waves = math.pi * sigma[:, None] * torch.tensor([0.5, 1.0, 2.0])
        return self.net(torch.cat([x, sigma[:, None], waves.sin(), waves.cos()], 1))

    def velocity(self, latents, sigma, context, lengths, references):
        return self(latents.flatten(1), sigma)[:, :, None, None]


def learned(data, timesteps: Timesteps, steps: int = 1500, batch: int = 256) -> Field:
    axes = data.shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        field = Field(axes)
        optimizer = torch.optim.Adam(field.parameters(), lr=4e-3)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        generator = torch.Generator().manual_seed(1)
        for _ in range(steps):
            x0 = data[torch.randint(len(data), (batch,), generator=generator)]
            eps = torch.randn(x0.shape, generator=generator)
            sigma = draw_sigma(generator, batch, timesteps)
            error = (field(noised(x0, eps, sigma), sigma) - target(x0, eps)).square().mean(1)
            loss = (loss_weight(sigma, timesteps) * error).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return field


def drawn(field: Field, axes: int, count: int = 2000):
    noise = torch.randn((count, axes, 1, 1), generator=torch.Generator().manual_seed(2))
    nothing = Condition(torch.zeros(count, 1, 1))
    return sample(field, noise, nothing, sigmas(50, 1, PLAIN)).flatten(1)


def energy_distance(a, b) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|: 0 for one distribution alone."""
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def two_moons(count: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(count, generator=generator) * math.pi
    upper = torch.rand(count, generator=generator) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    return torch.stack([x, y], 1) + 0.05 * torch.randn((count, 2), generator=generator)


def two_peaks(count: int, seed: int):
    """3/4 at 2 with deviation 0.3, 1/4 at -1 with 0.5."""
    generator = torch.Generator().manual_seed(seed)
    right = torch.rand(count, 1, generator=generator) < 0.75
    normal = torch.randn(count, 1, generator=generator)
    return torch.where(right, 2 + 0.3 * normal, -1 + 0.5 * normal)


@pytest.mark.parametrize(
    "timesteps", [Timesteps(), Timesteps(density="uniform", weighting="bell")], ids=["density", "weight"]
)
def test_two_peaks_come_back(timesteps: Timesteps) -> None:
    got = drawn(learned(two_peaks(20000, 3), timesteps, 900), 1)
    right = got[got > 0.6]
    assert len(right) / len(got) == pytest.approx(0.75, abs=0.04)
    assert right.mean().item() == pytest.approx(2, abs=0.06)
    assert right.std().item() == pytest.approx(0.3, abs=0.08)
    left = got[got <= 0.6]
    assert left.mean().item() == pytest.approx(-1, abs=0.12)
    assert left.std().item() == pytest.approx(0.5, abs=0.12)


def test_two_moons_come_back() -> None:
    got = drawn(learned(two_moons(20000, 3), Timesteps()), 2)
    others, alike = two_moons(2000, 4), two_moons(2000, 5)
    floor = energy_distance(others, alike)
    blob = others.mean(0) + others.std(0) * torch.randn((2000, 2), generator=torch.Generator().manual_seed(6))
    assert energy_distance(got, others) < max(4 * floor, 0.006)
    assert energy_distance(blob, others) > 0.02  # a Gaussian of the same moments is far off: the measure sees shape


def test_densities_are_what_they_are_called() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.logit(draw_sigma(generator, 40000, Timesteps(mean=0.5, std=0.8)).double())
    assert logits.mean().item() == pytest.approx(0.5, abs=0.02)
    assert logits.std().item() == pytest.approx(0.8, abs=0.02)
    uniform = draw_sigma(generator, 40000, Timesteps(density="uniform")).sort().values
    assert (uniform - torch.linspace(0, 1, 40000)).abs().max() < 0.015  # Kolmogorov-Smirnov
    # Mode: the share below s is the inverse of its own formula, Esser et al. eq. 20.
    mode = draw_sigma(generator, 40000, Timesteps(density="mode")).double().sort().values
    u = 1 - torch.linspace(0, 1, 40000, dtype=torch.float64)
    wanted = 1 - u - 1.29 * (torch.cos(math.pi / 2 * u) ** 2 - 1 + u)
    assert (mode - wanted).abs().max() < 0.015


def test_a_shift_moves_the_odds() -> None:
    for shift, times in ((2.2, 2.2), ("resolution", factor(4096, ScheduleConfig()))):
        plain = draw_sigma(torch.Generator().manual_seed(3), 1000).double()
        moved = draw_sigma(torch.Generator().manual_seed(3), 1000, Timesteps(shift=shift), tokens=4096).double()
        torch.testing.assert_close(moved / (1 - moved), times * plain / (1 - plain), rtol=1e-4, atol=0)


@given(st.sampled_from(["logit_normal", "uniform", "mode"]), st.integers(0, 1000))
def test_sigmas_stay_within_zero_and_one(density: str, seed: int) -> None:
    found = draw_sigma(torch.Generator().manual_seed(seed), 200, Timesteps(density=density, shift=5.0))
    assert found.dtype == torch.float32
    assert ((found > 0) & (found <= 1)).all()


def test_weights_have_mean_one() -> None:
    weights = loss_weight(stratified(1000), Timesteps(density="uniform", weighting="bell"))
    assert weights.mean().item() == pytest.approx(1, abs=1e-3)
    assert weights.argmax() in (499, 500)
    assert loss_weight(stratified(4)).tolist() == [1, 1, 1, 1]
    assert stratified(4).tolist() == [0.125, 0.375, 0.625, 0.875]


def test_density_or_weight_never_both() -> None:
    for told in ({}, {"density": "mode"}, {"density": "uniform", "shift": 2.0}):
        with pytest.raises(UsageError, match="counts some sigmas twice"):
            Timesteps(weighting="bell", **told)
    for told, words in (
        ({"density": "flat"}, "density is 'flat'"), ({"shift": "size"}, "shift is 'size'"), ({"std": 0}, "std is 0"),
        ({"weighting": "cosine"}, "weighting is 'cosine'"), ({"shift": 0}, "shift is 0"),
        ({"mode_scale": 3.0}, "mode_scale is 3.0"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            Timesteps(**told)
    with pytest.raises(UsageError, match="number of tokens"):
        draw_sigma(torch.Generator(), 1, Timesteps(shift="resolution"))


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 30), st.permutations(range(6)))
def test_a_sample_is_noised_alike_however_the_batch_is_split(seed: int, step: int, order: list[int]) -> None:
    whole = draws(seed, step, range(6), (2, 3, 3))
    for cut in (0, 2, 5):
        parts = [draws(seed, step, part, (2, 3, 3)) for part in (order[:cut], order[cut:])]
        sigma, eps = torch.cat([p.sigma for p in parts]), torch.cat([p.eps for p in parts])
        assert torch.equal(sigma, whole.sigma[order])
        assert torch.equal(eps, whole.eps[order])
    assert len(set(whole.sigma.tolist())) == 6
    other = draws(seed, step + 1, range(6), (2, 3, 3))
    assert not torch.equal(other.eps, whole.eps)


def test_noise_is_standard_normal_over_samples_and_steps() -> None:
    eps = torch.stack([draws(1, step, range(8), (4, 4)).eps for step in range(100)])
    assert eps.mean().item() == pytest.approx(0, abs=0.04)
    assert eps.std().item() == pytest.approx(1, abs=0.03)
    assert eps[:, :, 0, 0].std().item() == pytest.approx(1, abs=0.1)  # the first draw of many seeds
