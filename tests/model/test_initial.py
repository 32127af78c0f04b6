"""The first weights: drawn one by one, and put where the parameters are."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tiny_training import CONFIG  # noqa: E402

from model.initial import drawn, fill, initialise  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402


def _drawn(seed: int) -> dict[str, torch.Tensor]:
    return dict(drawn(CONFIG, torch.Generator().manual_seed(seed)))


def test_every_parameter_is_drawn_once_from_the_seed_alone() -> None:
    one, same, other = _drawn(1), _drawn(1), _drawn(2)
    assert {name: w.shape for name, w in one.items()} == {n: p.shape for n, p in MMDiT(CONFIG).named_parameters()}
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_model_without_memory_is_filled_as_one_with_it() -> None:
    plain = MMDiT(CONFIG).double()
    initialise(plain, torch.Generator().manual_seed(1))
    with torch.device("meta"):
        late = MMDiT(CONFIG).double()
    late.to_empty(device="cpu")
    fill(late, _drawn(1).items())
    assert all(w.dtype == torch.float64 for w in late.state_dict().values())
    assert all(torch.equal(w, late.state_dict()[name]) for name, w in plain.state_dict().items())


def test_nothing_is_left_without_a_value_or_given_twice() -> None:
    weights = list(_drawn(1).items())
    with pytest.raises(UsageError, match=r"img_in\.bias was given no value \(1 such\)"):
        fill(MMDiT(CONFIG), [pair for pair in weights if pair[0] != "img_in.bias"])
    with pytest.raises(UsageError, match=r"proj_out\.weight has no place in the model, or was given twice"):
        fill(MMDiT(CONFIG), [*weights, weights[-1]])
