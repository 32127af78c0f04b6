"""Faces: labelled photographs, faces put into empty ones, and faces made unrecognisable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faced_pictures import Count, astronaut, captioned, composites, hidden
from marred_pictures import as_jpeg
from pictures import encoded, photo
from PIL import Image

from annotate import models
from pipelines.extractors import faces
from pipelines.extractors.base import Sample
from pipelines.extractors.faces import COLUMNS, EXTRACTOR, blurred, measure, mosaicked
from pipelines.header import read_header
from pipelines.visual.face_boxes import Face, distinct, haar, sure
from pipelines.visual.views import one_thread
from warehouse.errors import UsageError

cv2 = pytest.importorskip("cv2")


def sample(image: Image.Image) -> Sample:
    data = encoded(image, "PNG")
    return Sample("0" * 32, data, read_header(data), image=image)


def test_the_astronaut_has_one_face_and_a_drawn_picture_none() -> None:
    picture = astronaut()
    found, none = measure([sample(picture.image), sample(photo())])
    assert set(found) == {c.name for c in COLUMNS}
    assert (found["face_count"], found["blurred_faces"], found["mosaicked_faces"]) == (1, 0, 0)
    count = Count()
    (face,) = found["faces"]  # type: ignore[misc]
    count.add(picture, [tuple(face["box"])])
    assert (count.found, count.wrong) == (1, 0)
    assert found["largest_face_share"] == pytest.approx(face["box"][2] * face["box"][3] / (512 * 512), abs=1e-3)
    assert (none["face_count"], none["largest_face_share"], none["faces"]) == (0, 0.0, [])
    EXTRACTOR.table.from_rows([{**found, "image_id": "0" * 32, "version": "1", "status": "ok", "error": None}])


def test_a_picture_of_twice_the_size_has_the_same_face_there() -> None:
    picture = astronaut()
    (small,) = sure(haar(picture.image))
    (large,) = sure(haar(picture.image.resize((1024, 1024), Image.Resampling.BICUBIC)))
    assert large.box == pytest.approx([2 * v for v in small.box], abs=24)


def test_opencv_gets_its_threads_back_and_they_change_nothing() -> None:
    image, before = astronaut().image, cv2.getNumThreads()
    with one_thread():
        assert cv2.getNumThreads() == 1
        alone = haar(image)
    assert cv2.getNumThreads() == before
    assert haar(image) == alone
    assert measure([sample(photo()), sample(image)])[1] == measure([sample(image)])[0]


def test_a_tiny_picture_has_no_face() -> None:
    assert haar(Image.new("RGB", (3, 2))) == []


def test_boxes_on_one_another_are_one_face_the_surer_one() -> None:
    a, b, c = Face((0, 0, 10, 10), 0.5), Face((1, 1, 10, 10), 0.9), Face((30, 0, 20, 20), 0.4)
    assert distinct([a, b, c]) == [c, b]


def test_frontal_faces_are_found_and_little_else(shared_data: Path) -> None:
    """The whole measurement is bench/abnormal.py; here a sample: the school class is one of those with faces."""
    photos = shared_data / "photos_captioned" / "images"
    pictures = list(captioned(photos))
    sampled = [p for p in pictures if p.frontal][::3] + [p for p in pictures if not p.frontal][::20]
    count = Count()
    with one_thread():
        for picture in [*sampled, *composites(photos, 8), astronaut()]:
            count.add(picture, [face.box for face in sure(haar(picture.image))])
    assert count.there >= 40  # with the school class of 38
    assert count.precision >= 0.9
    assert count.recall >= 0.9


@pytest.mark.parametrize(("how", "column"), [("lightly blurred", "blurred_faces"), ("pixelated", "mosaicked_faces")])
def test_a_face_made_unrecognisable_is_counted(how: str, column: str) -> None:
    image, count = hidden(astronaut(), how)
    (found,) = measure([sample(as_jpeg(image, 88))])
    assert (count, found[column]) == (1, 1)


def test_what_is_out_of_focus_all_over_is_not_a_hidden_face() -> None:
    image = astronaut().image
    small = image.resize((128, 128), Image.Resampling.BOX).resize((512, 512), Image.Resampling.BICUBIC)
    assert blurred(small, haar(small)) == 0


def test_a_pixelated_banner_is_no_face() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 40, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    image = photo(800, 600)
    image.paste(Image.fromarray(pixels), (100, 200))
    assert mosaicked(image) == 0


def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv(models.ENVIRONMENT, str(file))


def test_weights_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (faces.missing(), faces.weights()) == (None, "haar")
    configured(monkeypatch, tmp_path, f'[faces]\nweights = "{tmp_path}/yunet.onnx"\n')
    assert "yunet.onnx" in (faces.missing() or "")
    with pytest.raises(UsageError, match=r"no weights file"):
        faces.detector()


def test_weights_count_by_content_and_scores_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_bytes(b"one")
    configured(monkeypatch, tmp_path, f'[faces]\nweights = "{tmp_path}/yunet.onnx"\nleast_score = 0.6\n')
    first = faces.weights()
    assert faces.missing() is None
    (tmp_path / "yunet.onnx").write_bytes(b"two")
    assert faces.weights() != first
    configured(monkeypatch, tmp_path, f'[faces]\nweights = "{tmp_path}/yunet.onnx"\nleast_score = 7\n')
    with pytest.raises(UsageError, match=r"least_score is 7"):
        faces.detector()
