"""From original bytes to the pixels of a bucket: upright, resized to cover, cut in the centre."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

#: What decides the pixels beside the bytes; raise the number when this file gives others.
RULE = f"cover-centre-1, pillow {PIL.__version__}"
_ORIENTATION = 0x0112
_FAULTS = (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error, Image.DecompressionBombError)

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), RGB


class UndecodableError(Exception):
    """Bytes that are no picture, or only a part of one."""


@dataclass(frozen=True)
class Fitted:
    """A picture as it is encoded. `source`: (width, height) of the upright original; `box`: the part of it that was
    kept, (left, top, right, bottom) in its pixels."""

    pixels: Pixels
    source: tuple[int, int]
    box: tuple[float, float, float, float]


def crop_box(width: int, height: int, to_width: int, to_height: int) -> tuple[float, float, float, float]:
    """The largest centred box of `to_width`:`to_height` in a picture of width x height: (left, top, right, bottom)."""
    scale = min(width / to_width, height / to_height)
    across, down = min(to_width * scale, width), min(to_height * scale, height)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def fitted(data: bytes, height: int, width: int) -> Fitted:
    """The picture in `data`, first frame, EXIF-upright, transparency on white, resized to cover height x width pixels
    and cut in the centre. Raises UndecodableError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Pillow turns a TIFF by itself and tells its upright size
            turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            across, down = (image.height, image.width) if turned else image.size
            box = crop_box(across, down, width, height)
            _reduce_while_decoding(image, turned, (across, down), box, (width, height))
            upright = ImageOps.exif_transpose(_true_colours(image))
    except UnidentifiedImageError as error:
        raise UndecodableError("it is of no kind of picture that is known here") from error
    except _FAULTS as error:
        raise UndecodableError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    return Fitted(_cut(upright, (across, down), box, height, width), (across, down), box)


def covering(pixels: Pixels, height: int, width: int) -> Pixels:
    """An upright picture (H, W, 3) as `fitted` makes it of bytes that hold just these pixels: resized to cover
    height x width, cut in the centre. One of that size stays as it is."""
    down, across = pixels.shape[:2]
    if (down, across) == (height, width):
        return pixels
    return _cut(Image.fromarray(pixels), (across, down), crop_box(across, down, width, height), height, width)


def _cut(
    upright: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float], height: int, width: int
) -> Pixels:
    """`box` of an RGB picture at height x width. `size`: the (width, height) that the box counts in; the picture may
    be smaller, decoded in part."""
    x, y = upright.width / size[0], upright.height / size[1]
    here = (
        max(0.0, box[0] * x), max(0.0, box[1] * y),
        min(float(upright.width), box[2] * x), min(float(upright.height), box[3] * y),
    )  # fmt: skip
    return np.asarray(upright.resize((width, height), Image.Resampling.LANCZOS, box=here))


def _reduce_while_decoding(
    image: Image.Image,
    turned: bool,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    to: tuple[int, int],
) -> None:
    """Let a JPEG decoder give a half, quarter or eighth, as long as twice the pixels that are needed remain."""
    if image.format != "JPEG":
        return
    need = (2 * to[0] * size[0] / (box[2] - box[0]), 2 * to[1] * size[1] / (box[3] - box[1]))
    image.draft(None, (int(need[1]), int(need[0])) if turned else (int(need[0]), int(need[1])))


def _true_colours(image: Image.Image) -> Image.Image:
    """Any mode to RGB, with the EXIF that tells how it lies."""
    image.load()
    exif = image.getexif()
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        made = Image.fromarray(((np.clip(values, 0, 0xFFFF) * 255 + 32895) >> 16).astype(np.uint8)).convert("RGB")
    elif image.mode == "F":  # 0 to 1 where all is within, else 0 to 255
        floats = np.nan_to_num(np.asarray(image), nan=0.0, posinf=0.0, neginf=0.0)
        top = 1.0 if floats.min() >= 0 and floats.max() <= 1 else 255.0
        made = Image.fromarray(np.rint(np.clip(floats / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    elif image.mode == "LAB":
        made = _lab_to_rgb(image)
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        alpha = image.convert("RGBA")
        made = Image.new("RGB", alpha.size, (255, 255, 255))
        made.paste(alpha, mask=alpha.getchannel("A"))
    else:
        made = image.convert("RGB")
    if _ORIENTATION in exif:
        made.getexif()[_ORIENTATION] = exif[_ORIENTATION]
    return made


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    made = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if made is None:
        raise UndecodableError("Lab colours cannot be converted")
    return made
