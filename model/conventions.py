"""One convention for noise, time and velocity, and the converters to the forms that papers print.

Here sigma is 1 at pure noise and 0 at data: x = (1 - sigma) x0 + sigma eps, v = eps - x0, and a step goes from sigma to
a smaller sigma: x += (next - sigma) v. Qwen-Image's report (arXiv 2508.02324, eq. 1) writes flow matching the other way
round, t = 1 at data and v = x0 - x1, and yet takes the SDE of its reinforcement learning (eq. 6, 7) and the divergence
(eq. 8) from texts with t = 1 at noise. Put together as printed they diverge; tests/model/test_conventions.py shows it.

In every function `sigma` is a number or (B,), broadcast over the other axes of x (B, ...). Nothing is clamped: a
division by sigma (or by 1 - sigma) gives infinities where it is 0, as the formula does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def spread(sigma: Tensor | float, like: Tensor) -> Tensor | float:
    """(B,) as (B, 1, ...) with as many axes as `like`; a number stays one."""
    if isinstance(sigma, float | int):
        return sigma
    return sigma.reshape(sigma.shape + (1,) * (like.ndim - sigma.ndim))


def x0_from_v(x: Tensor, v: Tensor, sigma: Tensor | float) -> Tensor:
    """Data of which `v` is the velocity: x - sigma v."""
    return x - spread(sigma, x) * v


def eps_from_v(x: Tensor, v: Tensor, sigma: Tensor | float) -> Tensor:
    """Noise of which `v` is the velocity: x + (1 - sigma) v."""
    return x + (1 - spread(sigma, x)) * v


def v_from_x0(x: Tensor, x0: Tensor, sigma: Tensor | float) -> Tensor:
    """Velocity at x away from that data: (x - x0) / sigma; sigma > 0."""
    return (x - x0) / spread(sigma, x)


def v_from_eps(x: Tensor, eps: Tensor, sigma: Tensor | float) -> Tensor:
    """Velocity at x towards that noise: (eps - x) / (1 - sigma); sigma < 1."""
    return (eps - x) / (1 - spread(sigma, x))


def score_from_v(x: Tensor, v: Tensor, sigma: Tensor | float) -> Tensor:
    """Gradient of the log density of x at that sigma: -eps / sigma; sigma > 0."""
    return -eps_from_v(x, v, sigma) / spread(sigma, x)


def v_from_score(x: Tensor, score: Tensor, sigma: Tensor | float) -> Tensor:
    """Velocity of which that is the score: (-sigma score - x) / (1 - sigma); sigma < 1."""
    return v_from_eps(x, -spread(sigma, x) * score, sigma)


def to_paper(sigma: Tensor | float, v: Tensor) -> tuple[Tensor | float, Tensor]:
    """(t, v) with t = 1 at data and v = x0 - x1, as Qwen-Image's eq. 1 has them."""
    return 1 - sigma, -v


def from_paper(t: Tensor | float, v: Tensor) -> tuple[Tensor | float, Tensor]:
    """(sigma, v) from t = 1 at data and v = x0 - x1."""
    return 1 - t, -v


def timestep(sigma: Tensor | float) -> Tensor | float:
    """What diffusers' schedulers call a timestep: 1000 sigma. Their model is given it divided by 1000 again."""
    return 1000 * sigma


def sde_drift(x: Tensor, v: Tensor, sigma: Tensor | float, std: Tensor | float) -> Tensor:
    """Drift of the SDE that keeps the ODE's marginals, for steps towards smaller sigma (d sigma < 0).

    v + std^2 / (2 sigma) (x + (1 - sigma) v), Flow-GRPO (arXiv 2505.05470, eq. 9) and Qwen-Image's eq. 6, 7 with their
    t = sigma; sigma > 0. The step adds std sqrt(|d sigma|) z.
    """
    s, diffusion = spread(sigma, x), spread(std, x)
    return v + diffusion**2 / (2 * s) * eps_from_v(x, v, sigma)


def paper_sde_drift(x: Tensor, v: Tensor, t: Tensor | float, std: Tensor | float) -> Tensor:
    """The same drift where t = 1 is data and v = x0 - x1, for steps towards larger t (dt > 0); t < 1.

    v + std^2 / (2 (1 - t)) (t v - x): not what is printed, which is `sde_drift` and belongs to the other convention.
    """
    s, diffusion = spread(t, x), spread(std, x)
    return v + diffusion**2 / (2 * (1 - s)) * (s * v - x)
