"""`glyphmill train pretrain` as a whole: what it leaves, how it goes on after kills and signals, what it refuses."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import training_lakes
from commands import command, here
from once import once
from PIL import Image

from model.checkpoint import checkpoints, export_weights, read_facts
from model.curriculum.load import loads
from model.feed.feed import Feed, FeedSettings
from model.plan.plan import Plan
from model.training.metrics import read_lines
from model.training.presets import model_config
from model.training.run_folder import RunFolder
from warehouse.errors import UsageError
from warehouse.lake import Lake

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
STEPS = 60 if SOAK else 24
EXACT = ("step", "phase", "loss", "loss_by_sigma", "grad_norm", "lr", "samples", "tokens")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lake and VAEs, to be read only."""
    return once(tmp_path_factory, "training-lake", training_lakes.make)


def _arguments(made: Path, run: Path, curriculum: Path, *more: object, vae: str = "vae") -> list[object]:
    return [
        "train", "pretrain", "-c", curriculum, "-L", made / "lake", "--vae", made / vae, "-o", run, "-m", "tiny",
        "--hold-out", "0.1", "--validation-samples", "8", "--log-every", "1", "--no-tensorboard", "--quiet", *more,
    ]  # fmt: skip


def _exact(run: Path) -> list[dict[str, Any]]:
    """What of the metrics must repeat to the bit."""
    return [{name: row[name] for name in EXACT} for row in read_lines(run / "metrics.jsonl")]


@pytest.fixture(scope="module")
def finished(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of six steps and its curriculum, to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    curriculum = training_lakes.curriculum(folder / "c.toml", steps=6)
    more = ("--save-every", 4, "--validate-every", 3, "--sample-every", 6, "--tensorboard", "--micro-tokens", 80)
    said = here(*_arguments(made, folder / "run", curriculum, *more))
    assert said.returncode == 0, said.stderr
    assert "done: 6 of 6 steps" in said.stdout
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The same to be changed: the run and its curriculum."""
    shutil.copytree(finished, tmp_path / "copied")
    return tmp_path / "copied" / "run", finished / "c.toml"


def test_a_run_from_the_lake_to_the_last_checkpoint(made: Path, copied: tuple[Path, Path]) -> None:
    run, curriculum = copied
    rows = read_lines(run / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(6))
    assert {row["samples"] for row in rows} == {6}
    assert rows[0]["lr"] == pytest.approx(1e-3)  # warm-up
    assert [path.name for path in checkpoints(run / "checkpoints")] == ["step-000000004", "step-000000006"]
    validated = read_lines(run / "validation.jsonl")
    assert [(row["step"], row["weights"]) for row in validated] == [(3, "average"), (6, "average")]
    assert 0 < validated[0]["samples"] <= 8
    assert (run / "samples" / "step-000000006.png").stat().st_size > 100
    told = json.loads((run / "samples" / "step-000000006.json").read_text())
    assert all("a square that says" in prompt for prompt in told["prompts"])
    assert any((run / "tensorboard").iterdir())
    identity = json.loads((run / "run.json").read_text())["identity"]
    assert identity == read_facts(run / "checkpoints" / "step-000000006").identity
    before = (run / "metrics.jsonl").read_bytes()
    again = here(*_arguments(made, run, curriculum))
    assert (again.returncode, (run / "metrics.jsonl").read_bytes()) == (0, before)
    assert "done: 6 steps" in again.stdout


def test_what_is_held_out_is_never_trained_on(finished: Path) -> None:
    seen = []
    for folder in ("plan", "held-out"):
        plan = Plan.open(finished / "run" / folder)
        pictures = {sample.target for step in range(plan.steps) for sample in plan.batch(step).samples}
        seen.append({plan.content(picture) for picture in pictures})
    trained, held = seen
    assert held
    assert not held & trained
    names = {row["samples"] for row in read_lines(finished / "run" / "validation.jsonl")}
    assert names == {len(held)}


def test_a_dry_run_tells_the_memory_and_leaves_nothing(made: Path, tmp_path: Path) -> None:
    run, curriculum = tmp_path / "run", training_lakes.curriculum(tmp_path / "c.toml")
    said = here(*_arguments(made, run, curriculum, "--dry-run", "--ac", "2"))
    assert said.returncode == 0, said.stderr
    assert "12 steps, 0 done" in said.stdout
    assert "every-2" in said.stdout
    assert "of memory for 6 x" in said.stdout
    assert not run.exists()
    missing = here(*_arguments(made, run, curriculum, "--resume"))
    assert (missing.returncode, "--resume" in missing.stderr) == (2, True)


def test_another_configuration_is_refused_by_name_and_nothing_is_overwritten(
    made: Path, copied: tuple[Path, Path], tmp_path: Path
) -> None:
    run, curriculum = copied
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    other = training_lakes.curriculum(tmp_path / "other.toml", steps=4)
    wrong = {
        "model.attention_head_dim is 16 there, 32 here": _arguments(made, run, curriculum, "-m", "small"),
        "vae is ": _arguments(made, run, curriculum, vae="other-vae"),
        "precision is 'fp32' there, 'bf16' here": _arguments(made, run, curriculum, "--precision", "bf16"),
        "seed is 0 there, 1 here": _arguments(made, run, curriculum, "--seed", 1),
        "was made of another curriculum": _arguments(made, run, other),
        "tp 2 x fsdp 1 x replicate 1 are 2 ranks, 1": _arguments(made, run, curriculum, "--tp", 2, "--fsdp", 1),
        "is not one of none, every-N": _arguments(made, run, curriculum, "--ac", "some"),
        "no config.json in": _arguments(made, run, curriculum, vae="lake"),
        "is neither a JSON file nor one of tiny, small": _arguments(made, run, curriculum, "-m", "huge"),
    }
    for message, arguments in wrong.items():
        said = here(*arguments)
        assert (said.returncode, message in said.stderr) == (2, True), f"{message}: {said.stderr}"
        assert said.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in before} == before


def test_a_plan_that_was_made_beforehand_means_no_validation_and_that_is_told(made: Path, tmp_path: Path) -> None:
    run, path = tmp_path / "run", training_lakes.curriculum(tmp_path / "c.toml")
    Plan.make(loads(path.read_text()), Lake.open(made / "lake", read_only=True), run / "plan", 0)
    loud = [one for one in _arguments(made, run, path, "--dry-run") if one != "--quiet"]
    said = here(*loud)
    assert (said.returncode, said.stderr.count("no validation: ")) == (0, 1), said.stderr
    assert "made beforehand" in said.stderr
    said = here(*loud, "--hold-out", 0)
    assert (said.returncode, said.stderr.count("no validation")) == (0, 0), said.stderr


def test_a_checkpoint_of_another_network_is_refused(made: Path, copied: tuple[Path, Path]) -> None:
    run, curriculum = copied
    told = json.loads((run / "run.json").read_text())
    told["identity"]["model"] = model_config("small", channels=4, factor=4, width=32).to_dict()
    (run / "run.json").write_text(json.dumps(told))
    shutil.rmtree(run / "checkpoints" / "step-000000006")
    said = here(*_arguments(made, run, curriculum, "-m", "small"))
    assert said.returncode == 2
    assert "checkpoint of another configuration: model.attention_head_dim is 16 there, 32 here" in said.stderr
    (run / "run.json").unlink()
    said = here(*_arguments(made, run, curriculum))
    assert (said.returncode, "has checkpoints and no run.json" in said.stderr) == (2, True)


def test_a_run_begins_with_weights_that_are_there(made: Path, finished: Path, tmp_path: Path) -> None:
    """At a rate of next to nothing they are what they were; the run remembers them when they are gone."""
    weights, run = tmp_path / "weights", tmp_path / "run"
    assert here("model", "export", finished / "run", "--out", weights, "--weights", "model").returncode == 0
    curriculum = training_lakes.curriculum(tmp_path / "c.toml", steps=4, rate=1e-30)
    plain = [one for one in _arguments(made, run, curriculum) if one not in ("-m", "tiny")]
    arguments = [*plain, "--start-from", weights]  # which tells what model it is, and by what encoder
    said = here(*arguments, "-m", "small")
    assert (said.returncode, "are not of --model small: leave --model away" in said.stderr) == (2, True)
    said = here(*arguments, "--until", 2)
    assert said.returncode == 0, said.stderr
    shutil.rmtree(weights / "transformer")
    said = here(*plain)
    assert said.returncode == 0, said.stderr
    before = export_weights(finished / "run" / "checkpoints" / "step-000000006", "model")
    after = export_weights(run / "checkpoints" / "step-000000004", "model")
    assert max((before[name] - after[name]).abs().max().item() for name in before) == 0
    said = here(*_arguments(made, finished / "run", finished / "c.toml", "--start-from", weights))
    assert (said.returncode, "began with drawn weights, not with" in said.stderr) == (2, True)


def test_folders_that_cannot_be_made_and_near_misses_are_told(made: Path, finished: Path, tmp_path: Path) -> None:
    """Each in one line, before anything is planned."""
    curriculum = finished / "c.toml"
    (tmp_path / "trained").mkdir()
    shutil.copytree(made / "vae", tmp_path / "trained" / "vae")
    near = [str(tmp_path / "trained") if one == made / "vae" else one for one in _arguments(made, tmp_path, curriculum)]
    wrong: dict[str, list[object]] = {
        "cannot be made (File exists): name another one": _arguments(made, curriculum, curriculum),
        "/proc/x cannot be made": _arguments(made, Path("/proc/x"), curriculum),
        f"did you mean {tmp_path / 'trained' / 'vae'}?": near,
        "has no checkpoint; leave the option away to begin": _arguments(made, tmp_path / "new", curriculum, "--resume"),
        "take 2 ranks or a multiple, started: 1; torchrun": _arguments(made, tmp_path / "two", curriculum, "--tp", 2),
    }
    for message, arguments in wrong.items():
        said = here(*arguments)
        assert (said.returncode, message in said.stderr) == (2, True), f"{message}: {said.stderr}"
        assert said.stderr.count("\n") == 1, said.stderr
    assert not (tmp_path / "new" / "plan").exists()


def test_a_rate_that_no_phase_would_take_is_refused(made: Path, finished: Path, tmp_path: Path) -> None:
    said = here(*_arguments(made, tmp_path / "run", finished / "c.toml", "--lr", "1e-5"))
    assert (said.returncode, "every phase of test names its learning rate" in said.stderr) == (2, True)


def test_a_folder_in_which_another_process_trains_is_left_alone(made: Path, copied: tuple[Path, Path]) -> None:
    run, curriculum = copied
    with RunFolder(run).alone():
        said = here(*_arguments(made, run, curriculum))
    assert (said.returncode, "another process trains in" in said.stderr) == (2, True)


def test_a_missing_caption_and_an_empty_query_are_told_before_anything_is_written(made: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for below, message in ((training_lakes.COUNT, "has no caption"), (0, "the selection is empty")):
        curriculum = training_lakes.curriculum(tmp_path / "c.toml", below=below)
        said = here(*_arguments(made, run, curriculum))
        assert said.returncode == 2
        assert message in said.stderr
        assert "phase first, source all" in said.stderr
        assert not (run / "plan").exists()


def test_a_loss_that_is_no_number_leaves_the_checkpoints_of_before(made: Path, tmp_path: Path) -> None:
    run, curriculum = tmp_path / "run", training_lakes.curriculum(tmp_path / "c.toml", rate=1e30)
    said = here(*_arguments(made, run, curriculum, "--save-every", 1, "--validate-every", 0, "--sample-every", 0))
    assert said.returncode == 9
    assert "is not finite" in said.stderr
    found = checkpoints(run / "checkpoints")
    (diagnosis,) = (run / "diagnosis").iterdir()
    told = json.loads(diagnosis.read_text())
    assert found[-1].name == f"step-{told['step']:09d}"  # steps before the one that failed
    assert all(len(row["sample"]) == 32 and 0 < row["sigma"] <= 1 for row in told["rows"])
    assert [row["step"] for row in read_lines(run / "metrics.jsonl")] == list(range(told["step"]))


def test_a_recipe_that_changes_is_followed_by_phases_sheets_and_validation(made: Path, tmp_path: Path) -> None:
    run, path = tmp_path / "run", training_lakes.curriculum(tmp_path / "c.toml", steps=12)
    told = [*_arguments(made, run, path, "--validate-every", 2, "--sample-every", 12, "--save-every", 2)]
    assert here(*told, "--until", 2).returncode == 0
    lake = Lake.open(made / "lake", read_only=True)
    changed = path.read_text().replace('name = "first"', 'name = "second"').replace("side = 32", "side = 64")
    other = Plan.make(loads(changed, "other"), lake, tmp_path / "other", 0)
    feed = Feed(run / "feed", FeedSettings())
    for was, is_, message in (
        ("ema = 0.9", "ema = 0.5", r"optimizer\.ema is 0\.9 there, 0\.5 here"),
        ("[optimizer]", "[timesteps]\nmean = 1.0\n[optimizer]", r"timesteps\.mean is 0\.0 there, 1\.0 here"),
        ("steps = 12", "steps = 13", "steps is 12 there, 13 here"),
    ):
        wrong = Plan.make(loads(changed.replace(was, is_), "wrong"), lake, tmp_path / is_.split()[0], 0)
        with pytest.raises(UsageError, match=message):
            feed.change(str(wrong.folder), None, "")
    first = feed.change(str(other.folder), None, "larger").first
    feed.close()
    assert 2 <= first < 10
    loud = [one for one in told if one != "--quiet"]
    assert here(*told, "--until", first + 1).returncode == 0
    said = here(*loud, "--budget-gb", 0.01, "--ahead", 3)
    assert said.returncode == 0, said.stderr
    assert f"feed: at most 0.01 GB of latents in {run / 'feed'}" in said.stderr
    assert said.stderr.count("no validation in phase second") == 1
    phases = [row["phase"] for row in read_lines(run / "metrics.jsonl")]
    assert phases == ["first"] * first + ["second"] * (12 - first)
    assert {row["phase"] for row in read_lines(run / "validation.jsonl")} == {"first"}
    columns = json.loads((run / "samples" / "step-000000012.json").read_text())["columns"]
    with Image.open(run / "samples" / "step-000000012.png") as sheet:
        assert sheet.width >= 64 * columns


class Started:
    """The command as a process of one thread."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def until(self, run: Path, lines: int) -> None:
        """Wait until there are so many lines of metrics, or the process has ended."""
        path = run / "metrics.jsonl"
        while self.process.poll() is None:
            if path.exists() and path.read_bytes().count(b"\n") >= lines:
                return
            time.sleep(0.002)

    def ends(self) -> tuple[int, str]:
        _, stderr = self.process.communicate(timeout=300)
        return self.process.returncode, stderr


@pytest.fixture(scope="module")
def undisturbed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A whole run, and its curriculum."""
    folder = tmp_path_factory.mktemp("undisturbed")
    curriculum = training_lakes.curriculum(folder / "c.toml", steps=STEPS)
    started = Started(*_arguments(made, folder / "run", curriculum, *EVERY))
    assert started.ends()[0] == 0
    return folder / "run", curriculum


EVERY = ("--save-every", 7, "--validate-every", 12, "--sample-every", 0, "--keep", 2)


@pytest.mark.parametrize(
    "kills", [2, pytest.param(10, marks=[pytest.mark.soak, pytest.mark.skipif(not SOAK, reason="make soak")])]
)
def test_stopped_by_a_signal_and_killed_at_any_step_it_goes_on_bit_for_bit(
    made: Path, undisturbed: tuple[Path, Path], tmp_path: Path, kills: int
) -> None:
    whole, curriculum = undisturbed
    run, draw = tmp_path / "run", random.Random(kills)
    arguments = _arguments(made, run, curriculum, *EVERY)
    started = Started(*arguments)
    started.until(run, 4)
    started.process.send_signal(signal.SIGTERM)
    code, said = started.ends()
    assert code == 143
    newest = read_facts(checkpoints(run / "checkpoints")[-1])
    assert f"stopped by SIGTERM after step {newest.step}, which is saved" in said
    assert len(_exact(run)) == newest.step
    for at in sorted(draw.sample(range(9, STEPS), kills)):
        started = Started(*arguments)
        started.until(run, at)
        started.process.send_signal(signal.SIGKILL)
        assert started.ends()[0] == -signal.SIGKILL
    assert Started(*arguments).ends() == (0, "")
    assert _exact(run) == _exact(whole)
    assert len(_exact(run)) == STEPS
    assert (run / "validation.jsonl").read_bytes() == (whole / "validation.jsonl").read_bytes()


@pytest.mark.parametrize(
    "tp", ["1", pytest.param("2", marks=[pytest.mark.soak, pytest.mark.skipif(not SOAK, reason="make soak")])]
)
def test_two_ranks_take_the_same_steps_and_one_goes_on(made: Path, finished: Path, tmp_path: Path, tp: str) -> None:
    run, curriculum = tmp_path / "run", finished / "c.toml"
    arguments = _arguments(made, run, curriculum, "--save-every", 4, "--validate-every", 3, "--sample-every", 0)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    started = subprocess.run(
        [*torchrun, *command(*arguments, "--until", 4, "--tp", tp)[1:]],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert started.returncode == 0, started.stderr[-2000:]
    assert len(read_lines(run / "metrics.jsonl")) == 4
    said = here(*arguments)
    assert said.returncode == 0, said.stderr
    for ours, whole in zip(_exact(run), _exact(finished / "run"), strict=True):
        assert [ours[n] for n in ("step", "samples", "tokens")] == [whole[n] for n in ("step", "samples", "tokens")]
        assert [ours[n] for n in ("loss", "grad_norm")] == pytest.approx(
            [whole[n] for n in ("loss", "grad_norm")], rel=1e-4
        )
