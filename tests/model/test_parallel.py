"""Tensor parallelism, FSDP2 and both against one process, on four gloo ranks that are started once for all tests; and
checkpoints that cross from one layout to another. The same under torchrun, and in more layouts, is soak."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from parallel_worker import Job, make_model, tiny  # noqa: E402

from model.checkpoint import export_weights  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.parallel_config import ParallelConfig  # noqa: E402
from model.parallelize import parallelize  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
SECONDS = 300  # on a machine that eight share; a hang ends in an error
Seen = dict[str, dict[str, Any]]

ONE = Job("one")
LAYOUTS = [
    Job("tp2", tp=2),
    Job("tp4", tp=4),
    Job("fsdp2", fsdp=2),
    Job("tp2-fsdp2", tp=2, fsdp=2, save=10),
]
SWIGLU = Job("one-swiglu", mlp="swiglu", steps=2)
VARIANTS = [
    replace(SWIGLU, name="whole-modulation", tp=2, modulation="replicated", ac="full"),
    replace(SWIGLU, name="hybrid", fsdp=2, replicate=2, ac="every-2"),
    replace(SWIGLU, name="selective", tp=2, ac="selective"),
]
SINGLE = Job("one-fp32", dtype="fp32", steps=5)
SINGLES = [replace(SINGLE, name=f"{job.name}-fp32", tp=job.tp, fsdp=job.fsdp) for job in LAYOUTS]
QUICK = [job for job in SINGLES if job.layout.world == 2]
RESUMED = [
    Job("again", tp=2, fsdp=2, steps=14),
    Job("on-fsdp2", fsdp=2, steps=14),
    Job("on-tp2", tp=2, steps=14),
    Job("on-one", steps=14),
]


def run(folder: Path, jobs: list[Job], launcher: Sequence[str] = ()) -> Seen:
    """What rank 0 noted of each job."""
    folder.mkdir()
    (folder / "jobs.json").write_text(json.dumps([asdict(job) for job in jobs]))
    worker = Path(__file__).with_name("parallel_worker.py")
    environment = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *launcher, str(worker), str(folder)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said = process.communicate(timeout=SECONDS)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said = "it hung\n" + process.communicate()[0].decode(errors="replace")
    errors = [path.read_text() for path in sorted(folder.glob("error-*"))]
    assert process.returncode == 0, "\n".join([*errors, said[-3000:]])
    return {job.name: json.loads((folder / f"{job.name}.json").read_text()) for job in jobs}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parallel")


@pytest.fixture(scope="module")
def seen(folder: Path) -> Seen:
    runs, checkpoint = folder / "run", folder / "run" / "step-000000010"
    jobs = [ONE, *(replace(job, folder=str(runs)) for job in LAYOUTS), SWIGLU, *VARIANTS, SINGLE, *QUICK]
    return run(folder / "jobs", [*jobs, *(replace(job, resume=str(checkpoint)) for job in RESUMED)])


def gap(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def norms_gap(one: list[dict[str, float]], other: list[dict[str, float]]) -> float:
    assert [norms.keys() for norms in one] == [norms.keys() for norms in other]
    return max(abs(a[name] - b[name]) for a, b in zip(one, other, strict=True) for name in a)


@pytest.mark.parametrize("name", [job.name for job in LAYOUTS])
def test_every_layout_is_the_single_process(seen: Seen, name: str) -> None:
    one, other = seen["one"], seen[name]
    assert len(other["losses"]) == 20
    assert one["losses"][-1] < 0.7 * one["losses"][0]  # it does train
    assert gap(one["losses"], other["losses"]) < 1e-9
    assert norms_gap(one["norms"], other["norms"]) < 1e-9
    assert gap(one["clipped"], other["clipped"]) < 1e-9
    assert gap(one["looks"], other["looks"]) < 1e-9
    for key in ("weights", "average"):
        assert all(gap(weight, other[key][n]) < 1e-9 for n, weight in one[key].items())


@pytest.mark.parametrize("name", [job.name for job in VARIANTS])
def test_whole_modulation_hybrid_sharding_and_forgetting_change_nothing(seen: Seen, name: str) -> None:
    one, other = seen["one-swiglu"], seen[name]
    assert gap(one["losses"], other["losses"]) < 1e-9
    assert norms_gap(one["norms"], other["norms"]) < 1e-9


@pytest.mark.parametrize("name", [job.name for job in QUICK])
def test_single_precision_stays_close(seen: Seen, name: str) -> None:
    one, other = seen["one-fp32"], seen[name]
    assert norms_gap(one["norms"][:1], other["norms"][:1]) < 1e-5
    assert gap(one["losses"], other["losses"]) < 1e-4


def test_what_has_no_gradient_has_none_anywhere(seen: Seen) -> None:
    for name in ("one", *(job.name for job in LAYOUTS)):
        assert seen[name]["without"] == sorted(MMDiT(tiny("gelu")).idle_parameters())


def test_the_optimizer_is_shared_out(seen: Seen) -> None:
    (alone,) = seen["one"]["moments"]
    assert max(seen["fsdp2"]["moments"]) < 0.51 * alone
    assert max(seen["tp2"]["moments"]) < 0.65 * alone  # what stands around the blocks is whole on each rank
    assert max(seen["tp2-fsdp2"]["moments"]) < 0.35 * alone


def test_the_same_layout_goes_on_to_the_bit(seen: Seen) -> None:
    before, after = seen["tp2-fsdp2"], seen["again"]
    for key in ("losses", "norms", "clipped"):
        assert before[key][10:14] == after[key], key
    assert [drawn[10:14] for drawn in before["drawn"]] == after["drawn"]  # each rank has a course of its own


@pytest.mark.parametrize("name", ["on-fsdp2", "on-tp2", "on-one"])
def test_checkpoints_cross_layouts(seen: Seen, name: str) -> None:
    assert len(seen[name]["losses"]) == 4
    assert gap(seen["one"]["losses"][10:14], seen[name]["losses"]) < 1e-9
    assert norms_gap(seen["one"]["norms"][10:14], seen[name]["norms"]) < 1e-9


def test_a_step_saved_twice_is_refused_on_every_rank(seen: Seen) -> None:
    told = seen["tp2-fsdp2"]["refused"]
    assert len(told) == 4
    assert all("step-000000010 is there already" in line for line in told)


def test_whole_weights_come_out_of_shards(seen: Seen, folder: Path) -> None:
    weights = export_weights(folder / "run" / "step-000000010")
    model = make_model(ONE)
    assert {name: w.shape for name, w in weights.items()} == {n: p.shape for n, p in model.named_parameters()}
    model.load_state_dict(weights)


def test_heads_that_cannot_be_split_are_told() -> None:
    with pytest.raises(UsageError, match="tp 3 does not divide the 4 attention heads"):
        parallelize(make_model(ONE), ParallelConfig(tp=3))


def test_what_torch_cannot_compile_is_told() -> None:
    with pytest.raises(UsageError, match="leave --compile or --tp away"):
        parallelize(make_model(ONE), ParallelConfig(tp=2, fsdp=2), compile_blocks=True)


def test_ranks_that_were_not_started_are_told() -> None:
    with pytest.raises(UsageError, match=r"1 ranks were started, but tp 2 .* torchrun --nproc-per-node 2"):
        parallelize(make_model(ONE), ParallelConfig(tp=2))


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="eleven trainings under torchrun: make soak")
def test_torchrun_starts_it_too(folder: Path) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4")
    forgetful = [replace(job, name=f"{job.name}-full", ac="full", save=None) for job in LAYOUTS]
    long = [replace(job, steps=20) for job in (SINGLE, *SINGLES)]
    seen = run(folder / "soak", [ONE, *forgetful, *long], torchrun)
    for job in forgetful:
        assert gap(seen["one"]["losses"], seen[job.name]["losses"]) < 1e-9
        assert norms_gap(seen["one"]["norms"], seen[job.name]["norms"]) < 1e-9
    for job in SINGLES:
        assert norms_gap(seen["one-fp32"]["norms"][:1], seen[job.name]["norms"][:1]) < 1e-5
        assert gap(seen["one-fp32"]["losses"], seen[job.name]["losses"]) < 1e-4
