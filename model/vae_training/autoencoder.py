"""`glyphmill train vae`: encoder and decoder from fresh weights, then latents measured, then the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.perceptual import reading_distance
from model.quality import Quality
from model.training.run_folder import RunFolder
from model.vae_base import Vae, VaeConfig
from model.vae_loading import build, identity, load_vae, save_vae
from model.vae_parts import ResidualBlock
from model.vae_training.loop import Course, Progress, run
from model.vae_training.measuring import latent_statistics, quality, reconstruction, sheet
from model.vae_training.pictures import Watching, part, stored
from model.vae_training.settings import VaeTraining
from model.vae_training.source import PictureSource
from warehouse.errors import UsageError
from warehouse.files import replacing

WATCHED = 256  # images that quality is measured on
MEASURED = 4096  # images that latents are measured on


@dataclass(frozen=True)
class Report:
    """`held_out`: whether quality is of images that were not trained on; False where the query has none of those."""

    folder: Path
    steps: int
    images: int
    quality: Quality
    held_out: bool
    identity: str

    def __str__(self) -> str:
        of = "held-out images" if self.held_out else "images it was trained on (too few to hold any out)"
        return f"{self.folder}: {self.steps} steps on {self.images} images; {self.quality} ({of}); VAE {self.identity}"


def train_vae(
    config: VaeConfig,
    settings: VaeTraining,
    source: PictureSource,
    course: Course,
    *,
    progress: Progress | None = None,
) -> Report:
    """Train, or go on where the run in `course.folder` stopped; ends with the folder's `vae/`, which stands only once
    all is done. A run that is done only tells its report. Raises UsageError for settings or a reader that the run
    in the folder was not started with, StoppedBySignal once saved.
    """
    if settings.resolution % config.spatial_factor:
        raise UsageError(f"resolution {settings.resolution} is no multiple of the VAE's {config.spatial_factor} pixels")
    folder = RunFolder(course.folder)
    with folder.alone():
        data = source.training(settings)
        distance = reading_distance(source.reader, course.device) if settings.perceptual else None
        folder.start(
            {
                "kind": "vae",
                "config": config.to_dict(),
                "training": asdict(settings),
                "selection": data.digest,
                "reader": distance.identity if distance else None,
            },
            {"sql": source.sql},
        )
        done = course.folder / "report.json"
        if done.exists() and (course.folder / "vae").exists():
            return told(done, course.folder)
        vae = fresh(config, settings.seed)
        run(vae, data, settings, course, distance=distance, progress=progress)
        vae.eval()
        watched, held_out = watching(source, settings)
        shown = reconstruction(vae, course.device)
        found = quality(shown, watched, settings.batch)
        sheet(course.folder / "reconstructions.png", shown, watched)
        trained_on = part(source.sql, held_out=False)
        every = source.watching(trained_on, side=settings.resolution, view=settings.view, most=MEASURED)
        statistics = latent_statistics(vae, every, settings.batch, course.device)
        vae.config = replace(config, latents_mean=statistics.mean, latents_std=statistics.std)
        save_vae(vae, course.folder / "vae", replace=True)
        report = Report(course.folder / "vae", settings.steps, len(data), found, held_out, identity(vae))
        write_report(done, {**asdict(report), "folder": "vae"})
        return report


def fresh(config: VaeConfig, seed: int) -> Vae:
    """New weights that depend on the seed alone; the process's generator stays as it was. Every residual block starts
    as its shortcut, its last convolution being zero (Zhang, Dauphin & Ma 2019, Fixup, section 3): in a short training
    that is worth about 1 dB."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = build(config)
    for module in vae.modules():
        if isinstance(module, ResidualBlock):
            for parameter in module.conv2.parameters():
                nn.init.zeros_(parameter)
    return vae


def watching(source: PictureSource, settings: VaeTraining) -> tuple[Watching, bool]:
    """Images to measure quality on: those held out or, where the query has none, those trained on; and which."""
    held_out = stored(source.lake, part(source.sql, held_out=True)) > 0
    sql = part(source.sql, held_out=held_out)
    images = source.watching(sql, side=settings.resolution, view=settings.view, most=WATCHED)
    return images, held_out


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def told(path: Path, folder: Path) -> Report:
    """The report of a run that is done. Raises UsageError where its VAE is no longer what it tells of."""
    found = json.loads(path.read_text(encoding="utf-8"))
    report = Report(**{**found, "folder": folder / found["folder"], "quality": Quality(**found["quality"])})
    if identity(load_vae(report.folder)) != report.identity:
        raise UsageError(f"{report.folder} was changed since its training ended: train into another folder")
    return report
