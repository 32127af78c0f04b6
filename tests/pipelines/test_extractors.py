"""Signals: values that can be worked out by hand, pairs whose order is known, and agreement with peers' own cases."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import STORE, encoded, photo, stored_as
from PIL import Image, ImageFilter

from pipelines.decode import decode
from pipelines.examine import Task, examine
from pipelines.extractors import discover, in_scan
from pipelines.extractors.pixels import (
    border_share,
    colourfulness,
    entropy,
    laplacian_variance,
    mean_saturation,
    texture,
)
from pipelines.header import read_header
from warehouse.errors import UsageError


def signals(data: bytes) -> dict[str, object]:
    """All signals of all extractors of one image, by column."""
    (found,) = examine([Task("0" * 32, data, tuple(e.name for e in in_scan(())))])
    assert found.error is None, found.error
    out: dict[str, object] = {}
    for row in found.rows.values():
        assert row["status"] == "ok", row
        out |= row
    return out


def number(data: bytes, name: str) -> float:
    value = signals(data)[name]
    assert isinstance(value, int | float)
    return float(value)


def test_every_declared_column_is_filled_and_nothing_else() -> None:
    (found,) = examine([Task("0" * 32, encoded(photo()), ("header", "pixels", "hashes"))])
    for extractor in in_scan(()):
        row = found.rows[extractor.name]
        assert set(row) == {c.name for c in extractor.table.columns} - {"version"}
        extractor.table.from_rows([row])
        assert all(c.doc for c in extractor.columns)


def test_names_of_the_signals_are_the_contract() -> None:
    names = {e.table.name: [c.name for c in e.columns] for e in in_scan(())}
    assert list(names) == ["signals_hashes", "signals_header", "signals_pixels"]
    assert names["signals_hashes"][:2] == ["phash", "thumb64"]
    assert set(names["signals_pixels"]) >= {
        *("sharpness_256", "luma", "contrast", "saturation", "entropy", "texture", "colourfulness", "border_share"),
        *("work_width", "work_height"),
    }
    assert set(names["signals_header"]) >= {
        *("media_type", "format", "width", "height", "exif_orientation", "rotation_deg", "mirrored", "byte_size"),
        *("mode", "has_alpha", "bit_depth", "frames", "progressive", "jpeg_quality", "chroma_subsampling"),
        "bits_per_pixel",
    }


# --- header --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [1, 5, 10, 25, 49, 50, 51, 60, 75, 80, 85, 90, 92, 95, 97, 99, 100])
def test_jpeg_quality_is_read_from_the_tables(quality: int) -> None:
    for mode in ("RGB", "L"):
        assert read_header(encoded(photo(64, 48).convert(mode), quality=quality)).jpeg_quality == quality


def test_jpeg_quality_of_foreign_tables_is_the_nearest() -> None:
    flat = {"qtables": [[8] * 64, [8] * 64]}
    quality = read_header(encoded(photo(64, 48), **flat)).jpeg_quality
    assert quality is not None
    assert 80 < quality < 98


@pytest.mark.parametrize(("sampling", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_subsampling_and_progressive(sampling: int, name: str) -> None:
    header = read_header(encoded(photo(64, 48), subsampling=sampling, progressive=True))
    assert (header.chroma_subsampling, header.progressive) == (name, True)
    assert not read_header(encoded(photo(64, 48))).progressive


def test_rotation_and_mirroring_undo_how_the_picture_is_stored() -> None:
    image = photo(90, 60)
    for orientation in STORE:
        header = read_header(stored_as(image, orientation, "PNG"))
        stored = Image.open(io.BytesIO(stored_as(image, orientation, "PNG")))
        turned = stored.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if header.mirrored else stored
        turned = turned.rotate(-header.rotation_deg, expand=True)
        assert turned.tobytes() == image.tobytes(), orientation


def test_bits_per_pixel_is_of_the_file() -> None:
    data = encoded(photo(200, 100), "PNG")
    assert number(data, "bits_per_pixel") == len(data) * 8 / 20_000


# --- pixels: by hand -----------------------------------------------------------------------------------------------


def test_a_plain_grey_picture() -> None:
    found = signals(encoded(Image.new("RGB", (400, 300), (128, 128, 128)), "PNG"))
    plain = {k: found[k] for k in ("sharpness_256", "luma", "contrast", "saturation", "entropy", "texture")}
    assert plain == dict(zip(plain, (0, 128, 0, 0, 0, 0), strict=True))
    assert (found["colourfulness"], found["border_share"]) == (0, 1)
    assert (found["work_width"], found["work_height"]) == (341, 256)


def test_half_black_half_white() -> None:
    pixels = np.zeros((200, 200), np.uint8)
    pixels[:, 100:] = 255
    found = signals(encoded(Image.fromarray(pixels), "PNG"))
    assert (found["luma"], found["contrast"], found["entropy"]) == (127.5, 127.5, 1)
    # Of the 25 blocks across, the one on the edge is half and half.
    assert found["texture"] == pytest.approx(127.5 / 25)
    # The Laplacian is +-255 in the two columns at the edge, of 198 inner ones.
    assert found["sharpness_256"] == pytest.approx(255**2 * 2 / 198)


def test_pure_colours() -> None:
    for colour, saturation in (((255, 0, 0), 1), ((0, 0, 200), 1), ((200, 100, 100), 0.5), ((0, 0, 0), 0)):
        assert number(encoded(Image.new("RGB", (64, 64), colour), "PNG"), "saturation") == saturation


grey_arrays = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 255)).map(
        lambda shape: np.random.default_rng(seed).integers(0, shape[2] + 1, shape[:2], dtype=np.uint8)
    )
)


@given(grey_arrays)
@example(np.array([[6, 3, 6, 3, 3, 0]], np.uint8))  # its border once counted a column from both sides
def test_signals_of_luma_agree_with_their_definitions(luma: np.ndarray) -> None:
    y = luma.astype(np.float64)
    if min(y.shape) >= 3:
        laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * y[1:-1, 1:-1]
        assert laplacian_variance(luma) == pytest.approx(laplacian.var(), abs=1e-6)
    else:
        assert math.isfinite(laplacian_variance(luma))
    blocks = [y[i : i + 8, j : j + 8] for i in range(0, y.shape[0] - 7, 8) for j in range(0, y.shape[1] - 7, 8)]
    expected = np.mean([b.std() for b in blocks]) if blocks else y.std()
    assert texture(luma) == pytest.approx(expected, abs=1e-6)
    histogram = np.bincount(luma.ravel(), minlength=256).astype(np.float64)
    share = histogram[histogram > 0] / luma.size
    assert entropy(histogram) == pytest.approx(-(share * np.log2(share)).sum(), abs=1e-9)
    assert 0 <= border_share(luma) <= 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30))
def test_signals_of_colour_agree_with_their_definitions(seed: int, height: int, width: int) -> None:
    planes = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    r, g, b = planes.astype(np.float64)
    rg, yb = r - g, 0.5 * (r + g) - b
    expected = math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())
    assert colourfulness(planes) == pytest.approx(expected, abs=1e-6)
    high, low = np.max([r, g, b], axis=0), np.min([r, g, b], axis=0)
    assert mean_saturation(planes) == pytest.approx(((high - low) / np.maximum(high, 1)).mean(), abs=1e-6)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (30, 0), (0, 50), (30, 50)])
def test_border_is_measured_on_all_four_sides(level: int, top: int, left: int) -> None:
    luma = np.random.default_rng(1).integers(0, 256, (200, 300), dtype=np.uint8)
    framed = np.pad(luma, ((top, top + 10 * (top > 0)), (left, left)), constant_values=level)
    expected = 1 - luma.size / framed.size
    assert border_share(framed) == pytest.approx(expected)
    noise = np.random.default_rng(2).integers(-1, 2, framed.shape)
    noisy = np.clip(framed.astype(int) + noise, 0, 255).astype(np.uint8)
    assert border_share(noisy) == pytest.approx(expected, abs=0.01)


# --- pixels: what must order as it looks ---------------------------------------------------------------------------


def test_blur_lowers_sharpness_and_texture() -> None:
    image = photo(900, 700)
    seen = [signals(encoded(image.filter(ImageFilter.GaussianBlur(r)), "PNG")) for r in (0, 2, 5, 12)]
    for name in ("sharpness_256", "texture"):
        values = [float(s[name]) for s in seen]  # type: ignore[arg-type]
        assert values == sorted(values, reverse=True)
        assert values[0] > 2 * values[-1]


def test_darker_greyer_flatter() -> None:
    image = photo()
    before = signals(encoded(image, "PNG"))
    dark = signals(encoded(image.point(lambda v: v // 4), "PNG"))
    grey = signals(encoded(image.convert("L"), "PNG"))
    for name in ("luma", "contrast", "entropy"):
        assert dark[name] < before[name]  # type: ignore[operator]
    assert grey["saturation"] == grey["colourfulness"] == 0
    assert grey["luma"] == pytest.approx(before["luma"], abs=0.5)


def test_sharp_is_sharper_than_motion_blur_and_defocus(shared_data: Path) -> None:
    folder = shared_data / "filters_gt" / "blur"
    labels = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    sharpness = {r["label"]: number((folder / r["file"]).read_bytes(), "sharpness_256") for r in labels}
    assert sharpness["sharp"] > 2 * sharpness["motion_blur"]
    assert sharpness["sharp"] > 2 * sharpness["defocus_blur"]


def test_img2datasets_blurred_picture_is_less_sharp(shared_data: Path) -> None:
    folder = shared_data / "peer_suites" / "img2dataset" / "blur_test_files"
    sharp, blurred = (number((folder / f"{n}.png").read_bytes(), "sharpness_256") for n in ("original", "blurred"))
    assert sharp > blurred


def test_img2datasets_resize_cases(shared_data: Path) -> None:
    """Its filter's cases (sides under 200, aspect over 1.5) come out the same from our width and height."""
    folder = shared_data / "peer_suites" / "img2dataset"
    case = json.loads((folder / "expected_from_tests.json").read_text())["resizer_filter"][0]
    least, widest = case["params"]["min_image_size"], case["params"]["max_aspect_ratio"]
    verdicts: dict[str, int] = {}
    for file in sorted((folder / "resize_test_image").iterdir()):
        header = read_header(file.read_bytes())
        short, long = sorted((header.width, header.height))
        # img2dataset looks at the side first, then at the aspect.
        verdict = "image too small" if short < least else "aspect ratio too large" if long / short > widest else "ok"
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    assert verdicts == case["expected"]


def test_standard_images_are_all_judged(shared_data: Path) -> None:
    folder = shared_data / "filters_gt" / "standard_images"
    seen = {p.name: signals(p.read_bytes()) for p in sorted(folder.glob("*.*g")) if p.name != "truncated.jpg"}
    assert len(seen) == 8
    assert seen["camera.png"]["saturation"] == 0
    assert seen["horse.png"]["entropy"] < 2 < seen["camera.png"]["entropy"]  # type: ignore[operator]
    assert seen["clock_motion.png"]["sharpness_256"] < seen["coins.png"]["sharpness_256"]  # type: ignore[operator]
    assert seen["rocket.jpg"]["jpeg_quality"] is not None


def ranks(values: list[float]) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(float)


def test_cleanvision_ranks_the_same_photographs_alike(shared_data: Path) -> None:
    """Its low_information score grows with entropy, its light score falls with luma; sharpness it takes full-size."""
    folder = shared_data / "photos_captioned"
    with open(folder / "peer_scores_cleanvision_0.3.7.csv", newline="") as file:
        peer = {row[""]: row for row in csv.DictReader(file)}
    files = [p for p in sorted((folder / "images").iterdir()) if p.name in peer]
    assert len(files) > 100
    ours = [signals(p.read_bytes()) for p in files]

    def correlation(column: str, name: str) -> float:
        theirs = [float(peer[p.name][column]) for p in files]
        mine = [float(s[name]) for s in ours]  # type: ignore[arg-type]
        return float(np.corrcoef(ranks(theirs), ranks(mine))[0, 1])

    assert correlation("low_information_score", "entropy") > 0.9
    assert correlation("light_score", "luma") < -0.5  # its score falls as a picture gets brighter
    grey = {p.name for p, s in zip(files, ours, strict=True) if s["colourfulness"] == 0}
    assert grey >= {name for name in peer if float(peer[name]["grayscale_score"]) == 0}
    # It calls grey only what is stored in one channel; six photographs without colour are stored in three.
    assert {s["mode"] for p, s in zip(files, ours, strict=True) if p.name in grey} == {"L", "RGB"}


# --- the same picture, stored otherwise ----------------------------------------------------------------------------

LOOSE = {
    "sharpness_256": 0.08,
    "luma": 0.01,
    "contrast": 0.01,
    "saturation": 0.03,
    "entropy": 0.01,
    "texture": 0.05,
    "colourfulness": 0.03,
}


def assert_alike(found: dict[str, object], expected: dict[str, object], slack: float = 1.0) -> None:
    for name, share in LOOSE.items():
        assert found[name] == pytest.approx(expected[name], rel=share * slack), name


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_orientations_give_the_upright_pictures_signals(kind: str) -> None:
    image = photo(1000, 700)
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    upright = signals(stored_as(image, 1, kind, **options))
    for orientation in list(STORE)[1:]:
        found = signals(stored_as(image, orientation, kind, **options))
        assert_alike(found, upright)
        assert (found["width"], found["height"]) == (1000, 700)
        bits = np.unpackbits(np.frombuffer(found["phash"], np.uint8) ^ np.frombuffer(upright["phash"], np.uint8))  # type: ignore[arg-type]
        assert bits.sum() <= 8


def test_the_example_photographs_have_the_same_signals(shared_data: Path) -> None:
    folder = shared_data / "filters_gt" / "exif_orientation"
    upright = signals((folder / "Portrait_0.jpg").read_bytes())
    for i in range(1, 9):
        found = signals((folder / f"Portrait_{i}.jpg").read_bytes())
        assert_alike(found, upright)
        assert found["exif_orientation"] == i
        assert (found["width"], found["height"]) == (upright["width"], upright["height"])


def test_a_jpeg_has_the_signals_of_the_png_it_was_made_from() -> None:
    for size in ((640, 480), (1280, 960), (1600, 1200), (1023, 777)):
        image = photo(*size)
        assert_alike(signals(encoded(image, quality=97, subsampling=0)), signals(encoded(image, "PNG")), slack=3)


def test_a_picture_is_judged_alike_at_twice_the_size() -> None:
    image = photo(1600, 1200)
    small = image.resize((800, 600), Image.Resampling.LANCZOS)
    assert_alike(signals(encoded(image, quality=95)), signals(encoded(small, quality=95)), slack=4)


# --- extractors as files -------------------------------------------------------------------------------------------


def test_a_file_in_a_named_folder_is_an_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pages.py").write_text(MINE)
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(tmp_path))
    assert [e.name for e in in_scan()] == ["hashes", "header", "pages", "pixels"]
    monkeypatch.delenv("GLYPHMILL_EXTRACTORS")
    assert [e.name for e in in_scan()] == ["hashes", "header", "pixels"]


MINE = """
import pyarrow as pa
from pipelines.extractors.base import Extractor
from warehouse.schema import Column

EXTRACTOR = Extractor("pages", "1", "doc", (Column("n", pa.int32(), "frames"),),
                      lambda batch: [{"n": s.header.frames} for s in batch], needs="header")
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "defines no extractor"),
        ("import nothing_of_the_kind", "cannot be imported"),
        (MINE.replace('"pages"', '"pixels"'), "already defined"),
        (MINE.replace('"pages"', '"My Pages"'), "no name for a table"),
    ],
)
def test_what_is_no_extractor_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UsageError, match=says):
        discover((str(tmp_path),))
    with pytest.raises(UsageError, match="no folder of extractors"):
        discover((str(tmp_path / "nowhere"),))


def test_an_extractor_that_fails_on_an_image_gives_an_error_row(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(MINE.replace("s.header.frames", "1 // (s.header.frames - 1)"))
    (found,) = examine([Task("a" * 32, encoded(photo()), ("pages", "pixels"), folders=(str(tmp_path),))])
    assert found.error is None
    assert found.rows["pixels"]["status"] == "ok"
    assert found.rows["pages"]["status"] == "error"
    assert str(found.rows["pages"]["error"]).startswith("extractor: ZeroDivisionError")


def test_one_bad_image_in_a_batch_costs_its_own_row_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(MINE.replace("s.header.frames", "1 // (s.header.width - 31)"))
    files = [encoded(photo(side, 20)) for side in (30, 31, 32)] + [b"", encoded(photo())[:-200]]
    tasks = [
        Task(f"{i}" * 32, data, ("pages", "pixels", "hashes"), folders=(str(tmp_path),)) for i, data in enumerate(files)
    ]
    together, alone = examine(tasks), [examine([task])[0] for task in tasks]
    assert together == alone
    assert [f.rows["pages"]["status"] if "pages" in f.rows else None for f in together] == [
        "ok",
        "error",
        "ok",
        None,
        "ok",
    ]
    assert [f.error and f.error.split(":")[0] for f in together] == [None, None, None, "empty", "truncated"]


def test_header_signals_survive_pixels_that_cannot_be_decoded() -> None:
    data = encoded(photo())
    (found,) = examine([Task("a" * 32, data[: len(data) // 2], ("header", "pixels", "hashes"))])
    assert found.error is not None
    assert found.error.startswith("truncated")
    assert list(found.rows) == ["header"]


def test_nothing_is_decoded_where_only_the_header_is_wanted() -> None:
    data = encoded(photo())
    (found,) = examine([Task("a" * 32, data[: len(data) // 2], ("header",), judge=False)])
    assert found.error is None
    assert list(found.rows) == ["header"]


def test_decode_is_deterministic() -> None:
    data = encoded(photo(1200, 900))
    assert decode(data).luma.tobytes() == decode(data).luma.tobytes()
