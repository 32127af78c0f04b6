"""`glyphmill train vae-decoder`: the decoder on text-rich images, the encoder frozen and the same bits afterwards.

So the latent space stays what it was: what was encoded before is decoded by either decoder. The folder that was named
keeps its own, which decodes video as well where its weights do (Qwen-Image: one encoder, two decoders).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from model.perceptual import reading_distance
from model.quality import Quality
from model.training.run_folder import RunFolder
from model.vae_base import Vae
from model.vae_loading import identity, latent_identity, load_vae, save_vae
from model.vae_training.autoencoder import WATCHED, write_report
from model.vae_training.loop import Course, Progress, run
from model.vae_training.measuring import quality, reconstruction, sheet
from model.vae_training.pictures import Watching, part, stored
from model.vae_training.settings import VaeTraining
from model.vae_training.source import PictureSource
from warehouse.errors import UsageError


@dataclass(frozen=True)
class Judged:
    """Before and after, of one kind of images."""

    before: Quality
    after: Quality

    def __str__(self) -> str:
        return (
            f"PSNR {self.before.psnr:.2f} -> {self.after.psnr:.2f} dB, SSIM {self.before.ssim:.4f} -> "
            f"{self.after.ssim:.4f}, {self.after.count} images"
        )


@dataclass(frozen=True)
class DecoderReport:
    """`general`: None where no query for general images was given."""

    folder: Path
    steps: int
    text: Judged
    general: Judged | None
    identity: str

    def __str__(self) -> str:
        lines = [f"{self.folder}: decoder trained {self.steps} steps, encoder as it was; VAE {self.identity}"]
        lines.append(f"  text     {self.text}")
        if self.general is not None:
            lines.append(f"  general  {self.general}")
        return "\n".join(lines)


def train_decoder(
    vae_folder: Path,
    settings: VaeTraining,
    source: PictureSource,
    course: Course,
    *,
    general_sql: str | None = None,
    judged_at: int = 256,
    progress: Progress | None = None,
) -> DecoderReport:
    """Train, or go on where the run in `course.folder` stopped; ends with the folder's `vae/`. `source.sql` gives the
    text-rich images; of them some are held out, and with those of `general_sql` quality is measured before and after,
    in squares of `judged_at` pixels.

    Raises UsageError for settings or a reader that the run was not started with, StoppedBySignal once saved.
    """
    vae = load_vae(vae_folder)
    for size, what in ((settings.resolution, "resolution"), (judged_at, "judged at")):
        if size % vae.config.spatial_factor:
            raise UsageError(f"{what} {size} is no multiple of the VAE's {vae.config.spatial_factor} pixels")
    folder = RunFolder(course.folder)
    with folder.alone():
        data = source.training(settings)
        distance = reading_distance(source.reader, course.device) if settings.perceptual else None
        folder.start(
            {
                "kind": "vae-decoder",
                "vae": identity(vae),
                "training": asdict(settings),
                "selection": data.digest,
                "reader": distance.identity if distance else None,
            },
            {"sql": source.sql, "general_sql": general_sql, "vae": str(vae_folder), "judged_at": judged_at},
        )
        done = course.folder / "report.json"
        if done.exists() and (course.folder / "vae").exists():
            return _told(done, course.folder)
        images = _judging(source, general_sql, settings, judged_at)
        before = _before(course.folder / "before.json", vae, images, course.device)
        space = latent_identity(vae)
        run(vae, data, settings, course, decoder_only=True, distance=distance, progress=progress)
        vae.eval()
        if latent_identity(vae) != space:
            raise UsageError("the encoder changed while the decoder was trained: nothing was written; please report it")
        shown = reconstruction(vae, course.device)
        judged = {name: Judged(before[name], quality(shown, some, 8)) for name, some in images.items()}
        sheet(course.folder / "reconstructions.png", shown, images["text"])
        save_vae(vae, course.folder / "vae", replace=True)
        report = DecoderReport(
            course.folder / "vae", settings.steps, judged["text"], judged.get("general"), identity(vae)
        )
        write_report(done, {**asdict(report), "folder": "vae"})
        return report


def _judging(source: PictureSource, general_sql: str | None, settings: VaeTraining, side: int) -> dict[str, Watching]:
    """Images to judge by: of text held out (or, where none can be, trained on), and general ones."""

    def some(sql: str) -> Watching:
        return source.watching(sql, side=side, view=settings.view, most=WATCHED)

    held_out = part(source.sql, held_out=True)
    images = {"text": some(held_out if stored(source.lake, held_out) else source.sql)}
    if general_sql is not None:
        images["general"] = some(general_sql)
    return images


def _before(path: Path, vae: Vae, images: dict[str, Watching], device: str) -> dict[str, Quality]:
    """Measured once, before the first step, and kept for when the run goes on."""
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: Quality(**told) for name, told in found.items()}
    vae.to(device)
    shown: Callable[[Tensor], Tensor] = reconstruction(vae, device)
    measured = {name: quality(shown, some, 8) for name, some in images.items()}
    write_report(path, {name: asdict(found) for name, found in measured.items()})
    return measured


def _told(path: Path, folder: Path) -> DecoderReport:
    found = json.loads(path.read_text(encoding="utf-8"))
    general = found["general"]
    report = DecoderReport(
        folder / found["folder"],
        found["steps"],
        _judged(found["text"]),
        None if general is None else _judged(general),
        found["identity"],
    )
    if identity(load_vae(report.folder)) != report.identity:
        raise UsageError(f"{report.folder} was changed since its training ended: train into another folder")
    return report


def _judged(found: dict[str, dict[str, float]]) -> Judged:
    def made(told: dict[str, float]) -> Quality:
        return Quality(told["psnr"], told["ssim"], int(told["count"]))

    return Judged(made(found["before"]), made(found["after"]))
