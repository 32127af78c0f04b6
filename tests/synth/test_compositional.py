"""Compositional samples: truth on the ink also in perspective, the photograph left alone elsewhere, the same every
time."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_compositional_photos import busy, save, with_wall
from typefaces import face

from annotate.captions.quotes import quoted
from synth.chance import chance
from synth.compositional import checks
from synth.compositional.compose import lay, outline
from synth.compositional.frame import fill_frame
from synth.compositional.light import measure
from synth.compositional.places import look
from synth.compositional.site import choose_site
from synth.compositional.strategy import Compositional
from synth.compositional.surface import Surface, whole
from synth.draw.ink import ink as draw_ink
from synth.geometry import Floats, apply, homography, scaling, translation
from synth.layout.block import Setting
from synth.layout.paragraph import lay_out
from synth.placed import Placed
from synth.quoting import quotable
from synth.sample import Rejected, Sample
from warehouse.errors import UsageError

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with an even wall, one without, one that is broken."""
    face("sans-sc")
    found = tmp_path_factory.mktemp("photos")
    for number, tone in enumerate(((176, 160, 140), (90, 120, 150), (210, 205, 190), (120, 70, 60))):
        photo = busy(480, 640, number)
        photo[60:400, 80:560] = tone
        save(found, f"wall{number}.jpg", cv2.GaussianBlur(photo, (0, 0), 1.0), quality=92)
    return found


def drawn(strategy: Compositional, count: int, seed: int = 1) -> list[Sample]:
    made = [strategy.draw(seed, index) for index in range(count)]
    return [sample for sample in made if isinstance(sample, Sample)]


def ink_box(picture: np.ndarray, blank: np.ndarray, back: Floats, size: tuple[int, int]) -> np.ndarray | None:
    """Bounds of what differs between two pictures, seen from the front: (h, w) of the surface."""
    changed = np.abs(picture.astype(int) - blank).max(axis=2).astype(np.uint8)
    matrix = translation(-0.5, -0.5) @ scaling(4, 4) @ back @ translation(0.5, 0.5)
    front = cv2.warpPerspective(changed, matrix, (size[1] * 4, size[0] * 4), flags=cv2.INTER_LINEAR)
    y, x = np.nonzero(front > 0.35 * front.max())
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) / 4 if len(x) else None


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    return both / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - both)


def alone(block_text: str, size: float) -> tuple[np.ndarray, Placed]:
    block = lay_out(block_text, Setting((face("sans-sc"),), size, language="zh-Hans"), 330)
    return draw_ink(block, (320, 450), (60, 50))


@pytest.mark.parametrize("stance", ["hangs", "near", "frame"])
def test_redrawn_alone_every_character_fills_its_quadrilateral(stance: str) -> None:
    """The bar: mean IoU of the quadrilateral and the ink at least 0.9, in the frame of the unwarped character."""
    mask, placed = alone("林间小屋咖啡馆营业时间ABRst请勿触摸展品，谢谢", 36)
    photo = cv2.GaussianBlur(busy(420, 560), (0, 0), 3)
    light = replace(measure(photo), blur=0.6, noise=0.0)
    quad = np.array([[70.3, 61.2], [471.8, 38.4], [489.5, 350.7], [58.1, 311.9]])
    to_photo = homography(outline(*mask.shape), quad)

    def shown(writing: np.ndarray) -> tuple[np.ndarray, Floats]:
        rgb = np.repeat((240 - writing.astype(int) * 200 // 255).astype(np.uint8)[:, :, None], 3, axis=2)
        if stance == "frame":
            return fill_frame(rgb, (300, 420), chance(2, "frame", 0))
        canvas = photo.copy()
        surface = Surface("paper", "a sheet", rgb, whole(*mask.shape), (0, 0, 9, 9), ())
        lay(canvas, surface, rgb, to_photo, light, 44, stance, chance(2, "lay", 0))
        return canvas, to_photo

    blank, matrix = shown(np.zeros_like(mask))
    moved = placed.moved(matrix)
    shares = []
    for box in placed.boxes:
        x0, y0, x1, y1 = box.astype(int)
        single = np.zeros_like(mask)
        single[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
        found = ink_box(shown(single)[0], blank, np.linalg.inv(matrix), mask.shape)
        assert found is not None
        shares.append(overlap(found, box))
    assert np.mean(shares) >= 0.9
    assert np.allclose(moved.character_quads(), apply(matrix, placed.character_quads()))


def test_the_photograph_is_left_alone_away_from_the_surface() -> None:
    photo = busy(420, 560)
    before = photo.copy()
    quad = np.array([[200, 150], [360, 140], [365, 260], [198, 250]], float)
    rgb = np.full((120, 160, 3), 240, np.uint8)
    surface = Surface("paper", "a sheet", rgb, whole(120, 160), (0, 0, 9, 9), ())
    matrix = homography(outline(120, 160), quad)
    lay(photo, surface, rgb, matrix, measure(before), 20, "hangs", chance(0, "x", 0))
    changed = np.abs(photo.astype(int) - before).max(axis=2) > 0
    y, x = np.nonzero(changed)
    assert x.min() > 150
    assert x.max() < 410
    assert y.min() > 100
    assert y.max() < 310
    assert changed[150:240, 210:350].all()


def test_samples_are_true(folder: Path) -> None:
    strategy = Compositional(photos=(str(folder),), longest=(560, 640))
    strategy.check()
    samples = drawn(strategy, 20)
    assert len(samples) >= 10
    for sample in samples:
        h, w = sample.image.shape[:2]
        assert max(h, w) in range(555, 645)
        assert sample.facts["photo"]
        for text in sample.texts:
            quads = text.character_quads()
            assert (quads > -0.5).all()
            assert (quads < (w + 0.5, h + 0.5)).all()
            assert checks.judge(sample.image, text) is None
            for line in sample.captions.values():
                assert quotable(text.text)[0] in quoted(line)
            text.row()
    assert {type(s.facts["stance"]) for s in samples} == {str}
    assert len({s.template for s in samples}) > 3


def test_the_same_sample_in_any_order_and_process(folder: Path) -> None:
    strategy = Compositional(photos=(str(folder),), longest=(512, 600))

    def digest(sample: Sample | Rejected) -> str:
        if isinstance(sample, Rejected):
            return repr(sample)
        told = repr(
            [sample.image.shape, [t.row() for t in sample.texts], sample.captions, sample.template, sample.facts]
        )
        return hashlib.sha256(sample.image.tobytes() + told.encode()).hexdigest()

    forward = [digest(strategy.draw(3, i)) for i in range(6)]
    assert [digest(strategy.draw(3, i)) for i in reversed(range(6))] == forward[::-1]
    code = (
        "import pickle, sys, hashlib\n"
        "from synth.sample import Rejected\n"
        "strategy = pickle.loads(sys.stdin.buffer.read())\n"
        "for i in (4, 1):\n"
        "    s = strategy.draw(3, i)\n"
        "    if isinstance(s, Rejected): print(repr(s)); continue\n"
        "    told = repr([s.image.shape, [t.row() for t in s.texts], s.captions, s.template, s.facts])\n"
        "    print(hashlib.sha256(s.image.tobytes() + told.encode()).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(strategy),
        capture_output=True,
        check=True,
        cwd=REPO,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert other.stdout.decode().split("\n")[:2] == [forward[4], forward[1]]


def test_without_photographs_the_material_fills_the_frame() -> None:
    face("sans-sc")
    samples = drawn(Compositional(longest=(512, 560)), 12)
    assert len(samples) >= 9
    assert all(s.facts["stance"] == "close" for s in samples)
    assert all(512 <= max(s.image.shape) <= 560 for s in samples)


def test_materials_are_those_asked_for(folder: Path) -> None:
    asked = Compositional(
        photos=(str(folder),), materials=(("wood", 1.0), ("neon", 0.0)), direct=0.0, longest=(512, 640)
    )
    samples = drawn(asked, 8)
    assert samples
    assert all("wood" in s.template for s in samples)


def test_a_place_that_is_named_is_used(tmp_path: Path) -> None:
    face("sans-sc")
    path = save(tmp_path, "a.jpg", busy(480, 640))
    path.with_suffix(".json").write_text('{"quads": [[100, 90, 520, 60, 540, 400, 90, 380]]}')
    strategy = Compositional(photos=(str(tmp_path),), longest=(640, 640), direct=0.0)
    samples = drawn(strategy, 8)
    assert samples
    quad = np.array([[100, 90], [520, 60], [540, 400], [90, 380]], np.float32)
    for sample in samples:
        for point in sample.texts[0].quad():
            assert cv2.pointPolygonTest(quad, (float(point[0]), float(point[1])), True) > -2
    path.with_suffix(".json").write_text('{"quads": [[100, 90, 920, 60, 940, 400, 90, 380]]}')
    outside = strategy.draw(1, 0)
    assert isinstance(outside, Rejected)
    assert outside.reason == "photo unusable"


def test_what_cannot_be_drawn_is_told_with_its_reason(tmp_path: Path) -> None:
    face("sans-sc")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (tmp_path / "grey").mkdir()
    grey = cv2.cvtColor(cv2.cvtColor(with_wall(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    save(tmp_path / "grey", "grey.jpg", grey)
    (tmp_path / "busy").mkdir()
    save(tmp_path / "busy", "busy.png", busy())

    def reasons(place: str, **settings: float) -> Counter[str]:
        made = [Compositional(photos=(str(tmp_path / place),), **settings).draw(0, i) for i in range(4)]  # type: ignore[arg-type]
        return Counter(m.reason for m in made if isinstance(m, Rejected))

    assert reasons("broken.jpg") == {"photo unusable": 4}
    assert reasons("grey") == {"grey photo": 4}
    assert reasons("busy", near=0.0) == {"no place": 4}


def test_small_and_faint_letters_are_refused() -> None:
    mask, placed = alone("林间小屋", 30)
    picture = np.full((*mask.shape, 3), 250, np.uint8)
    picture[mask > 100] = 20
    assert checks.judge(picture, placed) is None
    small = cv2.resize(picture, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    refused = checks.judge(small, placed.moved(scaling(0.3, 0.3)))
    assert refused is not None
    assert refused.reason == "too small"
    picture[mask > 100] = 225
    refused = checks.judge(picture, placed)
    assert refused is not None
    assert refused.reason == "low contrast"


def test_settings_are_checked(tmp_path: Path) -> None:
    for wrong, words in (
        (Compositional(materials=(("jelly", 1.0),)), "no material 'jelly'"),
        (Compositional(materials=(("wood", 0.0),)), "not all 0"),
        (Compositional(languages=()), "not all 0"),
        (Compositional(longest=(900, 800)), "longer side"),
        (Compositional(photos=(str(tmp_path),)), "no photographs"),
    ):
        with pytest.raises(UsageError, match=words):
            wrong.check()


def test_a_language_that_the_corpus_lacks_is_refused(tmp_path: Path) -> None:
    face("sans-sc")
    corpus = tmp_path / "a.txt"
    corpus.write_text("The quick brown fox jumps over the lazy dog and runs away into the woods.\n" * 3)
    asked = Compositional(corpora=(str(corpus),), languages=(("en", 0.5), ("ja", 0.5)))
    with pytest.raises(UsageError, match="no text in ja"):
        asked.check()


def test_the_fingerprint_names_what_decides_the_bytes(folder: Path) -> None:
    face("sans-sc")
    one = Compositional(photos=(str(folder),))
    assert one.fingerprint() == Compositional(photos=(str(folder),)).fingerprint()
    assert len({one.fingerprint(), Compositional().fingerprint(), replace(one, direct=0.5).fingerprint()}) == 3


def test_real_photographs(shared_data: Path) -> None:
    """Of photographs as they come, most have a place; what is drawn keeps clear of the people that are told of."""
    face("sans-sc")
    strategy = Compositional(photos=(str(shared_data / "photos_captioned" / "images"),), longest=(512, 640))
    made = [strategy.draw(11, i) for i in range(24)]
    samples = [m for m in made if isinstance(m, Sample)]
    assert len(samples) >= 12
    assert {m.reason for m in made if isinstance(m, Rejected)} <= {
        "no place", "grey photo", "overflow", "low contrast", "too small", "stretched",
    }  # fmt: skip
    assert any(s.captions["en"].split(".")[0] for s in samples)


def test_sites_keep_to_the_picture(shared_data: Path) -> None:
    from synth.compositional.photos import load, open_album, sized

    album = open_album((str(shared_data / "photos_captioned" / "images"),))
    for number, path in enumerate(album.files[:25]):
        photo = load(path, sized(path, 512)[:2])
        seen = look(photo, album.objects.get(path, ()))
        for index in range(4):
            site = choose_site(seen, photo.shape[:2], 0.2, 0.5, chance(number, "site", index))
            if site is None:
                continue
            assert (site.quad >= 0).all()
            assert (site.quad <= (photo.shape[1], photo.shape[0])).all()
            assert cv2.isContourConvex(site.quad.astype(np.float32))
