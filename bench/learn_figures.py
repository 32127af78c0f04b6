"""The pictures of docs/learn.md: a sheet of samples, and how loss and reading went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLUMNS = 43  # two rows hold all 86 characters
SMOOTH = 50  # steps


def figures(out: Path, docs: Path) -> None:
    """`sheet.png` and `curve.png` in `docs`, of a finished run in `out`."""
    docs.mkdir(parents=True, exist_ok=True)
    rows = [row for name in ("untrained", "centred", "free") for row in _rows(out / f"{name}-samples", name == "free")]
    Image.fromarray(np.concatenate(rows)).convert("L").quantize(16).save(docs / "sheet.png", optimize=True)
    _curve(out / "run", docs / "curve.png")


def _rows(folder: Path, placed: bool) -> list[np.ndarray[Any, Any]]:
    """All characters once, in two rows; of the untrained model the first row alone. Of placed samples every tenth file
    is another character."""
    files = sorted(folder.glob("*-*.png"))
    files = files[::10]
    tiles = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    lines = [tiles[at : at + COLUMNS] for at in range(0, len(tiles), COLUMNS)]
    if folder.name.startswith("untrained"):
        lines = lines[:1]
    gap = np.full((6, COLUMNS * tiles[0].shape[1], 3), 200, np.uint8)
    return [*(np.concatenate(line, axis=1) for line in lines), gap]


def _curve(run: Path, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    told = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps, loss = np.array([t["step"] for t in told]), np.array([t["loss"] for t in told])
    smooth = np.convolve(loss, np.ones(SMOOTH) / SMOOTH, mode="valid")
    figure, left = pyplot.subplots(figsize=(7.2, 3.2), dpi=110)
    left.plot(steps, loss, color="#c8d4e6", linewidth=0.6)
    left.plot(steps[SMOOTH - 1 :], smooth, color="#24509c", linewidth=1.4, label="loss of training, mean of 50")
    checks = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    left.plot([c["step"] for c in checks], [c["loss"] for c in checks], "o", color="#102a5c", label="loss, held out")
    left.set_ylim(0, min(1.2, float(loss.max())))
    left.set_xlabel("step")
    left.set_ylabel("loss")
    axes = [left]
    sheets = [json.loads(path.read_text()) for path in sorted((run / "samples").glob("step-*.json"))]
    read = [(s["step"], s["exact"]) for s in sheets if s.get("exact") is not None]
    if read:
        right = left.twinx()
        axes.append(right)
        right.plot(*zip(*read, strict=True), "s-", color="#b3541e", linewidth=1.2, label="read by OCR")
        right.set_ylim(0, 1.02)
        right.set_ylabel("share read")
    handles = [h for axis in axes for h in axis.get_legend_handles_labels()[0]]
    names = [n for axis in axes for n in axis.get_legend_handles_labels()[1]]
    left.legend(handles, names, loc="center right", fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Software": None})
