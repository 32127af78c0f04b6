"""Autoencoders beside each other: how they compress, how large they are, what comes back of general and text images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.quality import Quality
from model.vae_size import Parameters
from model.vae_subject import Subject
from model.vae_training.measuring import Images, quality

HEAD = (
    "autoencoder", "f", "c", "parameters, M (enc + dec)", "met by an image, M",
    "general PSNR", "SSIM", "text PSNR", "SSIM",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One autoencoder's figures; None where no such images were given."""

    subject: Subject
    general: Quality | None
    text: Quality | None

    def row(self) -> dict[str, Any]:
        """For JSON."""
        told = {
            key: value for key, value in vars(self.subject).items() if key not in ("reconstruct", "total", "effective")
        }
        told |= {"total": asdict(self.subject.total), "effective": asdict(self.subject.effective)}
        for name, found in (("general", self.general), ("text", self.text)):
            told[name] = None if found is None else asdict(found)
        return told

    def cells(self) -> tuple[str, ...]:
        own = self.subject
        return (
            own.name, f"f{own.factor}", f"c{own.channels}", _millions(own.total), _millions(own.effective),
            *_figures(self.general), *_figures(self.text),
        )  # fmt: skip


def judge(subject: Subject, general: Images | None, text: Images | None, batch: int = 8) -> Line:
    """Measure one. Raises UsageError where a kind of images is given and empty."""
    return Line(
        subject,
        None if general is None else quality(subject.reconstruct, general, batch),
        None if text is None else quality(subject.reconstruct, text, batch),
    )


def table(lines: Sequence[Line]) -> str:
    """Markdown, columns aligned."""
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    made = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    made.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(made)


def _millions(count: Parameters) -> str:
    digits = 1 if min(count.encoder, count.decoder) >= 1e6 else 3
    return f"{count.encoder / 1e6:.{digits}f} + {count.decoder / 1e6:.{digits}f}"


def _figures(found: Quality | None) -> tuple[str, str]:
    return ("-", "-") if found is None else (f"{found.psnr:.2f}", f"{found.ssim:.4f}")
