"""Any autoencoder beside ours, and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner
from vae_lakes import GENERAL, SIDE, TEXT, make
from vae_parity import public, random_vae, seeded

from model.commands.train_vae import app
from model.vae import small
from model.vae_loading import OURS, load_vae, save_vae
from model.vae_residual import small_residual
from model.vae_subject import names, open_subject
from warehouse.errors import UsageError


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("table") / "lake")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Autoencoders of three families."""
    root = tmp_path_factory.mktemp("vaes")
    save_vae(random_vae(small(4)), root / "ours")
    save_vae(random_vae(small_residual(4, z_dim=8, dim_mult=(1, 2, 2))), root / "residual")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    with seeded(0):
        other = public("AutoencoderKL")(**blocks, block_out_channels=(4, 8), norm_num_groups=4, latent_channels=4)
    other.save_pretrained(root / "other")
    with seeded(0):
        tiny = public("AutoencoderTiny")(
            encoder_block_out_channels=(4, 4), decoder_block_out_channels=(4, 4),
            num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), latent_channels=4,
        )  # fmt: skip
    tiny.save_pretrained(root / "tiny")
    return {name: root / name for name in ("ours", "residual", "other", "tiny")}


def test_folders_are_called_by_what_tells_them_apart() -> None:
    assert names([Path("/runs/a/vae"), Path("/runs/b/vae"), Path("/other/b/vae"), Path("/tuned")]) == [
        "a/vae", "runs/b/vae", "other/b/vae", "tuned",
    ]  # fmt: skip
    assert names([Path("/runs/vae"), Path("/runs/vae")]) == ["vae", "vae"]  # one and the same


def test_others_are_run_by_diffusers_and_told_by_what_they_do(folders: dict[str, Path]) -> None:
    pictures = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    told = {name: open_subject(folder) for name, folder in folders.items()}
    assert {name: (s.factor, s.channels) for name, s in told.items()} == {
        "ours": (8, 16), "residual": (4, 8), "other": (2, 4), "tiny": (2, 4),
    }  # fmt: skip
    for subject in told.values():
        back = subject.reconstruct(pictures)
        assert back.dtype == torch.uint8
        assert back.shape == pictures.shape
    other = told["other"]
    assert other.class_name == "AutoencoderKL"
    assert other.total.encoder + other.total.decoder == sum(
        p.numel() for p in public("AutoencoderKL").from_pretrained(folders["other"]).parameters()
    )
    assert other.effective.encoder > 0.9 * other.total.encoder  # nothing of it is for video


def test_ours_run_by_diffusers_gives_the_same_figures(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    ours = open_subject(folders["ours"])
    monkeypatch.setattr("model.vae_subject.OURS", ())
    theirs = open_subject(folders["ours"])
    assert (theirs.factor, theirs.channels, theirs.total) == (ours.factor, ours.channels, ours.total)
    # by gradients there, by knowing the layers here
    assert theirs.effective.encoder == pytest.approx(ours.effective.encoder, rel=0.01)
    assert theirs.effective.decoder == pytest.approx(ours.effective.decoder, rel=0.01)
    apart = (theirs.reconstruct(pictures).int() - ours.reconstruct(pictures).int()).abs()
    assert int(apart.max()) <= 1  # where rounding may fall either way
    assert len(OURS) == 2


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_the_table(folders: dict[str, Path], lake: Path, tmp_path: Path) -> None:
    common = ("--lake", lake, "--resolution", SIDE, "--most", 6, "--cache", tmp_path, "--quiet", "--threads", 1)
    vaes = [part for folder in folders.values() for part in ("--vae", folder)]
    shown = run("vae-table", *vaes, *common, "--text-sql", TEXT, "--general-sql", GENERAL)
    lines = shown.strip().splitlines()
    assert len(lines) == 2 + len(folders)
    assert len({len(line) for line in lines}) == 1
    assert "| f4 " in lines[3]
    told = json.loads(run("vae-table", *vaes, *common, "--text-sql", TEXT, "--json"))
    assert [row["name"] for row in told] == list(folders)
    assert all(row["general"] is None and row["text"]["count"] == 6 for row in told)


def test_what_cannot_stand_in_the_table_is_refused(folders: dict[str, Path], lake: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["vae-table", "--vae", str(folders["ours"]), "--lake", str(lake)])
    assert isinstance(done.exception, UsageError)
    (tmp_path / "config.json").write_text('{"_class_name": "NoSuchAutoencoder"}')
    with pytest.raises(UsageError, match="NoSuchAutoencoder"):
        open_subject(tmp_path)
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(UsageError, match="cannot be loaded"):
        open_subject(tmp_path)


def test_the_commands_in_a_row(lake: Path, tmp_path: Path) -> None:
    common = ("--lake", lake, "--threads", 1, "--cache", tmp_path / "cache", "--quiet")
    small_one = ("--resolution", SIDE, "--steps", 3, "--batch", 4)
    dry = run("vae", *common, "--out", tmp_path / "run", "--dry-run", "--factor", 16, "--width", 96, "--blocks", 2)
    assert "f16c64, 78," in dry
    assert not (tmp_path / "run").exists()
    done = run("vae", *common, "--out", tmp_path / "run", "--sql", TEXT, *small_one, "--width", 4)
    assert "3 steps on 12" in done
    assert load_vae(tmp_path / "run" / "vae").config.base_dim == 4
    again = run(
        "vae", *common, "--out", tmp_path / "again", "--sql", TEXT, *small_one, "--config", tmp_path / "run" / "vae"
    )
    assert "held-out" in again
    assert "reads 5 characters" in run("vae-reader", *common, "--out", tmp_path / "reader", "--sql", TEXT, "--steps", 3)
    decoder = run(
        "vae-decoder", "--vae", tmp_path / "run" / "vae", *common, "--out", tmp_path / "decoder", "--sql", TEXT,
        *small_one, "--general-sql", GENERAL, "--judged-at", SIDE, "--perceptual", 0.1, "--reader", tmp_path / "reader",
    )  # fmt: skip
    assert "text     PSNR" in decoder
    assert "general  PSNR" in decoder
