"""The Euler sampler and guidance, beside diffusers' scheduler and the formula of its pipeline."""

from __future__ import annotations

import pytest

from warehouse.errors import UsageError

torch = pytest.importorskip("torch")

from model.flow import noised, target  # noqa: E402
from model.sampler import Condition, Guidance, guided, initial_noise, sample  # noqa: E402
from model.schedule import ScheduleConfig, mu, sigmas  # noqa: E402

QWEN = ScheduleConfig()


class Mean(torch.nn.Module):
    """A velocity that looks at all it is given: latents, sigma, the tokens that count and the references."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def velocity(self, latents, sigma, context, lengths, references):
        self.seen.append(len(latents))
        counts = torch.full((len(context),), context.shape[1]) if lengths is None else lengths
        told = torch.stack([row[:n].mean() for row, n in zip(context, counts, strict=True)])
        shown = [sum(r.mean().item() for r in row) for row in references] or [0.0] * len(latents)
        return torch.sin(latents * 3 + (told + sigma + torch.tensor(shown))[:, None, None, None])


def conditions(rows: int = 3) -> tuple[Condition, Condition]:
    generator = torch.Generator().manual_seed(5)
    context = torch.randn(rows, 4, 8, generator=generator)
    blank = torch.randn(1, 2, 8, generator=generator).expand(rows, -1, -1)
    return Condition(context, torch.tensor([4, 2, 3])[:rows]), Condition(blank, None)


def start(rows: int = 3):
    return initial_noise(7, ["a"] * rows, range(rows), (4, 6, 4))


def test_the_exact_velocity_leads_to_the_data() -> None:
    """Of one point, every path is straight: any number of steps ends in it."""
    x0, eps = torch.randn(2, 1, 4, 2, 2, generator=torch.Generator().manual_seed(1))

    class Straight:
        def velocity(self, latents, sigma, context, lengths, references):
            torch.testing.assert_close(latents, noised(x0, eps, sigma))
            return target(x0, eps)

    for steps in (1, 3, 20):
        got = sample(Straight(), eps, Condition(torch.zeros(1, 1, 1)), sigmas(steps, 4, QWEN))
        torch.testing.assert_close(got, x0)


def test_steps_are_those_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    model, (told, _) = Mean(), conditions()
    ours = sample(model, start(), told, sigmas(10, 1024, QWEN))
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(QWEN.to_dict())
    scheduler.set_timesteps(sigmas=[1 - i / 10 for i in range(10)], mu=mu(1024, QWEN))
    x = start()
    for t in scheduler.timesteps:
        v = model.velocity(x, (t / 1000).expand(3), told.context, told.lengths, ())
        x = scheduler.step(v, t, x, return_dict=False)[0]
    torch.testing.assert_close(ours, x, atol=1e-5, rtol=0)


def test_guidance_keeps_the_length_of_each_token() -> None:
    generator = torch.Generator().manual_seed(3)
    v, u = torch.randn(2, 2, 16, 6, 4, generator=generator)
    got = guided(v, u, Guidance(4.0))

    def tokens(x):
        return x.view(2, 16, 3, 2, 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(2, 6, 64)

    combined = tokens(u) + 4.0 * (tokens(v) - tokens(u))
    length = tokens(v).norm(dim=-1, keepdim=True) / combined.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(tokens(got), combined * length)
    torch.testing.assert_close(tokens(got).norm(dim=-1), tokens(v).norm(dim=-1))
    torch.testing.assert_close(guided(v, u, Guidance(4.0, rescale=False)), u + 4.0 * (v - u))
    torch.testing.assert_close(guided(v, u, Guidance(1.0)), v)
    nothing = guided(v, v * 4 / 3, Guidance(4.0))  # combined to exactly nothing
    assert torch.isfinite(nothing).all()


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("rescale", [False, True])
def test_both_branches_together_or_apart_are_the_same(rescale: bool, references: bool) -> None:
    told, blank = conditions()
    shown = [[torch.full((4, 2, 2), float(i))] for i in range(3)] if references else ()
    found = []
    for together in (True, False):
        model = Mean()
        guidance = Guidance(3.0, rescale=rescale, together=together)
        steps = sigmas(4, 6, QWEN)
        got = sample(model, start(), told, steps, guidance=guidance, negative=blank, references=shown)
        assert model.seen == ([6] * 4 if together else [3] * 8)
        found.append(got)
    torch.testing.assert_close(*found)
    plain = sample(Mean(), start(), told, sigmas(4, 6, QWEN), references=shown)
    assert (plain - found[0]).abs().max() > 0.1


def test_weight_one_asks_the_condition_alone() -> None:
    told, blank = conditions()
    model = Mean()
    got = sample(model, start(), told, sigmas(3, 6, QWEN), guidance=Guidance(1.0), negative=blank)
    assert model.seen == [3, 3, 3]
    torch.testing.assert_close(got, sample(Mean(), start(), told, sigmas(3, 6, QWEN)))


def test_a_batch_samples_what_each_row_samples_alone() -> None:
    told, blank = conditions()
    steps, guidance = sigmas(5, 6, QWEN), Guidance(4.0)
    whole = sample(Mean(), start(), told, steps, guidance=guidance, negative=blank)
    for i in range(3):
        n = int(told.lengths[i])
        alone = Condition(told.context[i : i + 1, :n])
        blank_alone = Condition(blank.context[:1])
        one = sample(Mean(), start()[i : i + 1], alone, steps, guidance=guidance, negative=blank_alone)
        torch.testing.assert_close(one, whole[i : i + 1])


def test_noise_is_each_samples_own() -> None:
    whole = initial_noise(1, ["a", "b", "a"], [0, 0, 1], (2, 3, 3))
    assert torch.equal(initial_noise(1, ["b"], [0], (2, 3, 3))[0], whole[1])
    assert torch.equal(initial_noise(1, ["a", "a"], [1, 0], (2, 3, 3)), whole[[2, 0]])
    assert len({tuple(row.flatten().tolist()) for row in whole}) == 3
    assert not torch.equal(initial_noise(2, ["a"], [0], (2, 3, 3))[0], whole[0])


def test_rows_that_do_not_fit_are_refused() -> None:
    told, _ = conditions()
    with pytest.raises(UsageError, match="2 pictures needs as many prompts, not 3"):
        sample(Mean(), start(2), told, sigmas(3, 6, QWEN))
    with pytest.raises(UsageError, match="rows of references, not 1"):
        sample(Mean(), start(), told, sigmas(3, 6, QWEN), references=[[]])


def test_progress_is_told_after_each_step() -> None:
    told, _ = conditions()
    heard: list[int] = []
    sample(Mean(), start(), told, sigmas(4, 6, QWEN), on_step=heard.append)
    assert heard == [1, 2, 3, 4]
