"""One decode of one image at reduced scale, upright and in true colours: what every pixel signal is measured on.

The working size is one rule for every format: the shorter side 256, never enlarged, the longer at most 1024. A JPEG is
decoded at the smallest of libjpeg's scales that is not below it; other formats are decoded whole and reduced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from pipelines.header import Header, open_image, read_header
from pipelines.reasons import FAULTS, Reason, UnreadableError, unreadable

#: Raise it when the same bytes would give other pixels by this file's own doing.
DECODE_VERSION = 1

WORK_SIDE = 256
WORK_LONGEST = 1024
SAMPLE_SIDE = 64

Gray = npt.NDArray[np.uint8]  # (height, width)
Colour = npt.NDArray[np.uint8]  # (height, width, 3), RGB
Planes = npt.NDArray[np.uint8]  # (3, height, width), RGB

#: Pillow's way to bring a picture stored with each EXIF orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright, from which each view is made once and only if a signal asks for it.

    `image` is Pillow's, mode L, RGB or RGBX (RGB and a byte of nothing), no smaller than `size`, the working
    (width, height).
    """

    image: Image.Image
    size: tuple[int, int]

    @property
    def is_gray(self) -> bool:
        return self.image.mode == "L"

    @cached_property
    def gray(self) -> Image.Image:
        """Luma (ITU-R 601-2) as decoded, mode L."""
        return self.image if self.is_gray else self.image.convert("L")

    @cached_property
    def luma_image(self) -> Image.Image:
        """Luma at the working size, mode L."""
        return _resized(self.gray, self.size)

    @cached_property
    def luma(self) -> Gray:
        """(height, width) luma 0-255 at the working size."""
        return np.asarray(self.luma_image)

    @cached_property
    def luma64(self) -> Gray:
        """(64, 64) luma 0-255 of the whole picture, aspect given up."""
        small = min(self.size) < 64
        how = Image.Resampling.BILINEAR if small else Image.Resampling.BOX
        return np.asarray(self.luma_image.resize((64, 64), how))

    @cached_property
    def rgb(self) -> Colour:
        """(height, width, 3) RGB 0-255 at the working size."""
        return _rgb(_resized(self.image, self.size))

    @cached_property
    def colours(self) -> Planes:
        """(3, height, width) RGB 0-255 with the shorter side SAMPLE_SIDE, for statistics of colour.

        The nearest pixels of the decoded picture: a fair sample of it, not made to be looked at.
        """
        scale = min(1.0, SAMPLE_SIDE / min(self.size))
        size = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))
        return np.ascontiguousarray(_rgb(_resized(self.image, size, Image.Resampling.NEAREST)).transpose(2, 0, 1))


def _rgb(image: Image.Image) -> Colour:
    pixels = np.asarray(image)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels[..., :3]


def _resized(image: Image.Image, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BOX) -> Image.Image:
    """Reduced by means of areas: on photographs whose shorter side was 256 to 1024, the sharpness of one scene then
    stays within a factor of 1.3. With Pillow's triangle (BILINEAR) it varies by 3, as that blurs by how much is left to
    reduce after the scaled decode."""
    return image if image.size == size else image.resize(size, how)


def working_size(width: int, height: int) -> tuple[int, int]:
    """Working (width, height) of a picture of this upright size, in pixels."""
    scale = min(1.0, WORK_SIDE / min(width, height), WORK_LONGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def decode(data: bytes, header: Header | None = None) -> Picture:
    """The upright picture of an image file, first frame, transparency on white.

    Raises UnreadableError: what `read_header` raises, and TRUNCATED, CORRUPT or MEMORY from the decoder. A picture that
    is only partly there is an error, never filled up.
    """
    header = header or read_header(data)
    size = working_size(header.width, header.height)
    return Picture(_upright(data, header, size), size)


def decode_full(data: bytes, header: Header | None = None) -> Image.Image:
    """The upright picture at its own size, mode RGB, first frame, transparency on white. Raises what `decode` does."""
    header = header or read_header(data)
    image = _upright(data, header, (header.width, header.height))
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(data: bytes, header: Header, size: tuple[int, int]) -> Image.Image:
    """The picture upright, no smaller than `size`, mode L, RGB or RGBX."""
    stored = size if header.orientation < 5 else (size[1], size[0])
    image = None
    try:
        if header.format == "jpeg" and header.mode in ("L", "RGB"):
            image = _decode_jpeg(data, header.mode, stored)
        if image is None:
            image = _decode_pillow(data, header.format, stored)
    except (*FAULTS, MemoryError) as error:
        raise unreadable(error, f"decoding {header.format.upper()}") from error
    # Pillow has already turned a TIFF.
    turn = None if header.format == "tiff" else _UPRIGHT.get(header.orientation)
    return image if turn is None else image.transpose(turn)


def _decode_jpeg(data: bytes, mode: str, size: tuple[int, int]) -> Image.Image | None:
    """Scaled decode by libjpeg-turbo; None where it warns of something that Pillow shall judge."""
    # Pillow takes pixels of four bytes as they are, those of three it must copy.
    colours, mode = ("GRAY", "L") if mode == "L" else ("RGBX", "RGBX")
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, min_width=size[0], min_height=size[1], min_factor=2, strict=True)
    except ValueError as error:
        # "Premature end of data segment": a part of the picture is missing. Any other warning (stray bytes between
        # markers, an unknown Adobe transform) may well leave it whole.
        if "premature end" in str(error).lower():
            raise
        return None
    height, width = pixels.shape[:2]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _decode_pillow(data: bytes, kind: str, size: tuple[int, int]) -> Image.Image:
    image: Image.Image = open_image(data, kind)
    if kind == "jpeg":
        image.draft(image.mode, size)
    image.load()
    return _true_colours(image, size)


def _true_colours(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Any mode to L or RGB on white, reduced by a whole factor on the way where it is twice `size` or more."""
    if image.mode in ("P", "PA") or (image.mode in ("1", "L", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.mode in ("1", "La", "LA"):
        image = image.convert({"1": "L", "La": "LA", "LA": "LA"}[image.mode])
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image)
    elif image.mode == "LAB":
        image = _lab_to_rgb(image)
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "RGBa"):
        image = image.convert("RGB")
    alpha = {"LA": "La", "RGBA": "RGBa"}.get(image.mode)
    if alpha:
        # Colours weighted by their alpha: a reduction must not bleed what is transparent.
        image = image.convert(alpha)
    factor = min(image.width // size[0], image.height // size[1])
    if factor > 1:
        image = image.reduce(factor)
    return _on_white(image) if image.mode in ("La", "RGBa") else image


def _on_white(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    clear = 255 - pixels[..., -1:]
    # Premultiplied colour + white x (1 - alpha); a file may store a colour above its alpha, hence the clip.
    out = np.minimum(pixels[..., :-1].astype(np.uint16) + clear, 255).astype(np.uint8)
    return Image.fromarray(out[..., 0] if out.shape[-1] == 1 else out)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float luma scaled to 0-255 by the range of its type: never clipped, never wrapped.

    Float: as 0-1 where it stays within, as 0-255 where it stays within, else its own range.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, copy=True, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (0.0, 255.0) if low >= 0 and high <= 255 else (low, high)
        return Image.fromarray(np.rint((values - low) * (255 / (high - low))).astype(np.uint8))
    if values.dtype.itemsize == 2 or (values.min() >= 0 and values.max() <= 0xFFFF):
        wide = values.astype(np.uint32)
        return Image.fromarray(((wide * 255 + 32895) >> 16).astype(np.uint8))
    # 32 bits, which Pillow holds as signed: the sign bit turned gives the order of the unsigned value back.
    return Image.fromarray((values.view(np.uint32) >> 24).astype(np.uint8))


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise UnreadableError(Reason.CORRUPT, "Lab colours cannot be converted")
    return converted


@cache
def decoder_versions() -> str:
    """Versions of everything that turns bytes into pixels: part of the name of each part measured from them."""
    found = [f"decode {DECODE_VERSION}"]
    for package in ("pillow", "simplejpeg", "pillow-heif"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
