"""The demo corpus is what it says: seeded, whole, and as broken as it claims."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from pipelines.demo import PHOTOS, _open, make_corpus
from warehouse.errors import UsageError


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    counts = make_corpus(folder)
    assert 250 <= sum(counts.values()) <= 350
    return folder


def test_same_seed_same_files(corpus: Path, tmp_path: Path) -> None:
    make_corpus(tmp_path / "again")
    assert _digest(tmp_path / "again") == _digest(corpus)


def test_photographs_are_real(corpus: Path) -> None:
    for path in PHOTOS:
        assert min(_open(path).size) >= 300


def test_bomb_is_small_on_disk_and_huge_decoded(corpus: Path) -> None:
    bomb = corpus / "broken" / "bomb.png"
    assert bomb.stat().st_size < 200_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(bomb)


def test_refuses_a_folder_that_holds_something(corpus: Path) -> None:
    with pytest.raises(UsageError, match="not empty"):
        make_corpus(corpus)
