"""Boxes around faces in a photograph: OpenCV's Haar cascades looking twice, or YuNet where its weights are configured.

A cascade alone finds nine faces in ten and as many false ones. So one cascade nominates, and every nominee is looked at
again at one size, in fine steps, by two cascades, as it stands and tilted a little either way: how often they find a
face there, over all the steps, is the score. Faces are found in many steps, wheels and windows in few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.visual.views import Gray

#: The picture is brought to this many pixels on its longer side, at most ENLARGE times its size.
LONGEST, ENLARGE = 1024, 1.6
#: The smallest face nominated, pixels of that picture.
SMALLEST = 28
NOMINEES_NEIGHBOURS = 2
#: The second look: the face at this many pixels, with this much around it, found this often.
LOOK_SIDE, MARGIN = 64, 0.35
#: Tilts of the second look, degrees, and the hundredths of times that a face must be found: the mean of upright and the
#: best tilt. Between the two it is a face only where it is blurred.
TILT = 18.0
SURE, UNSURE = 0.32, 0.08


@dataclass(frozen=True)
class Face:
    """A face: its box (x, y, width, height) in pixels of the picture, and how sure it is, 0 to 1."""

    box: tuple[float, float, float, float]
    score: float


Detector = Callable[[Image.Image], list[Face]]


def haar(image: Image.Image) -> list[Face]:
    """Upright faces seen from the front, some 20 pixels or more wide, and those of little detail too: see `sure`.

    A blurred face is found less often than `SURE`; whoever knows that it is blurred may take it for one all the same.
    """
    gray = image.convert("L")
    scale = min(ENLARGE, LONGEST / max(gray.size))
    size = (max(1, round(gray.width * scale)), max(1, round(gray.height * scale)))
    work = np.asarray(gray.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC))
    if min(work.shape) < SMALLEST:
        return []
    nominate = _cascade("frontalface_alt2")
    boxes, _ = nominate.detectMultiScale2(
        work, scaleFactor=1.1, minNeighbors=NOMINEES_NEIGHBOURS, minSize=(SMALLEST, SMALLEST)
    )
    faces = []
    for box in sorted(tuple(int(v) for v in box) for box in boxes):
        often = found_often(work, box)
        if often >= 100 * UNSURE:
            x, y, width, height = (round(value / scale, 1) for value in box)
            faces.append(Face((x, y, width, height), round(min(1.0, often / 100), 4)))
    return distinct(faces)


def yunet(weights: str, least_score: float) -> Detector:
    """A detector by YuNet (OpenCV's FaceDetectorYN), any pose; faces surer than `least_score`. `weights`: its ONNX."""

    def detect(image: Image.Image) -> list[Face]:
        net = _yunet(weights, least_score)
        small = image.copy()
        small.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
        net.setInputSize(small.size)
        _, found = net.detect(np.ascontiguousarray(np.asarray(small.convert("RGB"))[..., ::-1]))
        scale = small.width / image.width
        rows = [] if found is None else found.tolist()
        return distinct(
            [
                Face((round(x / scale, 1), round(y / scale, 1), round(w / scale, 1), round(h / scale, 1)), round(s, 4))
                for x, y, w, h, *_, s in rows
            ]
        )

    return detect


def sure(faces: Sequence[Face]) -> list[Face]:
    """The faces that are believed by their score alone."""
    return [face for face in faces if face.score >= SURE]


def distinct(faces: Sequence[Face]) -> list[Face]:
    """The faces without those that lie mostly on a surer one, largest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: (-f.score, f.box)):
        if all(_shared(face.box, other.box) < 0.4 for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda f: (-f.box[2] * f.box[3], f.box))


def _shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Area that two boxes share over that of the smaller."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height) / min(a[2] * a[3], b[2] * b[3])


def found_often(work: Gray, box: tuple[int, ...]) -> float:
    """How often the second look finds a face in a box of (height, width) luma; a clear one is found over 80 times."""
    x, y, width, height = box
    margin = 2 * MARGIN * width  # twice, so that a tilted crop has no blank corners
    around = (round(x - margin), round(y - margin), round(x + width + margin), round(y + height + margin))
    side, cut = round(LOOK_SIDE * (1 + 4 * MARGIN)), round(LOOK_SIDE * MARGIN)
    large = Image.fromarray(work).crop(around).resize((side, side), Image.Resampling.BICUBIC)
    counts = []
    for degrees in (0.0, TILT, -TILT):
        tilted = large.rotate(degrees, Image.Resampling.BICUBIC) if degrees else large
        crop = np.asarray(tilted.crop((cut, cut, side - cut, side - cut)))
        counts.append(_found(crop, "frontalface_alt2") + _found(crop, "frontalface_alt"))
    return (counts[0] + max(counts)) / 2


def _found(crop: Gray, name: str) -> int:
    _, counts = _cascade(name).detectMultiScale2(
        crop, scaleFactor=1.05, minNeighbors=1, minSize=(44, 44), maxSize=(92, 92)
    )
    return int(max(np.ravel(counts), default=0))


@cache
def _cascade(name: str) -> Any:
    import cv2

    folder = Path(str(cv2.__file__)).parent / "data"
    cascade = cv2.CascadeClassifier(str(folder / f"haarcascade_{name}.xml"))
    if cascade.empty():
        raise RuntimeError(f"this build of OpenCV carries no cascade {name}")
    return cascade


@cache
def _yunet(weights: str, least_score: float) -> Any:
    import cv2

    return cv2.FaceDetectorYN.create(weights, "", (LONGEST, LONGEST), least_score)
