"""The basic recipe on real images: photographs and pages pass; blurred, dark, washed out or empty ones do not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from decision_lakes import Row, fill, image_id, new_lake
from PIL import Image, ImageEnhance, ImageFilter

from pipelines.decide import decide
from pipelines.examine import Task, examine
from pipelines.recipe import load
from warehouse.lake import Lake

DEFECTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(8)),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.06),
    "washed out": lambda image: Image.blend(image, Image.new("RGB", image.size, "white"), 0.95),
    "one colour": lambda image: Image.new("RGB", image.size, image.getpixel((5, 5))),
}


def signals(data: bytes) -> Row:
    (found,) = examine([Task("x", data, ("header", "pixels"))])
    assert found.error is None
    measured = {**found.rows["header"], **found.rows["pixels"]}
    return {name: value for name, value in measured.items() if name not in {"image_id", "version", "status", "error"}}


def failing(tmp_path: Path, images: dict[str, Row]) -> dict[str, list[str]]:
    """Failing rules by name."""
    lake = new_lake(tmp_path / "lake")
    fill(lake, images)
    decide(lake, load("basic"))
    with Lake.open(lake.root, read_only=True).connect(read_only=True) as con:
        rows = dict(con.execute("SELECT image_id, failed_rules FROM decisions").fetchall())
        assert con.execute("SELECT count(*) FROM decisions WHERE outcome = 'pending'").fetchall() == [(0,)]
    return {name: rows[image_id(name)] for name in images}


def each(folder: Path, pattern: str, every: int) -> Iterable[Path]:
    return sorted(folder.rglob(pattern))[::every]


def test_ordinary_photographs_pass_and_their_defects_do_not(shared_data: Path, tmp_path: Path) -> None:
    images: dict[str, Row] = {}
    for path in each(shared_data / "photos_captioned", "*.jpg", 5):
        images[path.name] = signals(path.read_bytes())
    photos = list(images)
    for path in each(shared_data / "photos_captioned", "*.jpg", 25):
        for name, spoil in DEFECTS.items():
            buffer = io.BytesIO()
            with Image.open(path) as image:
                spoil(image.convert("RGB")).save(buffer, "jpeg", quality=90)
            images[f"{name} {path.name}"] = signals(buffer.getvalue())
    found = failing(tmp_path, images)
    wrong = {n: found[n] for n in photos if found[n] and found[n] != ["large enough"]}
    assert len(photos) >= 30
    assert wrong == {}
    assert [n for n in images if n not in photos and not set(found[n]) - {"large enough"}] == []


def test_pages_slides_and_screens_pass(shared_data: Path, tmp_path: Path) -> None:
    """All but five: three blurred beyond reading by motion, a white image and a screen's bare header bar."""
    images: dict[str, Row] = {}
    for folder in ("text_rich", "ui_templates"):
        for path in each(shared_data / folder, "*", 3):
            if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
                images[path.name] = signals(path.read_bytes())
    found = failing(tmp_path, images)
    shape = {"large enough", "proportions"}
    wrong = {name for name, rules in found.items() if set(rules) - shape}
    assert len(images) >= 50
    assert wrong <= {"img_126.jpg", "img_239.jpg", "img_29.jpg", "white_font_color_transparent.png", "header_bar.png"}


def test_the_blur_sets_verdicts(shared_data: Path, tmp_path: Path) -> None:
    """Sharp passes, out of focus fails. Shaken in one direction passes: the edges along the motion stay steep, and a
    threshold above it (380) would cost more than one photograph in twenty."""
    folder = shared_data / "filters_gt" / "blur"
    labels = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert labels
    found = failing(tmp_path, {p.name: signals(p.read_bytes()) for p in sorted(folder.glob("*.JPG"))})
    verdicts = {name.removesuffix(".JPG")[-1]: rules for name, rules in found.items()}
    assert verdicts == {"S": [], "F": ["in focus"], "M": []}


@pytest.mark.parametrize("orientation", [1, 2, 3, 6])
def test_only_what_exif_turns_is_not_upright(shared_data: Path, tmp_path: Path, orientation: int) -> None:
    path = shared_data / "filters_gt" / "exif_orientation" / f"Portrait_{orientation}.jpg"
    found = failing(tmp_path, {"it": signals(path.read_bytes())})
    assert found["it"] == (["upright"] if orientation in (3, 6) else [])
