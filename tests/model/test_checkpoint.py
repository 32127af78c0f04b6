"""Checkpoints of one process: bit-exact return, refusal by name, damage, retention, a kill in the middle of a save."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from model.checkpoint import (  # noqa: E402
    CheckpointError,
    Retention,
    Role,
    TrainingState,
    checkpoints,
    export_weights,
    latest,
    load_checkpoint,
    read_facts,
    save_checkpoint,
)
from model.checkpoint_files import differences  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
IDENTITY = {"mmdit": {"num_layers": 2, "axes": (2, 3)}, "vae": "00ff"}


class Net(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.unused = nn.Linear(width, width)  # never has a gradient, so never a moment
        self.last = nn.Linear(width, 1)
        self.register_buffer("mean", torch.tensor([0.25]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(x))) + self.mean


class Run:
    """A training of a few numbers, with two groups and a decaying learning rate."""

    def __init__(self, seed: int = 0, width: int = 6) -> None:
        torch.manual_seed(seed)
        self.net = Net(width)
        matrices = [p for p in self.net.parameters() if p.ndim > 1]
        vectors = [p for p in self.net.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=0.1)
        self.ema = {name: p.detach().clone() for name, p in self.net.named_parameters()}

    def step(self) -> float:
        loss = (self.net(torch.randn(5, 4) + random.random() + float(np.random.rand())) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.9
        for name, p in self.net.named_parameters():
            self.ema[name].lerp_(p.detach(), 0.1)
        return loss.item()

    def state(self, **identity: object) -> TrainingState:
        role = Role(self.net, self.optimizer, self.ema)
        return TrainingState({"model": role}, {"cursor": {"step": 3, "seed": 0.1}}, IDENTITY | identity)


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    run = Run()
    for _ in range(3):
        run.step()
    path = save_checkpoint(tmp_path, 3, run.state())
    undisturbed = [run.step() for _ in range(4)]
    again = Run(seed=9)
    again.step()
    loaded = load_checkpoint(path, again.state())
    assert (loaded.step, loaded.facts, loaded.same_rng) == (3, {"cursor": {"step": 3, "seed": 0.1}}, True)
    assert [again.step() for _ in range(4)] == undisturbed
    for one, other in zip(run.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(one, other)
    for name, average in run.ema.items():
        assert torch.equal(average, again.ema[name])
    assert {name for name, p in again.net.named_parameters() if p not in again.optimizer.state} == {
        "unused.weight",
        "unused.bias",
    }


def test_saving_changes_nothing(tmp_path: Path) -> None:
    plain, saving = Run(), Run()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    expected = [plain.step() for _ in range(3)]
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    found = []
    for step in range(3):
        found.append(saving.step())
        save_checkpoint(tmp_path, step, saving.state())
    assert found == expected


def test_wrapped_models_share_checkpoints(tmp_path: Path) -> None:
    run = Run()
    run.step()
    path = save_checkpoint(tmp_path, 1, run.state())
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    other = Run(seed=2)
    other.net.first = checkpoint_wrapper(other.net.first)
    load_checkpoint(path, TrainingState({"model": Role(other.net, other.optimizer, other.ema)}, {}, IDENTITY))
    assert torch.equal(run.net.first.weight, next(other.net.first.parameters()))


def test_weights_alone_for_export(tmp_path: Path) -> None:
    run = Run()
    run.step()
    path = save_checkpoint(tmp_path, 1, run.state())
    weights = export_weights(path, "model")
    assert weights.keys() == run.net.state_dict().keys()
    assert all(torch.equal(value, weights[name]) for name, value in run.net.state_dict().items())
    averaged = export_weights(path)
    assert averaged.keys() == weights.keys()  # with the buffer, which is not averaged
    assert all(torch.equal(value, averaged[name]) for name, value in run.ema.items())
    assert torch.equal(averaged["mean"], run.net.mean)


def test_no_average_no_export(tmp_path: Path) -> None:
    run = Run()
    path = save_checkpoint(tmp_path, 1, TrainingState({"model": Role(run.net)}))
    with pytest.raises(UsageError, match=r"has no model/ema weights; it has model/model: .*--weights model$"):
        export_weights(path)


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    run = Run()
    path = save_checkpoint(tmp_path, 1, run.state())
    other = Run(seed=4)
    before = [p.clone() for p in other.net.parameters()]
    state = other.state(mmdit={"num_layers": 60, "axes": (2, 3)}, text="abc")
    with pytest.raises(UsageError, match=r"mmdit.num_layers is 2 there, 60 here; text is only here"):
        load_checkpoint(path, state)
    assert all(torch.equal(one, other) for one, other in zip(before, other.net.parameters(), strict=True))


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 1, Run().state())
    other = Run(width=7)
    rng = torch.get_rng_state()
    with pytest.raises(UsageError, match=r"model/ema/first.bias is \(6,\) torch.float32 there, \(7,\)"):
        load_checkpoint(path, other.state())
    assert torch.equal(rng, torch.get_rng_state())
    half = Run()
    half.net.half()
    with pytest.raises(UsageError, match=r"float32 there, .* torch.float16 here"):
        load_checkpoint(path, half.state())


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    run = Run()
    run.step()
    path = save_checkpoint(tmp_path, 1, run.state())
    run.optimizer = torch.optim.AdamW(run.net.parameters())
    with pytest.raises(UsageError, match=r"groups of \[3, 3\] parameters there, of \[6\] here"):
        load_checkpoint(path, run.state())
    run.optimizer = torch.optim.AdamW(nn.Linear(2, 2).parameters())
    with pytest.raises(UsageError, match="make it after parallelize"):
        save_checkpoint(tmp_path, 2, run.state())


def test_facts_must_be_json(tmp_path: Path) -> None:
    run = Run()
    with pytest.raises(UsageError, match="facts must be JSON"):
        save_checkpoint(tmp_path, 1, TrainingState({"model": Role(run.net)}, {"cursor": object()}))
    assert checkpoints(tmp_path) == []


def test_finished_checkpoints_are_never_replaced(tmp_path: Path) -> None:
    run = Run()
    path = save_checkpoint(tmp_path, 7, run.state())
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    run.step()
    with pytest.raises(UsageError, match="step-000000007 is there already"):
        save_checkpoint(tmp_path, 7, run.state())
    assert before == {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "json"])
def test_damage_is_told(tmp_path: Path, damage: str) -> None:
    run = Run()
    path = save_checkpoint(tmp_path, 1, run.state())
    (file,) = path.glob("*.distcp")
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[:-1])
    elif damage == "gone":
        file.unlink()
    else:
        (path / "state.json").write_text((path / "state.json").read_text()[:-9])
    for read in (lambda: load_checkpoint(path, run.state()), lambda: export_weights(path)):
        with pytest.raises(CheckpointError, match="damaged"):
            read()


def test_no_checkpoint(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") is None
    with pytest.raises(UsageError, match="no checkpoint of ours"):
        read_facts(tmp_path)
    path = save_checkpoint(tmp_path, 0, Run().state())
    told = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(UsageError, match="another version"):
        read_facts(path)


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file stands where the folder should be")
    with pytest.raises(CheckpointError, match="cannot write the checkpoint of step 1"):
        save_checkpoint(tmp_path / "run", 1, Run().state())


def test_what_stays(tmp_path: Path) -> None:
    run = Run()
    (tmp_path / ".unfinished-step-000000001-77-abcd").mkdir()
    (tmp_path / "step-notes").mkdir()
    for step in range(1, 8):
        save_checkpoint(tmp_path, step, run.state(), keep=Retention(last=2, every=3))
    assert [path.name for path in checkpoints(tmp_path)] == [f"step-{step:09d}" for step in (3, 6, 7)]
    assert latest(tmp_path) == tmp_path / "step-000000007"
    assert {path.name for path in tmp_path.iterdir()} - {p.name for p in checkpoints(tmp_path)} == {"step-notes"}
    with pytest.raises(UsageError, match="keep at least"):
        Retention(last=0)


@given(st.sets(st.integers(0, 10**9 - 1), min_size=1), st.integers(1, 5), st.none() | st.integers(1, 7))
def test_the_newest_always_stays(steps: set[int], last: int, every: int | None) -> None:
    kept = Retention(last, every).kept(list(steps))
    assert max(steps) in kept <= steps
    assert len(kept) >= min(last, len(steps))
    assert all(step in kept for step in steps if every and step % every == 0)


_JSON = st.recursive(
    st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.text("ab", max_size=2), inner)
)


@given(_JSON, _JSON)
def test_differences_tell_unequal_from_equal(one: object, other: object) -> None:
    assert bool(differences(one, other)) == (one != other)


SAVES = """
import sys
from pathlib import Path
import torch
from torch import nn
from model.checkpoint import Retention, Role, TrainingState, latest, load_checkpoint, save_checkpoint

folder = Path(sys.argv[1])
net = nn.Linear(2048, 2048)
state = TrainingState({"model": Role(net)}, {}, {"net": "linear"})
step = 0
if (last := latest(folder)) is not None:
    step = load_checkpoint(last, state).step
    assert torch.all(net.weight == step)
while True:
    step += 1
    nn.init.constant_(net.weight, step)
    save_checkpoint(folder, step, state, keep=Retention(last=2))
"""


def kill_in_a_save(folder: Path, after: int, wait: float) -> None:
    """A process that does nothing but save is killed, `wait` seconds into writing something beyond step `after`."""
    environment = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", SAVES, str(folder)], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not any(
            f"step-{step:09d}" in p.name for p in folder.glob(".unfinished-*") for step in (after, after + 1)
        ):
            assert process.poll() is None, "the saving process ended by itself"
            assert time.monotonic() < deadline, "nothing is saved"
            time.sleep(0.001)
        time.sleep(wait)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def survives_kills(folder: Path, waits: list[float]) -> None:
    torn = 0
    net = nn.Linear(2048, 2048)
    for wait in waits:
        last = latest(folder)
        before = read_facts(last).step if last else 0
        kill_in_a_save(folder, before + 2, wait)
        torn += any(folder.glob(".unfinished-*"))
        newest = latest(folder)
        assert newest is not None
        step = load_checkpoint(newest, TrainingState({"model": Role(net)}, {}, {"net": "linear"})).step
        assert step > before
        assert torch.all(net.weight == step)
    assert torn, "no kill came in the middle of a save: choose other waits"


def test_kill_in_a_save_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    tmp_path = tmp_path / "run"
    tmp_path.mkdir()
    survives_kills(tmp_path, [0.003, 0.02])


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="25 kills: make soak")
def test_many_kills(tmp_path: Path) -> None:
    draw = random.Random(1)
    survives_kills(tmp_path, [draw.uniform(0, 0.08) for _ in range(25)])
