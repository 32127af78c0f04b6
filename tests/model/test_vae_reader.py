"""The small reader: what it is trained on, that it reads, and that the distance it gives is about writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from vae_lakes import GENERAL, LETTERS, TEXT, letter, make

from model.perceptual import ReadingDistance, reading_distance
from model.pixels import from_bytes
from model.reader import Reader, ReaderConfig, load_reader, save_reader
from model.vae_training.characters import bounds, gather, square
from model.vae_training.reading import ReaderTraining, train_reader
from warehouse.errors import UsageError


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("reader") / "lake")


@pytest.fixture(scope="module")
def reader(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "reader"
    found = gather(lake, TEXT, most=1000, cache=folder.parent / "cache")
    report = train_reader(found, ReaderTraining(steps=60, batch=32), folder)
    assert report.characters == len(LETTERS)
    assert report.trained + report.tested == 125
    assert report.right is not None
    assert report.right > 0.8  # a fifth by chance
    return folder


def pixels(character: str, dx: int = 0, dy: int = 0) -> torch.Tensor:
    picture, box = letter(character, dx, dy)
    cut = square(np.asarray(picture), box)
    return from_bytes(torch.from_numpy(cut.copy()).permute(2, 0, 1)[None])


def test_characters_are_cut_out_where_the_truth_says(lake: Path, tmp_path: Path) -> None:
    found = gather(lake, TEXT, most=1000, cache=tmp_path)
    assert found.alphabet == "".join(sorted(LETTERS))
    assert found.squares.shape == (125, 3, 32, 32)
    assert 0 < int(found.held_out.sum()) < 20
    ink = (found.squares < 128).float().mean((1, 2, 3))
    assert bool((ink > 0.05).all())
    # the same letter, wherever it stood in its picture, gives much the same square
    same = found.squares[found.kinds == 0].float()
    other = found.squares[found.kinds == 1].float()
    assert (same - same.mean(0)).abs().mean() < 0.3 * (same.mean(0) - other.mean(0)).abs().mean()


def test_it_reads_after_it_was_stored(reader: Path) -> None:
    loaded = load_reader(reader)
    assert loaded.read(torch.cat([pixels(c, 1, -1) for c in LETTERS])) == list(LETTERS)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_another_letter_is_further_away_than_a_change_of_tone_of_the_same_size(reader: Path) -> None:
    distance = reading_distance(reader, "cpu")
    true = pixels("E")
    wrong = pixels("H")
    size = (wrong - true).square().mean().sqrt()
    toned = (true - size).clamp(-1, 1)  # as far away in squared error, or nearly: everything a little darker
    assert float(distance(true, true)) < 1e-6
    assert float(distance(wrong, true)) > 2 * float(distance(toned, true)) > 0


def test_its_gradient_leads_back_to_the_letter(reader: Path) -> None:
    distance = ReadingDistance(load_reader(reader))
    true = pixels("T")
    shown = pixels("A").requires_grad_()
    before = float(distance(shown, true).detach())
    for _ in range(20):
        loss = distance(shown, true)
        (gradient,) = torch.autograd.grad(loss, shown)
        shown = (shown - 0.5 * gradient / gradient.abs().max()).detach().clamp(-1, 1).requires_grad_()
    assert float(distance(shown, true).detach()) < 0.7 * before
    assert all(parameter.grad is None for parameter in distance.reader.parameters())


def test_features_are_of_any_size_and_scale() -> None:
    reader = Reader(ReaderConfig("AB", (4, 8, 16)))
    shapes = [tuple(f.shape[1:]) for f in reader.features(torch.zeros(2, 3, 40, 64))]
    assert shapes == [(4, 40, 64), (8, 20, 32), (16, 10, 16)]


def test_squares_at_an_edge_repeat_it() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:, :5] = 200
    assert square(picture, (0.0, 0.0, 10.0, 10.0))[:, 0].min() > 150
    assert bounds([1, 2, 9, 3, 8, 12, 0, 11]) == (0, 2, 9, 12)


def test_what_cannot_be_made_or_read_is_refused(lake: Path, reader: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no drawn text"):
        gather(lake, GENERAL, most=10, cache=tmp_path)
    found = gather(lake, TEXT, most=50, cache=tmp_path)
    with pytest.raises(UsageError, match="holds a reader already"):
        train_reader(found, ReaderTraining(steps=1), reader)
    with pytest.raises(UsageError, match="vae-reader"):
        load_reader(tmp_path / "nowhere")
    save_reader(Reader(ReaderConfig("AB")), tmp_path / "reader")
    (tmp_path / "reader" / "reader.json").write_text('{"characters": "ABC", "widths": [16, 32, 64, 96]}')
    with pytest.raises(UsageError, match="no reader"):
        load_reader(tmp_path / "reader")
    with pytest.raises(UsageError, match="each once"):
        ReaderConfig("AA")
