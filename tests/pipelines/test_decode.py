"""Header, bomb guard and the one decode: each file is read for what it is, or refused for a reason that has a name."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import STORE, encoded, photo, png, stored_as
from PIL import Image

from pipelines.decode import WORK_LONGEST, WORK_SIDE, decode, working_size
from pipelines.header import MAX_PIXELS, read_header
from pipelines.reasons import Reason, UnreadableError
from pipelines.sniff import exif_orientation, sniff

REPO = Path(__file__).resolve().parents[2]


def reason(data: bytes) -> Reason | None:
    """Why the bytes cannot be judged; None where they can."""
    try:
        picture = decode(data)
    except UnreadableError as error:
        caught = error
    else:
        assert picture.luma.shape == picture.size[::-1]
        assert picture.rgb.shape == (*picture.size[::-1], 3)
        assert picture.luma64.shape == (64, 64)
        return None
    assert str(caught).startswith(f"{caught.reason}: ")
    assert "\n" not in str(caught)
    assert " at 0x" not in str(caught)
    return caught.reason


# --- what the bytes are --------------------------------------------------------------------------------------------

KINDS = [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tiff")]
KINDS.append(("AVIF", "avif"))


@pytest.mark.parametrize(("pillow", "ours"), KINDS)
def test_every_format_is_read(pillow: str, ours: str) -> None:
    image = photo(300, 200)
    data = encoded(image, pillow)
    header = read_header(data)
    assert (header.format, header.width, header.height, header.byte_size) == (ours, 300, 200, len(data))
    assert header.media_type == f"image/{ours}"
    difference = np.abs(decode(data).luma.astype(int) - np.asarray(image.convert("L"))).mean()
    assert difference < (12 if pillow == "GIF" else 8)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", Reason.EMPTY),
        (b"\0", Reason.UNIDENTIFIED),
        (b"<html><body>404</body></html>", Reason.UNSUPPORTED),
        (b"  \n<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED),
        (b"%PDF-1.7", Reason.UNSUPPORTED),
        (b"P6 2 2 255 aaaaaaaaaaaa", Reason.UNSUPPORTED),
        (b"8BPS\0\1", Reason.UNSUPPORTED),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", Reason.UNSUPPORTED),
        (b"\xff\xd8\xff\xe0", Reason.CORRUPT),
        (b"\x89PNG\r\n\x1a\n", Reason.CORRUPT),
        (b"GIF89a", Reason.CORRUPT),
        (b"RIFF\x10\0\0\0WEBP", Reason.TRUNCATED),
    ],
)
def test_what_is_no_picture_says_so(data: bytes, why: Reason) -> None:
    assert reason(data) == why


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_picture_or_a_reason(data: bytes) -> None:
    reason(data)


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]), st.data())
def test_a_damaged_file_ends_in_a_picture_or_a_reason(kind: str, draw: st.DataObject) -> None:
    data = bytearray(encoded(photo(40, 30), kind))
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    reason(bytes(data))


def test_heic_is_known_and_needs_its_extra() -> None:
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    assert sniff(data) == "heif"
    with pytest.raises(UnreadableError) as caught:
        read_header(data)
    assert caught.value.reason in (Reason.UNSUPPORTED, Reason.CORRUPT)


# --- the bomb guard ------------------------------------------------------------------------------------------------


def test_a_bomb_is_refused_by_its_header() -> None:
    data = png(30_000, 30_000)
    assert len(data) < 150_000
    with pytest.raises(UnreadableError, match="bomb"):
        read_header(data)
    assert Image.MAX_IMAGE_PIXELS == 89_478_485  # no process-wide switch was touched


PEAK = """
import sys
from pathlib import Path
from pipelines.decode import decode
from pipelines.reasons import UnreadableError

def peak():  # KB; ru_maxrss would be handed down from the parent process
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

decode(Path(sys.argv[1]).read_bytes()).luma  # whatever a first picture loads
before, data = peak(), Path(sys.argv[2]).read_bytes()
try:
    decode(data)
    print("decoded", peak() - before)
except UnreadableError as error:
    print(error.reason, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("side", "outcome"), [(30_000, "bomb"), (8_000, "decoded")])
def test_a_bomb_takes_no_memory(side: int, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(encoded(photo(300, 200), "PNG"))
    (tmp_path / "large.png").write_bytes(png(side, side))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "small.png"), str(tmp_path / "large.png")]
    said = subprocess.run(command, cwd=REPO, check=True, capture_output=True, text=True).stdout.split()
    assert said[0] == outcome
    kilobytes = int(said[1])
    assert kilobytes < 4_000 if outcome == "bomb" else kilobytes > 30_000  # the measure does see a real decode


@pytest.mark.parametrize("switch", [None, 1000])
def test_the_guard_does_not_hang_on_pillows_switch(switch: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = png(15_000, 12_000)
    assert MAX_PIXELS < 15_000 * 12_000
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", switch)
    assert reason(data) == Reason.BOMB


def test_a_webp_bomb_is_refused_before_its_canvas_is_made() -> None:
    head = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (16382).to_bytes(3, "little") * 2
    assert reason(b"RIFF" + struct.pack("<I", 4 + len(head)) + b"WEBP" + head) == Reason.BOMB


# --- what is cut or broken -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_half_a_picture_is_an_error(kind: str, share: float) -> None:
    data = encoded(photo(), kind)
    assert reason(data[: int(len(data) * share)]) in (Reason.TRUNCATED, Reason.CORRUPT)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
def test_half_a_jpeg_is_truncated_and_not_filled_with_grey(options: dict[str, object], mode: str, share: float) -> None:
    data = encoded(photo().convert(mode), "JPEG", **options)
    assert reason(data[: int(len(data) * share)]) == Reason.TRUNCATED


def test_a_cut_jpeg_with_its_end_mark_glued_on_is_truncated() -> None:
    data = encoded(photo())
    assert reason(data[: len(data) // 2] + b"\xff\xd9") == Reason.TRUNCATED


def test_a_jpeg_that_lacks_but_its_end_mark_is_truncated_as_for_pillow() -> None:
    assert reason(encoded(photo())[:-2]) == Reason.TRUNCATED


def test_a_jpeg_followed_by_junk_is_whole() -> None:
    assert reason(encoded(photo()) + b"junk" * 100) is None


def test_skimages_truncated_jpeg(shared_data: Path) -> None:
    data = (shared_data / "filters_gt" / "standard_images" / "truncated.jpg").read_bytes()
    assert reason(data) == Reason.TRUNCATED


#: Files of the broken set whose outcome is not what its manifest's Pillow 13 said, and why.
BROKEN_EXCEPTIONS = {
    "pillow/crash-0da013a13571cc8eb457a39fee8db18f8a3c7127.tif": "libtiff 4.7 as in Pillow 12 refuses the strip",
    "pillow/crash-74d2a78403a5a59db1fb0a2b8735ac068a75f6e3.tif": "libtiff 4.7 as in Pillow 12 refuses the strip",
}


def test_the_broken_set_ends_as_its_manifest_says(shared_data: Path) -> None:
    """`decodes` is judged, everything else is an error row; formats that are not read here are `unsupported`."""
    folder = shared_data / "broken"
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert len(lines) == 367  # and the manifest
    outcomes: Counter[tuple[str, str]] = Counter()
    surprises = {}
    for line in lines:
        found = reason((folder / line["file"]).read_bytes())
        outcomes[line["verdict"], str(found)] += 1
        if (found is None) != (line["verdict"] == "decodes") and found != Reason.UNSUPPORTED:
            surprises[line["file"]] = str(found)
    assert surprises.keys() <= BROKEN_EXCEPTIONS.keys(), surprises
    assert sum(count for (verdict, found), count in outcomes.items() if verdict == "decodes" and found == "None") >= 129
    # 17 bombs: 10 in formats that are read, the others in formats that are not even opened.
    assert outcomes["bomb", "bomb"] == 10
    assert all(found in ("bomb", "unsupported", "unidentified") for verdict, found in outcomes if "bomb" in verdict)


# --- true colours --------------------------------------------------------------------------------------------------

RAMP = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (32, 1))


def as_file(image: Image.Image, kind: str) -> bytes:
    return encoded(image, kind)


def test_16_bit_luma_is_scaled_not_clipped() -> None:
    wide = Image.fromarray(RAMP.astype(np.uint16) * 257)
    for kind in ("PNG", "TIFF"):
        data = as_file(wide, kind)
        assert read_header(data).bit_depth == 16
        assert np.abs(decode(data).luma.astype(int) - RAMP).max() <= 1


def test_16_bit_big_endian_tiff() -> None:
    wide = Image.frombytes("I;16B", (64, 32), (RAMP.astype(">u2") * 257).tobytes())
    assert np.abs(decode(as_file(wide, "TIFF")).luma.astype(int) - RAMP).max() <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 5000.0])
def test_float_luma_keeps_its_shape(top: float) -> None:
    data = as_file(Image.fromarray(RAMP.astype(np.float32) / 255 * top), "TIFF")
    assert np.abs(decode(data).luma.astype(int) - RAMP).max() <= 1


def test_transparency_is_shown_on_white() -> None:
    clear = np.zeros((20, 20, 4), np.uint8)
    clear[:, 10:] = (200, 0, 0, 255)
    for kind in ("PNG", "WEBP"):
        data = encoded(Image.fromarray(clear), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        rgb = decode(data).rgb
        assert read_header(data).has_alpha
        assert (rgb[:, :10] == 255).all()
        assert (rgb[:, 10:] == (200, 0, 0)).all()


def test_half_transparent_grey_is_mixed_with_white() -> None:
    half = np.zeros((8, 8, 2), np.uint8)
    half[..., 1] = 128
    luma = decode(encoded(Image.fromarray(half, "LA"), "PNG")).luma
    assert (luma == 127).all()


def test_what_is_transparent_does_not_bleed_into_a_reduction() -> None:
    pixels = np.zeros((1200, 1200, 4), np.uint8)  # black, and wholly transparent
    pixels[::2, :, :] = (255, 255, 255, 255)
    assert (decode(encoded(Image.fromarray(pixels), "PNG")).luma == 255).all()


def test_palettes_and_their_transparent_colour() -> None:
    image = Image.fromarray(RAMP).convert("P")
    assert np.abs(decode(encoded(image, "PNG")).luma.astype(int) - RAMP).max() <= 1
    data = encoded(image, "PNG", transparency=0)
    assert read_header(data).has_alpha
    assert decode(data).luma[0, 0] == 255


def test_bits_cmyk_lab_and_grey() -> None:
    checks = Image.fromarray((np.indices((40, 40)).sum(0) % 2 * 255).astype(np.uint8))
    assert set(np.unique(decode(encoded(checks.convert("1"), "PNG")).luma)) == {0, 255}
    red = Image.new("RGB", (50, 50), (255, 0, 0))
    cmyk = decode(encoded(red.convert("CMYK"), "JPEG", quality=95)).rgb.reshape(-1, 3).mean(0)
    assert cmyk[0] > 240
    assert cmyk[1:].max() < 20
    lab = Image.new("LAB", (50, 50), (136, 208, 195))  # sRGB red
    assert np.abs(decode(encoded(lab, "TIFF")).rgb[0, 0].astype(int) - (255, 0, 0)).max() < 12
    grey = decode(encoded(photo().convert("L")))
    assert grey.is_gray
    assert (grey.rgb[..., 0] == grey.rgb[..., 2]).all()


def test_only_the_first_frame_counts() -> None:
    first, second = Image.new("RGB", (30, 30), "black"), Image.new("RGB", (30, 30), "white")
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        data = encoded(first, kind, save_all=True, append_images=[second])
        assert read_header(data).frames == 2, kind
        assert decode(data).luma.max() < 5, kind


# --- upright -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", sorted(STORE))
def test_every_orientation_is_brought_upright(kind: str, orientation: int) -> None:
    image = photo(420, 300)
    data = stored_as(image, orientation, kind)
    header, upright = read_header(data), decode(data)
    assert header.orientation == orientation
    assert (header.width, header.height) == (420, 300)
    assert upright.size == working_size(420, 300)
    expected = decode(encoded(image, "PNG")).luma.astype(int)
    assert np.abs(upright.luma - expected).mean() < 4


def test_orientation_behind_the_pixels_of_a_png_counts() -> None:
    data = stored_as(photo(60, 40), 6, "PNG")
    at = data.index(b"eXIf") - 4
    length = int.from_bytes(data[at : at + 4], "big") + 12
    chunk, rest = data[at : at + length], data[:at] + data[at + length :]
    moved = rest[:-12] + chunk + rest[-12:]
    assert read_header(moved).orientation == 6
    assert decode(moved).size == (60, 40)


def test_a_wrong_checksum_spoils_a_pngs_orientation() -> None:
    data = bytearray(stored_as(photo(60, 40), 6, "PNG"))
    at = data.index(b"eXIf")
    body = bytes(data[at : at + 4 + int.from_bytes(data[at - 4 : at], "big")])
    assert zlib.crc32(body)
    data[at + len(body)] ^= 1
    assert exif_orientation(None) == 1
    assert reason(bytes(data)) in (None, Reason.CORRUPT)


def exif(entries: list[tuple[int, int, int, int]], order: str = "<") -> bytes:
    body = struct.pack(f"{order}H", len(entries))
    body += b"".join(struct.pack(f"{order}HHIHH", tag, kind, count, value, 0) for tag, kind, count, value in entries)
    return b"Exif\0\0" + (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("entry", "expected"),
    [((0x0112, 3, 1, 6), 6), ((0x0112, 3, 1, 0), 1), ((0x0112, 3, 1, 9), 1), ((0x0112, 2, 1, 6), 1), ((1, 3, 1, 6), 1)],
)
def test_orientation_tag(order: str, entry: tuple[int, int, int, int], expected: int) -> None:
    block = exif([(0x010F, 3, 1, 0), entry], order)
    assert exif_orientation(block) == exif_orientation(block[6:]) == expected


@given(st.binary(max_size=80))
def test_broken_exif_is_no_orientation(data: bytes) -> None:
    for block in (data, b"Exif\0\0" + data, b"II*\0" + data, b"Exif\0\0MM\0*" + data):
        assert 1 <= exif_orientation(block) <= 8


@given(st.binary(max_size=60))
def test_a_jpeg_with_broken_exif_is_read_as_it_lies(junk: bytes) -> None:
    image = photo(48, 32)
    data = encoded(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + junk)
    assert read_header(data).orientation == 1
    assert reason(data) is None


def test_the_example_photographs_agree(shared_data: Path) -> None:
    folder = shared_data / "filters_gt" / "exif_orientation"
    pictures = [decode((folder / f"Portrait_{i}.jpg").read_bytes()) for i in range(9)]
    assert len({p.size for p in pictures}) == 1
    for picture in pictures[1:]:
        assert np.abs(picture.luma.astype(int) - pictures[0].luma).mean() < 2


# --- the working size ----------------------------------------------------------------------------------------------


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_working_size(width: int, height: int) -> None:
    wide, high = working_size(width, height)
    assert 1 <= wide <= min(width, WORK_LONGEST)
    assert 1 <= high <= min(height, WORK_LONGEST)
    assert min(wide, high) <= WORK_SIDE
    assert working_size(height, width) == (high, wide)
    if min(width, height) <= WORK_SIDE and max(width, height) <= WORK_LONGEST:
        assert (wide, high) == (width, height)
    elif max(width, height) <= 4 * min(width, height):
        assert min(wide, high) == WORK_SIDE


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (255, 257), (1280, 960), (2000, 300)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_any_shape_is_decoded_to_its_working_size(size: tuple[int, int], kind: str) -> None:
    picture = decode(encoded(photo(*size), kind))
    assert picture.size == working_size(*size)
    assert picture.luma.shape == picture.size[::-1]
    assert picture.rgb.shape == (*picture.size[::-1], 3)
    assert picture.colours.shape[0] == 3


def test_a_jpeg_is_decoded_at_reduced_scale() -> None:
    assert decode(encoded(photo(1600, 1200))).image.size == (400, 300)


def test_icc_and_metadata_do_not_matter_to_pixels() -> None:
    image = photo(100, 80)
    out = io.BytesIO()
    image.save(out, "PNG")
    assert (decode(out.getvalue()).rgb == np.asarray(image)).all()
