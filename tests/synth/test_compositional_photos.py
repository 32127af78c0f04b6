"""Photographs: found, decoded, told of; the places, the light and the lens in them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from synth.chance import chance
from synth.compositional.light import blur_of, measure, noise_of
from synth.compositional.photos import PhotoError, given_quads, load, open_album, sized
from synth.compositional.places import look, quad_in, slopes
from synth.compositional.site import choose_site
from warehouse.errors import UsageError


def busy(h: int = 300, w: int = 400, seed: int = 0) -> np.ndarray:
    """Nothing but edges."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (h // 6 + 1, w // 6 + 1, 3), dtype=np.uint8)
    return np.repeat(np.repeat(blocks, 6, axis=0), 6, axis=1)[:h, :w].copy()


def with_wall() -> np.ndarray:
    """Edges everywhere but on a wall from (120, 60) to (360, 220)."""
    photo = busy()
    photo[60:220, 120:360] = (176, 160, 140)
    return photo


def save(folder: Path, name: str, photo: np.ndarray, **settings: object) -> Path:
    path = folder / name
    Image.fromarray(photo).save(path, **settings)
    return path


def test_a_place_is_found_on_the_wall_alone() -> None:
    places = look(with_wall()).places
    assert places
    x0, y0, x1, y1 = places[0].box
    assert x0 * 400 >= 112
    assert y0 * 300 >= 52
    assert x1 * 400 <= 368
    assert y1 * 300 <= 228
    assert places[0].plane == "wall"


def test_there_is_no_place_where_all_is_edges() -> None:
    seen = look(busy())
    assert seen.places == ()
    assert choose_site(seen, (300, 400), 0.1, 0.0, chance(0, "site", 0)) is None
    near = choose_site(seen, (300, 400), 0.1, 1.0, chance(0, "site", 0))
    assert near is not None
    assert near.stance == "near"


def test_what_is_to_be_kept_off_is_not_covered() -> None:
    for place in look(with_wall(), ((0.3, 0.2, 0.6, 0.73),)).places:
        assert place.box[0] >= 0.58 or place.box[2] <= 0.32


def test_quads_lie_within_their_place_and_keep_its_lines() -> None:
    photo = with_wall()
    for y in range(70, 215, 16):  # courses of stone that run together towards the left
        cv2.line(photo, (120, 140 + (y - 140) // 2), (360, y), (90, 80, 70), 2)
    lines = slopes(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    assert lines.sure
    assert lines.across[1] > 0.1
    for place in look(with_wall()).places:
        for index in range(20):
            quad, aspect = quad_in(place, lines, (300, 400), 1.5, 0.9, chance(0, "quad", index))
            box = np.array(place.box) * (400, 300, 400, 300)
            assert (quad >= box[:2] - 1e-6).all()
            assert (quad <= box[2:] + 1e-6).all()
            assert aspect == 1.5
            assert cv2.contourArea(quad.astype(np.float32)) > 0


def test_blur_and_noise_are_measured() -> None:
    sharp = busy()
    levels = [blur_of(cv2.cvtColor(cv2.GaussianBlur(sharp, (0, 0), s), cv2.COLOR_RGB2GRAY)) for s in (0.6, 1.0, 1.6)]
    assert levels[0] < levels[1] < levels[2]
    assert levels[1] == pytest.approx(1.0, abs=0.4)
    rng = np.random.default_rng(0)
    for sigma in (1.0, 4.0):
        noisy = np.clip(128 + rng.normal(0, sigma, (200, 300)), 0, 255).astype(np.uint8)
        assert noise_of(noisy) == pytest.approx(sigma, rel=0.3)


def test_light_tells_its_colour_and_its_side() -> None:
    photo = np.full((120, 200, 3), (220, 200, 150), np.uint8)
    photo[:, :100] //= 3
    light = measure(photo)
    assert light.white[0] > light.white[2]
    assert light.source > 0.5
    assert measure(np.full((120, 200, 3), 128, np.uint8)).colours < 3


def test_a_photograph_is_decoded_upright_at_the_size_asked_for(tmp_path: Path) -> None:
    photo = busy(400, 800)
    plain = save(tmp_path, "a.jpg", photo, quality=90)
    assert sized(plain, 600) == (300, 600, 0.75)
    assert sized(plain, 3000) == (640, 1280, 1.6)
    assert load(plain, (300, 600)).shape == (300, 600, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = save(tmp_path, "b.jpg", photo, exif=exif, quality=95, subsampling=0)
    assert sized(turned, 800) == (800, 400, 1.0)
    assert np.abs(load(turned, (800, 400)).astype(int) - np.rot90(photo, -1)).mean() < 12
    grey = tmp_path / "c.png"
    Image.fromarray(photo[:, :, 0]).save(grey)
    assert load(grey, (256, 512)).shape == (256, 512, 3)


def test_what_cannot_be_decoded_says_so(tmp_path: Path) -> None:
    held = io.BytesIO()
    Image.fromarray(busy(300, 300)).save(held, "JPEG")
    for name, data in (("cut.jpg", held.getvalue()[:2000]), ("no.jpg", b"no picture"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PhotoError, match=name):
            load(tmp_path / name, (300, 300))
    with pytest.raises(PhotoError, match="too few"):
        sized(save(tmp_path, "dot.png", np.zeros((9, 9, 3), np.uint8)), 512)


def test_damaged_photographs_of_many_kinds_are_read_or_refused(shared_data: Path) -> None:
    read = refused = 0
    for path in open_album((str(shared_data / "broken"),)).files[::3]:
        try:
            h, w, _ = sized(path, 320)
            assert load(path, (h, w)).shape == (h, w, 3)
            read += 1
        except PhotoError:
            refused += 1
    assert read
    assert refused


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no photograph")
    with pytest.raises(UsageError, match="no photographs"):
        open_album((str(tmp_path),))
    with pytest.raises(UsageError, match="no such folder"):
        open_album((str(tmp_path / "none"),))


def test_captions_and_objects_are_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        save(tmp_path / "images", name, with_wall())
    line = {"file": "images/a.jpg", "width": 400, "height": 300, "captions_en": ["A wall."], "captions_zh": ["一面墙"]}
    line["objects"] = [{"category": "dog", "bbox": [40, 30, 80, 60]}, {"category": "bed", "bbox": [0, 0, 400, 300]}]
    (tmp_path / "captions.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    (tmp_path / "images" / "b.txt").write_text("A second wall", encoding="utf-8")
    album = open_album((str(tmp_path / "images"),))
    a, b = album.files
    assert album.captions[a] == {"en": ("A wall.",), "zh": ("一面墙",)}
    assert album.captions[b]["en"] == ("A second wall",)
    assert album.objects[a] == ((0.1, 0.1, 0.3, 0.3),)
    (tmp_path / "captions.jsonl").write_text("{not json\n")
    open_album.cache_clear()
    with pytest.raises(UsageError, match="line 1"):
        open_album((str(tmp_path / "images"),))


def test_places_may_be_named(tmp_path: Path) -> None:
    path = save(tmp_path, "a.jpg", with_wall())
    assert given_quads(path) == []
    path.with_suffix(".json").write_text(json.dumps({"quads": [[120, 60, 360, 60, 360, 220, 120, 220]]}))
    assert given_quads(path)[0].shape == (4, 2)
    path.with_suffix(".json").write_text('{"quads": [[1, 2, 3]]}')
    with pytest.raises(PhotoError, match="no quads"):
        given_quads(path)
