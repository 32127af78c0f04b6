"""Faces: how many, how large, and those made unrecognisable.

Upright faces seen from the front are found by OpenCV's Haar cascades, which come with it. A section in models.toml
names a better detector, YuNet, whose columns are the same:

    [faces]
    weights = "/models/face_detection_yunet_2023mar.onnx"
    least_score = 0.7
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from annotate import models
from pipelines.extractors.base import Extractor, Sample
from pipelines.visual import face_boxes, mosaic
from pipelines.visual.face_boxes import Detector, Face
from pipelines.visual.views import Floats, luma, one_thread
from warehouse.errors import UsageError
from warehouse.schema import Column

F32 = pa.float32()
_FACE = pa.struct([("box", pa.list_(F32)), ("score", F32)])

COLUMNS = (
    Column("face_count", pa.int32(), "faces found: upright and from the front, unless [faces] names another detector"),
    Column("largest_face_share", F32, "area of the largest face's box over the picture's, 0 to 1; 0 without a face"),
    Column(
        "blurred_faces",
        pa.int32(),
        "faces, unsure ones too, whose detail was taken away and that around them was not",
    ),
    Column("mosaicked_faces", pa.int32(), "pixelated regions of a face's proportions; nobody can tell what they hide"),
    Column("faces", pa.list_(_FACE), "each face, largest first: box x, y, width, height in pixels; score 0 to 1"),
)

#: Longest side that blur is judged at, pixels.
BLUR_VIEW = 1024
#: A face is blurred whose detail is less than this part of that around it, where there is some (mean square of luma's
#: Laplacian); an unsure one, less than the second part.
BLURRED, BLURRED_AWAY, AROUND_AT_LEAST = 0.12, 0.02, 40.0
#: Width over height of a pixelated region that may be a face, and its largest share of the picture.
FACE_PROPORTIONS, FACE_SHARE = (0.5, 1.6), 0.35


def measure(batch: Sequence[Sample]) -> list[dict[str, object]]:
    detect = detector()
    with one_thread():
        return [row(sample.full, detect(sample.full)) for sample in batch]


def row(image: Image.Image, found: Sequence[Face]) -> dict[str, object]:
    """The columns of a picture in which a detector found these."""
    faces = face_boxes.sure(found)
    area = image.width * image.height
    largest = max((face.box[2] * face.box[3] for face in faces), default=0.0)
    return {
        "face_count": len(faces),
        "largest_face_share": round(min(1.0, largest / area), 4),
        "blurred_faces": blurred(image, found),
        "mosaicked_faces": mosaicked(image),
        "faces": [{"box": list(face.box), "score": face.score} for face in faces],
    }


def blurred(image: Image.Image, faces: Sequence[Face]) -> int:
    """How many of the finds have far less detail than what is right around them; of unsure ones, next to none."""
    if not faces:
        return 0
    scale = min(1.0, BLUR_VIEW / max(image.size))
    size = (max(3, round(image.width * scale)), max(3, round(image.height * scale)))
    detail = _detail(np.asarray(image.convert("L").resize(size, Image.Resampling.BOX)).astype(np.float32))
    return sum(
        _is_blurred(
            detail,
            tuple(value * scale for value in face.box),
            BLURRED if face.score >= face_boxes.SURE else BLURRED_AWAY,
        )
        for face in faces
    )


def _detail(level: Floats) -> Floats:
    """Squared Laplacian of (height, width) luma, 0 along the edge."""
    out = np.zeros_like(level)
    inner = level[:-2, 1:-1] + level[2:, 1:-1] + level[1:-1, :-2] + level[1:-1, 2:] - 4 * level[1:-1, 1:-1]
    out[1:-1, 1:-1] = inner * inner
    return out


def _is_blurred(detail: Floats, box: tuple[float, ...], least: float) -> bool:
    x, y, width, height = box
    # The middle of the box is face in any pose; what lies within half a face of the box is head, shoulders, ground.
    inside = detail[_span(y + 0.2 * height, 0.6 * height), _span(x + 0.2 * width, 0.6 * width)]
    wide = detail[_span(y - 0.5 * height, 2 * height), _span(x - 0.5 * width, 2 * width)]
    face = detail[_span(y - 0.1 * height, 1.2 * height), _span(x - 0.1 * width, 1.2 * width)]
    if not inside.size or wide.size <= face.size:
        return False
    around = (float(wide.sum()) - float(face.sum())) / (wide.size - face.size)
    return around >= AROUND_AT_LEAST and float(inside.mean()) < least * around


def _span(start: float, length: float) -> slice:
    return slice(max(0, round(start)), max(0, round(start + length)))


def mosaicked(image: Image.Image) -> int:
    """How many pixelated regions have a face's proportions."""
    found = mosaic.regions(luma(image))
    area = image.width * image.height
    low, high = FACE_PROPORTIONS
    return sum(
        low <= region.box[2] / region.box[3] <= high and mosaic.LEAST_SHARE <= region.area / area <= FACE_SHARE
        for region in found
    )


def detector() -> Detector:
    """The detector this machine is configured for. Raises UsageError for a section [faces] that makes no sense."""
    told = models.section("faces")
    if not told:
        return face_boxes.haar
    weights, least = told.get("weights"), told.get("least_score", 0.7)
    if not isinstance(weights, str) or not Path(weights).is_file():
        raise UsageError(f"models.toml [faces]: no weights file at {weights!r}; name a YuNet ONNX file")
    if not isinstance(least, int | float) or not 0 < least < 1:
        raise UsageError(f"models.toml [faces]: least_score is {least!r}, it must lie between 0 and 1")
    return face_boxes.yunet(weights, float(least))


def missing() -> str | None:
    if not find_spec("cv2"):
        return "install glyphmill[ocr] (opencv-python)"
    weights = models.section("faces").get("weights")
    if weights is not None and not Path(str(weights)).is_file():
        return f"models.toml [faces] names weights at {weights}, which are not there"
    return None


def weights() -> str:
    """Which detector, and its weights by content."""
    told = models.section("faces")
    if not told:
        return "haar"
    return f"yunet {sha256(Path(str(told['weights'])).read_bytes()).hexdigest()} {told.get('least_score', 0.7)}"


EXTRACTOR = Extractor(
    "faces",
    "1",
    "one row per image: its faces, as far as they can be seen",
    COLUMNS,
    measure,
    needs="image",
    missing=missing,
    weights=weights,
    batch=4,
)
