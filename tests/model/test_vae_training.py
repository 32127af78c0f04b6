"""Autoencoders train on a lake's shards, go on exactly, and decoders alone leave encoders as they are."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vae_lakes import GENERAL, SIDE, TEXT, make
from vae_parity import public, shapes

from model.latents import measure
from model.pixels import from_bytes
from model.training.stopping import StoppedBySignal
from model.vae import small
from model.vae_loading import identity, latent_identity, load_vae, save_vae
from model.vae_training.autoencoder import fresh, train_vae
from model.vae_training.decoder import DecoderReport, train_decoder
from model.vae_training.loop import Course, run
from model.vae_training.pictures import HELD_OUT_BELOW, Decode, Training, Watching, cut, part
from model.vae_training.settings import VaeTraining, rate_at
from model.vae_training.source import PictureSource
from warehouse.dataset import Sample
from warehouse.errors import LakeError, UsageError

CONFIG = small(4, dim_mult=(1, 2, 2), z_dim=4)
SETTINGS = VaeTraining(steps=30, batch=8, resolution=SIDE, rate=4e-3, warmup=3)
CLOCKS = ("seconds",)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("vae") / "lake")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def source(lake: Path, cache: Path) -> PictureSource:
    return PictureSource(lake, TEXT, cache=cache)


@pytest.fixture(scope="module")
def trained(source: PictureSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that went undisturbed."""
    folder = tmp_path_factory.mktemp("run") / "run"
    train_vae(CONFIG, SETTINGS, source, Course(folder))
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in CLOCKS} for row in found]


class Killed(Exception):  # noqa: N818
    """What stands for a kill -9."""


def test_it_learns_and_diffusers_opens_what_it_wrote(trained: Path, source: PictureSource) -> None:
    told = rows(trained)
    assert [row["step"] for row in told] == list(range(SETTINGS.steps))
    assert told[-1]["l2"] < 0.6 * told[0]["l2"]
    vae = load_vae(trained / "vae")
    theirs = public("AutoencoderKLQwenImage").from_pretrained(trained / "vae")
    assert shapes(theirs) == shapes(vae)
    assert tuple(theirs.config.latents_mean) == vae.config.latents_mean
    report = json.loads((trained / "report.json").read_text())
    assert report["held_out"] is True
    assert report["identity"] == identity(vae)
    with Image.open(trained / "reconstructions.png") as sheet:
        assert sheet.width == 8 * (SIDE + 2) - 2


def test_latents_of_what_it_was_trained_on_are_normalised(trained: Path, source: PictureSource) -> None:
    vae = load_vae(trained / "vae")
    images = Watching(source.lake, part(TEXT, held_out=False), side=SIDE, most=1000, cache=source.cache)
    found = measure(vae.encode(from_bytes(pictures)) for pictures in images.batches(16))
    assert max(map(abs, found.mean)) < 1e-3
    assert all(abs(std - 1) < 1e-3 for std in found.std)


@pytest.mark.parametrize("killed_at", [5, 12, 29])
def test_a_run_that_was_killed_goes_on_bit_for_bit(
    killed_at: int, trained: Path, source: PictureSource, tmp_path: Path
) -> None:
    course = Course(tmp_path / "run", save_every=4, log_every=1)

    def kill(done: int, total: int, row: dict[str, Any]) -> None:
        if done == killed_at:
            raise Killed

    with pytest.raises(Killed):
        train_vae(CONFIG, SETTINGS, source, course, progress=kill)
    assert not (tmp_path / "run" / "vae").exists()
    train_vae(CONFIG, SETTINGS, source, replace(course, save_every=7, log_every=10))
    assert rows(tmp_path / "run") == rows(trained)
    assert identity(load_vae(tmp_path / "run" / "vae")) == identity(load_vae(trained / "vae"))


def test_sigterm_saves_and_says_so(trained: Path, source: PictureSource, tmp_path: Path) -> None:
    course = Course(tmp_path / "run", save_every=1000, log_every=1)

    def stop(done: int, total: int, row: dict[str, Any]) -> None:
        if done == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedBySignal, match="after step 7") as stopped:
        train_vae(CONFIG, SETTINGS, source, course, progress=stop)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    began: list[int] = []
    train_vae(CONFIG, SETTINGS, source, course, progress=lambda done, total, row: began.append(done))
    assert began[0] == 8
    assert rows(tmp_path / "run") == rows(trained)


def test_a_run_that_is_done_only_tells_and_other_settings_are_refused(trained: Path, source: PictureSource) -> None:
    before = (trained / "metrics.jsonl").read_bytes()
    again = train_vae(CONFIG, SETTINGS, source, Course(trained))
    assert again.identity == identity(load_vae(trained / "vae"))
    assert "held-out" in str(again)
    for config, settings, asked in (
        (CONFIG, replace(SETTINGS, rate=1e-3), source),
        (small(4, dim_mult=(1, 2, 2), z_dim=8), SETTINGS, source),
        (CONFIG, SETTINGS, replace(source, sql=GENERAL)),
    ):
        with pytest.raises(UsageError, match="another configuration"):
            train_vae(config, settings, asked, Course(trained))
    assert (trained / "metrics.jsonl").read_bytes() == before


class Same:
    """The same picture for ever."""

    def __init__(self, value: int) -> None:
        self.value = value

    def batches(self) -> Iterator[torch.Tensor]:
        while True:
            yield torch.full((2, 3, SIDE, SIDE), self.value, dtype=torch.uint8)

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        assert state == {}


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing_of_it(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=8, perceptual=1.0)
    course = Course(tmp_path, save_every=2, log_every=100)
    taken: list[int] = []

    def breaks(shown: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        taken.append(1)
        return shown.mean() * (float("nan") if len(taken) == 4 else 1.0)

    with pytest.raises(UsageError, match="step 3 is not finite"):
        run(fresh(CONFIG, 0), Same(7), settings, course, distance=breaks)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 2
    assert all(bool(value.isfinite().all()) for value in state["weights"].values())


def test_a_state_of_another_network_or_none_at_all_is_refused(tmp_path: Path) -> None:
    course = Course(tmp_path)
    run(fresh(CONFIG, 0), Same(7), replace(SETTINGS, steps=1), course)
    with pytest.raises(UsageError, match="another network"):
        run(fresh(small(4, dim_mult=(1, 2, 2), z_dim=8), 0), Same(7), SETTINGS, course)
    (tmp_path / "state.pt").write_bytes(b"no state")
    with pytest.raises(UsageError, match="cannot be read"):
        run(fresh(CONFIG, 0), Same(7), SETTINGS, course)


def test_a_decoder_alone_improves_and_the_encoder_stays_to_the_bit(source: PictureSource, tmp_path: Path) -> None:
    settings = VaeTraining(steps=20, batch=8, resolution=SIDE, view="crop", rate=4e-3, warmup=2, kl=0.0)
    before = fresh(CONFIG, 0)
    save_vae(before, tmp_path / "vae")

    def train() -> DecoderReport:
        course = Course(tmp_path / "run")
        return train_decoder(tmp_path / "vae", settings, source, course, general_sql=GENERAL, judged_at=SIDE)

    done = train()
    after = load_vae(tmp_path / "run" / "vae")
    for name, value in before.state_dict().items():
        if name.startswith(("encoder.", "quant_conv.")):
            assert torch.equal(value, after.state_dict()[name]), name
    assert latent_identity(after) == latent_identity(before)
    assert identity(after) != identity(before)
    assert identity(load_vae(tmp_path / "vae")) == identity(before)
    assert done.text.after.psnr > done.text.before.psnr + 2
    assert done.general is not None
    assert done.general.before.count == 20
    assert done.general.before != done.general.after
    assert str(train()) == str(done)


def test_no_image_is_both_trained_on_and_held_out(lake: Path, cache: Path) -> None:
    everything = Watching(lake, TEXT, side=SIDE, most=1000, cache=cache)
    apart = Watching(lake, part(TEXT, held_out=True), side=SIDE, most=1000, cache=cache)
    data = Training(lake, TEXT, batch=4, side=SIDE, view="fit", seed=0, cache=cache)
    assert 0 < len(apart) < 20
    assert len(apart) + len(data) == len(everything) == 125
    few = Watching(lake, TEXT, side=SIDE, most=10, cache=cache)
    assert len(few) == 10
    assert few.chosen[0] == 0
    assert few.chosen[-1] > 100  # spread over all
    assert [len(batch) for batch in few.batches(4)] == [4, 4, 2]


def test_too_few_images_to_hold_any_out_are_judged_by_what_was_trained_on(
    source: PictureSource, tmp_path: Path
) -> None:
    few = f"SELECT image_id FROM ({TEXT}) WHERE right(image_id, 2) >= '05' ORDER BY image_id LIMIT 8"
    done = train_vae(CONFIG, replace(SETTINGS, steps=1), replace(source, sql=few), Course(tmp_path / "run"))
    assert not done.held_out
    assert "too few to hold any out" in str(done)
    assert done.quality.count == 8


def test_crops_repeat_by_seed_and_differ_by_epoch(lake: Path, cache: Path) -> None:
    def first(seed: int, epochs: int) -> list[torch.Tensor]:
        data = Training(lake, GENERAL, batch=19 - 19 % 2, side=24, view="crop", seed=seed, cache=cache)
        made = data.batches()
        return [next(made) for _ in range(epochs)]

    one, same = first(1, 2), first(1, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], one[1])
    assert one[0].shape[1:] == (3, 24, 24)
    assert one[0].is_contiguous(memory_format=torch.channels_last)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_cuts_lie_within(height: int, width: int, across: float, down: float) -> None:
    side = min(height, width)
    picture = np.arange(height * width * 3).reshape(height, width, 3).astype(np.uint8)
    assert cut(picture, side, across, down).shape == (side, side, 3)


def test_small_pictures_are_enlarged_for_crops_and_turned_ones_are_upright() -> None:
    picture = Image.new("RGB", (60, 20), "white")
    picture.paste((0, 0, 0), (0, 0, 30, 20))  # the left half is dark
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: left becomes top
    picture.save(buffer, "PNG", exif=exif)
    sample = Sample("0" * 32, buffer.getvalue(), None, "1:1", 0)
    upright = Decode(40, "crop")(sample)
    assert upright.shape == (120, 40, 3)
    assert upright[:50].mean() < 10 < 245 < upright[-50:].mean()
    assert Decode(40, "fit")(sample).shape == (40, 40, 3)
    with pytest.raises(LakeError, match="00000 cannot be decoded"):
        Decode(8, "crop")(sample._replace(data=b"nothing"))


def test_the_rate_rises_then_falls_to_its_last_share() -> None:
    settings = VaeTraining(steps=100, warmup=10, rate=1e-2, last_rate=0.1)
    rates = [rate_at(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(1e-3)
    assert max(rates) <= 1e-2
    assert rates[-1] == pytest.approx(1e-3)
    assert all(a >= b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": 0}, "at least 1"),
        ({"rate": 0.0}, "learning rate"),
        ({"kl": -1.0}, "negative"),
        ({"l1": 0.0, "l2": 0.0}, "positive"),
        ({"view": "turn"}, "fit, crop"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        replace(SETTINGS, **changes)


def test_what_cannot_be_trained_on_is_refused(source: PictureSource, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multiple of the VAE's 4 pixels"):
        train_vae(CONFIG, replace(SETTINGS, resolution=30), source, Course(tmp_path / "a"))
    with pytest.raises(UsageError, match="no bucket fills a batch"):
        train_vae(CONFIG, replace(SETTINGS, batch=4000), source, Course(tmp_path / "b"))
    with pytest.raises(UsageError, match="query is empty"):
        train_vae(CONFIG, SETTINGS, replace(source, sql=" ; "), Course(tmp_path / "c"))
    with pytest.raises(UsageError, match="needs a reader"):
        train_vae(CONFIG, replace(SETTINGS, perceptual=1.0), source, Course(tmp_path / "d"))
    assert HELD_OUT_BELOW == "05"
    save_vae(fresh(CONFIG, 0), tmp_path / "vae")
    with pytest.raises(UsageError, match="judged at 30"):
        train_decoder(tmp_path / "vae", SETTINGS, source, Course(tmp_path / "e"), judged_at=30)
