"""Weights to begin with: what a run remembers of them, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tiny_training import CONFIG, tiny_model  # noqa: E402

from model.layout import save_mmdit  # noqa: E402
from model.training.run_folder import RunFolder  # noqa: E402
from model.training.start import START, find_start  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_mmdit(tiny_model(), tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def _begin(run: RunFolder, place: Path) -> str:
    """As the command does it; gives the digest."""
    start = find_start(place, run)
    assert start is not None
    identity = {"model": start.config.to_dict(), START: start.digest}
    run.start(identity, {START: str(place.resolve()), "text": "somewhere"})
    return start.digest


def test_nothing_asked_for_is_nothing(run: RunFolder) -> None:
    assert find_start(None, run) is None


def test_content_decides_and_not_the_place(run: RunFolder, weights: Path, tmp_path: Path) -> None:
    digest = _begin(run, weights)
    weights.rename(tmp_path / "moved")
    moved = find_start(tmp_path / "moved", run)
    assert moved is not None
    assert (moved.digest, moved.config) == (digest, CONFIG)
    with pytest.raises(UsageError, match="there is no"):
        find_start(None, run)  # gone, and no checkpoint that would do without
    save_mmdit(tiny_model(seed=1), weights)
    with pytest.raises(UsageError, match="began with other weights than those that are in"):
        find_start(weights, run)


def test_a_run_with_a_checkpoint_does_without_them(run: RunFolder, weights: Path) -> None:
    digest = _begin(run, weights)
    (run.checkpoints / "step-000000002").mkdir(parents=True)
    (run.checkpoints / "step-000000002" / "state.json").write_text("{}")
    (weights / "config.json").unlink()
    for place in (None, weights, weights / "nowhere"):
        found = find_start(place, run)
        assert found is not None
        assert (found.digest, found.config, found.text) == (digest, CONFIG, Path("somewhere"))


def test_a_run_that_drew_its_weights_and_a_run_instead_of_weights(run: RunFolder, weights: Path) -> None:
    run.start({"model": CONFIG.to_dict()}, {})
    with pytest.raises(UsageError, match="began with drawn weights, not with"):
        find_start(weights, run)
    with pytest.raises(UsageError, match="is a run: `glyphmill model export"):
        find_start(run.path, RunFolder(run.path.parent / "new"))


def test_a_file_needs_the_configuration_that_its_shapes_do_not_tell(run: RunFolder, weights: Path) -> None:
    (file,) = weights.glob("*.safetensors")
    with pytest.raises(UsageError, match="give its configuration"):
        find_start(file, run)
    found = find_start(file, run, CONFIG)
    assert found is not None
    assert (found.config, found.text) == (CONFIG, None)


def test_halves_are_read_as_they_are(run: RunFolder, tmp_path: Path) -> None:
    save_mmdit(tiny_model().bfloat16(), tmp_path / "half")
    found = find_start(tmp_path / "half", run)
    assert found is not None
    assert found.config == CONFIG
