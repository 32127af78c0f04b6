"""A run with a perceptual loss goes on with the reader it began with, and with no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from vae_lakes import SIDE, TEXT, make

from model.perceptual import reading_distance
from model.reader import Reader, ReaderConfig, load_reader, reader_identity, save_reader
from model.vae import small
from model.vae_loading import save_vae
from model.vae_training.autoencoder import fresh, train_vae
from model.vae_training.decoder import train_decoder
from model.vae_training.loop import Course
from model.vae_training.settings import VaeTraining
from model.vae_training.source import PictureSource
from warehouse.errors import UsageError

CONFIG = small(4, dim_mult=(1, 2, 2), z_dim=4)
SETTINGS = VaeTraining(steps=1, batch=4, resolution=SIDE, perceptual=0.1)


def _reader(folder: Path, seed: int, characters: str = "AB") -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_reader(Reader(ReaderConfig(characters, (4, 8))), folder)
    return folder


def test_readers_are_told_apart_by_weights_and_characters(tmp_path: Path) -> None:
    one, other, third = _reader(tmp_path / "a", 0), _reader(tmp_path / "b", 1), _reader(tmp_path / "c", 0, "AC")
    assert reader_identity(load_reader(one)) == reading_distance(one, "cpu").identity
    assert len({reader_identity(load_reader(folder)) for folder in (one, other, third)}) == 3


def test_another_reader_than_the_runs_is_refused_by_name(tmp_path: Path) -> None:
    one, other = _reader(tmp_path / "a", 0), _reader(tmp_path / "b", 1)
    source = PictureSource(make(tmp_path / "lake"), TEXT, cache=tmp_path / "cache", reader=one)
    train_vae(CONFIG, SETTINGS, source, Course(tmp_path / "vae"))
    with pytest.raises(UsageError, match=f"reader is '{reading_distance(one, 'cpu').identity}' there"):
        train_vae(CONFIG, SETTINGS, replace(source, reader=other), Course(tmp_path / "vae"))
    save_vae(fresh(CONFIG, 0), tmp_path / "start")
    settings = replace(SETTINGS, kl=0.0)
    train_decoder(tmp_path / "start", settings, source, Course(tmp_path / "decoder"), judged_at=SIDE)
    with pytest.raises(UsageError, match="reader is '"):
        train_decoder(
            tmp_path / "start", settings, replace(source, reader=other), Course(tmp_path / "decoder"), judged_at=SIDE
        )
