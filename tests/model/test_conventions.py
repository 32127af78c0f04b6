"""The converters undo each other, agree over both conventions, and the literal mix of the two diverges."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from model import conventions as c  # noqa: E402

MEAN, STD = 1.5, 0.5  # of the one-dimensional target of these tests
NOISE = 0.7


def some(seed: int) -> tuple[object, ...]:
    generator = torch.Generator().manual_seed(seed)
    x0, eps = (torch.randn(5, 3, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    sigma = torch.rand(5, generator=generator, dtype=torch.float64) * 0.98 + 0.01
    return x0, eps, sigma


@given(st.integers(0, 1 << 20))
def test_velocity_data_noise_and_score_tell_the_same(seed: int) -> None:
    x0, eps, sigma = some(seed)
    s = c.spread(sigma, x0)
    x, v = (1 - s) * x0 + s * eps, eps - x0
    torch.testing.assert_close(c.x0_from_v(x, v, sigma), x0)
    torch.testing.assert_close(c.eps_from_v(x, v, sigma), eps)
    torch.testing.assert_close(c.v_from_x0(x, x0, sigma), v)
    torch.testing.assert_close(c.v_from_eps(x, eps, sigma), v)
    torch.testing.assert_close(c.score_from_v(x, v, sigma), -eps / s)
    torch.testing.assert_close(c.v_from_score(x, -eps / s, sigma), v)


@given(st.integers(0, 1 << 20))
def test_the_papers_form_says_the_same_of_the_same_state(seed: int) -> None:
    x0, eps, sigma = some(seed)
    v = eps - x0
    t, v_paper = c.to_paper(sigma, v)
    torch.testing.assert_close(v_paper, x0 - eps)
    x = (1 - c.spread(sigma, x0)) * x0 + c.spread(sigma, x0) * eps
    torch.testing.assert_close(c.spread(t, x0) * x0 + (1 - c.spread(t, x0)) * eps, x)
    back, v_back = c.from_paper(t, v_paper)
    torch.testing.assert_close(back, sigma)
    torch.testing.assert_close(v_back, v)
    std = NOISE * (sigma / (1 - sigma)).sqrt()
    # A step of -d sigma of the one is a step of +dt of the other: the drifts are opposite.
    torch.testing.assert_close(c.paper_sde_drift(x, v_paper, t, std), -c.sde_drift(x, v, sigma, std))


def test_the_score_is_the_slope_of_the_log_density() -> None:
    """Of a Gaussian, whose density at every sigma is known."""
    x = torch.linspace(-3, 3, 13, dtype=torch.float64).requires_grad_()
    sigma = 0.37
    mean, var = (1 - sigma) * MEAN, ((1 - sigma) * STD) ** 2 + sigma**2
    slope = torch.autograd.grad((-((x - mean) ** 2) / (2 * var)).sum(), x)[0]
    a, b = exact_velocity(sigma)
    torch.testing.assert_close(c.score_from_v(x, a * x + b, sigma), slope)


def exact_velocity(sigma: float) -> tuple[float, float]:
    """(a, b) of E[eps - x0 | x] = a x + b for data of MEAN, STD."""
    var = ((1 - sigma) * STD) ** 2 + sigma**2
    a = (sigma - (1 - sigma) * STD**2) / var
    return a, -MEAN - a * (1 - sigma) * MEAN


def run(steps: int, drift: Callable[[float, object, object], object], at: Callable[[float], tuple[float, float]]):
    """Mean and std in the end of dx = drift dt + diffusion sqrt|dt| z from a standard normal; `drift` is linear in x.

    `at(i / steps)`: time and diffusion of step i.
    """
    mean, var = 0.0, 1.0
    points = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for i in range(steps):
        time, diffusion = at(i / steps)
        after = torch.tensor([0.0, 1.0], dtype=torch.float64) + drift(time, points, diffusion) / steps
        b, a = after[0].item(), (after[1] - after[0]).item()
        mean, var = a * mean + b, a * a * var + diffusion**2 / steps
    return mean, math.sqrt(var)


@pytest.mark.parametrize(("steps", "mean", "std"), [(10, 2.77, 1.37), (40, 3.94, 2.26), (400, 7.05, 4.37)])
def test_the_literal_mix_diverges(steps: int, mean: float, std: float) -> None:
    """Eq. 1 (t = 0 at noise) with eq. 7 as printed (t = 1 at noise): worse the finer the steps."""

    def mixed(t: float, x, diffusion: float):
        a, b = exact_velocity(1 - t)
        v = -(a * x + b)
        return v + NOISE**2 / (2 * (1 - t)) * (x + (1 - t) * v)  # diffusion^2 / (2 t), also at t = 0

    got = run(steps, mixed, lambda u: (u, NOISE * math.sqrt(u / (1 - u))))
    assert got == pytest.approx((mean, std), rel=0.01)  # the figures were measured by drawing samples


@pytest.mark.parametrize("steps", [10, 40, 400])
def test_either_convention_alone_keeps_the_distribution(steps: int) -> None:
    def ours(sigma: float, x, diffusion: float):
        a, b = exact_velocity(sigma)
        return -c.sde_drift(x, a * x + b, sigma, diffusion)

    def papers(t: float, x, diffusion: float):
        a, b = exact_velocity(1 - t)
        return c.paper_sde_drift(x, -(a * x + b), t, diffusion)

    def first_kept(u: float) -> float:  # the diffusion at noise is infinite: that of the step after it
        sigma = 1 - max(u, 1 / steps)
        return NOISE * math.sqrt((1 - u) / (1 - sigma))

    of_ours = run(steps, ours, lambda u: (1 - u, first_kept(u)))
    of_paper = run(steps, papers, lambda u: (u, first_kept(u)))
    assert of_ours == pytest.approx(of_paper)
    assert of_ours == (pytest.approx(MEAN, abs=0.02), pytest.approx(STD, abs=0.03))
