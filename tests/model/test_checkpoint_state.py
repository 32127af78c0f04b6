"""What of an optimizer a checkpoint brings back."""

from __future__ import annotations

import torch
from torch import nn

from model.checkpoint_state import Role, group_facts, set_groups


def test_how_an_optimizers_kernels_run_is_not_carried_over() -> None:
    net = nn.Linear(2, 3)
    made = torch.optim.AdamW(net.parameters(), lr=0.5, fused=False, foreach=False)
    (facts,) = group_facts(Role(net, made))
    assert not {"fused", "foreach", "capturable", "differentiable"} & set(facts["settings"])
    facts["settings"] |= {"fused": True, "foreach": True, "capturable": True, "lr": 0.25}  # of an older checkpoint
    set_groups(Role(net, made), [facts], {})
    group = made.param_groups[0]
    assert [group[name] for name in ("fused", "foreach", "capturable", "lr")] == [False, False, False, 0.25]
