"""A small messy corpus to try the mill on. Seeded: the same files every time.

Real photographs that scikit-image and scikit-learn carry, and what goes wrong with photographs in the wild, made from
them.
"""

from __future__ import annotations

import csv
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from warehouse.errors import MissingDependency, UsageError

SEED = 20261121
CROPS_PER_PHOTO = 9
EXIF_ORIENTATION = 0x0112

PHOTOS: dict[str, str] = {
    "skimage:astronaut.png": "An astronaut in an orange suit smiles in front of a flag and a model of a shuttle",
    "skimage:camera.png": "A black and white photograph of a man filming with a camera on a tripod",
    "skimage:chelsea.png": "A close portrait of a tabby cat with green eyes",
    "skimage:coffee.png": "A cup of black coffee with a spoon on a wooden table",
    "skimage:hubble_deep_field.jpg": "Hundreds of distant galaxies on a black sky, taken by a space telescope",
    "skimage:ihc.png": "A microscope picture of stained tissue in brown and blue",
    "skimage:motorcycle_left.png": "A motorcycle parked in a cluttered garage",
    "skimage:retina.jpg": "The back of a human eye with its blood vessels",
    "skimage:rocket.jpg": "A rocket on its launch pad at night",
    "skimage:brick.png": "A wall of grey bricks",
    "skimage:grass.png": "Short grass seen from above",
    "skimage:gravel.png": "Fine gravel, evenly lit",
    "sklearn:china.jpg": "A temple with a curved roof behind trees",
    "sklearn:flower.jpg": "A pink dahlia in full bloom against dark leaves",
}

PAGES = (
    "Opening hours\nMonday to Friday\n9 am to 6 pm",
    "The quick brown fox\njumps over the lazy dog\nand reads the paper",
    "Chapter one\nIt was a bright cold day\nand the clocks were right",
    "Fresh coffee 2.40\nGreen tea 2.10\nApple cake 3.60",
    "Platform 4\nNorth Harbour 10:42\non time",
    "Annual report\nRevenue grew by 12 %\nCosts fell by 3 %",
)

BAD_CAPTIONS = (
    "IMG_4032.JPG",
    "I'm sorry, I cannot describe this image.",
    "https://example.org/photos/4032?size=large",
    "buy buy buy buy buy buy buy buy buy buy",
    "",
)


@dataclass(frozen=True)
class Picture:
    """A crop of a photograph with its caption; `name` is unique in the corpus."""

    name: str
    caption: str
    image: Image.Image


def make_corpus(folder: Path, seed: int = SEED) -> dict[str, int]:
    """Write the corpus below `folder`, which must be empty or absent, and return how many files of each kind it holds.

    Raises UsageError where the folder holds something, MissingDependency where the packages with the photographs are
    not installed.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder for the demo corpus")
    rng = np.random.default_rng(seed)
    pictures = list(_crops(rng))
    counts: dict[str, int] = {}
    for kind, write in _DELIVERIES.items():
        target = folder / kind
        target.mkdir(parents=True, exist_ok=True)
        counts[kind] = write(target, pictures, rng)
    return counts


# --- the good part: photographs, in the three ways people deliver captions


def _photographs(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """JPEG, PNG and WebP with a .txt sidecar each; some captions are of the kind nobody wants."""
    suffixes = ("jpg", "jpg", "jpg", "png", "webp")
    for number, picture in enumerate(pictures):
        suffix = suffixes[number % len(suffixes)]
        _save(picture.image, folder / f"{picture.name}.{suffix}")
        caption = picture.caption if number % 12 else BAD_CAPTIONS[number // 12 % len(BAD_CAPTIONS)]
        (folder / f"{picture.name}.txt").write_text(caption + "\n", encoding="utf-8")
    return len(pictures)


def _pages(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """Pages of printed text with a captions.jsonl beside them; one line of it names a file that is not there."""
    rows = []
    for number in range(4 * len(PAGES)):
        text = PAGES[number % len(PAGES)]
        size, scale = int(rng.integers(34, 64)), float(rng.uniform(0.8, 1.3))
        name = f"page-{number:02d}.png"
        _page(text, size, scale, rng).save(folder / name)
        quoted = text.replace("\n", " ")
        rows.append({"file_name": name, "caption": f'A printed page that reads "{quoted}"', "license": "CC0-1.0"})
    rows.append({"file_name": "page-99.png", "caption": "A page that was never delivered", "license": "CC0-1.0"})
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 4 * len(PAGES)


def _page(text: str, size: int, scale: float, rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (int(640 * scale), int(480 * scale)), tuple(int(v) for v in rng.integers(225, 256, 3)))
    draw = ImageDraw.Draw(page)
    ink = tuple(int(v) for v in rng.integers(0, 90, 3))
    draw.multiline_text((40, 40), text, fill=ink, font=ImageFont.load_default(size), spacing=size // 2)
    draw.rectangle((8, 8, page.width - 9, page.height - 9), outline=ink, width=3)
    return page


# --- what goes wrong with photographs


def _altered(alter: Callable[[Image.Image, np.random.Generator], Image.Image], share: int) -> Callable[..., int]:
    """Every `share`-th picture, altered, with a captions.csv."""

    def write(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
        chosen = pictures[share // 2 :: share]
        with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["file_name", "caption"])
            for picture in chosen:
                _save(alter(picture.image, rng), folder / f"{picture.name}.jpg")
                rows.writerow([f"{picture.name}.jpg", picture.caption])
        return len(chosen)

    return write


def _blurred(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(7, 12))))


def _dark(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.04, 0.1)))


def _washed_out(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return Image.blend(image, Image.new("RGB", image.size, "white"), float(rng.uniform(0.93, 0.97)))


def _stretched(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.resize((image.width * 3, image.height // 2), Image.Resampling.BICUBIC)


def _tiny(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.contain(image, (96, 96))


def _watermarked(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Faint text all over, aslant, as picture agencies print it."""
    side = image.width + image.height
    veil = Image.new("L", (side, side))
    draw = ImageDraw.Draw(veil)
    font = ImageFont.load_default(int(image.width / rng.uniform(14, 20)))
    for row, y in enumerate(range(0, side, side // 9)):
        for x in range(-(row % 2) * side // 10, side, side // 5):
            draw.text((x, y), "SamplePics", fill=int(rng.integers(60, 90)), font=font)
    veil = veil.rotate(30)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    veil = veil.crop((left, top, left + image.width, top + image.height))
    return Image.composite(Image.new("RGB", image.size, "white"), image, veil)


def _with_code(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A QR code in a corner, as flyers and shop pictures have it."""
    try:
        import zxingcpp
    except ImportError as missing:
        raise MissingDependency(
            "the demo corpus needs zxing-cpp; install it with: pip install 'glyphmill[demo]'"
        ) from missing
    written = zxingcpp.create_barcode(f"https://example.org/{int(rng.integers(10**6))}", zxingcpp.BarcodeFormat.QRCode)
    code = Image.fromarray(np.asarray(written.to_image(scale=4, add_quiet_zones=True)))
    side = int(min(image.size) * rng.uniform(0.28, 0.4))
    marked = image.copy()
    marked.paste(
        code.resize((side, side), Image.Resampling.NEAREST), (image.width - side - 12, image.height - side - 12)
    )
    return marked


def _framed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width = int(min(image.size) * rng.uniform(0.08, 0.16))
    return ImageOps.expand(image, width, ("white", "black")[int(rng.integers(2))])


def _pixelated(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part made of large squares, as faces and number plates are hidden."""
    w, h = image.width * 2 // 5, image.height * 2 // 5
    x, y = int(rng.integers(image.width - w)), int(rng.integers(image.height - h))
    part = image.crop((x, y, x + w, y + h))
    small = part.resize((max(1, w // 16), max(1, h // 16)), Image.Resampling.BOX)
    hidden = image.copy()
    hidden.paste(small.resize((w, h), Image.Resampling.NEAREST), (x, y))
    return hidden


def _tiny_print(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """Pages whose print nobody can read at the size that is trained at."""
    for number in range(6):
        page = Image.new("RGB", (1000, 1300), "white")
        words = " ".join(PAGES).replace("\n", " ").split()
        lines = [" ".join(rng.permutation(words)[:22]) for _ in range(70)]
        ImageDraw.Draw(page).multiline_text((40, 40), "\n".join(lines), fill="black", font=ImageFont.load_default(11))
        page.save(folder / f"print-{number}.png")
        (folder / f"print-{number}.txt").write_text("A page of small print\n", encoding="utf-8")
    return 6


def _rotated(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """Pixels lie on their side and the EXIF tag says how to turn them, as a camera writes them."""
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    chosen = pictures[3::11]
    for number, picture in enumerate(chosen):
        orientation = list(turns)[number % len(turns)]
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        # Mirrored first, so that it is a picture of its own and not a copy of the upright one.
        lying = ImageOps.mirror(picture.image).transpose(turns[orientation])
        lying.save(folder / f"{picture.name}.jpg", quality=90, exif=exif)
        (folder / f"{picture.name}.json").write_text(json.dumps({"caption": picture.caption, "camera": "demo"}))
    return len(chosen)


def _copies(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """Near duplicates: re-encoded and resized copies of photographs delivered elsewhere in the corpus."""
    chosen = pictures[1::6]
    for picture in chosen:
        factor = float(rng.uniform(0.6, 0.95))
        small = picture.image.resize((int(picture.image.width * factor), int(picture.image.height * factor)))
        small.save(folder / f"{picture.name}-copy.jpg", quality=int(rng.integers(55, 80)))
    return len(chosen)


def _repeats(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """The very same bytes again, under another name and with another caption."""
    chosen = pictures[0::15]
    for number, picture in enumerate(chosen):
        _save(picture.image, folder / f"again-{number:02d}.jpg")
        _save(picture.image, folder / f"again-{number:02d}-b.jpg")
        (folder / f"again-{number:02d}-b.txt").write_text(f"{picture.caption}, delivered twice\n", encoding="utf-8")
    return 2 * len(chosen)


def _broken(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """Files that no decoder should accept, and one that none should try."""
    for number, picture in enumerate(pictures[5::14]):
        data = _encoded(picture.image, "JPEG")
        (folder / f"truncated-{number:02d}.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page-not-found.jpg").write_text("<!DOCTYPE html><title>404 Not Found</title>")
    (folder / "vector.png").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    (folder / "bomb.png").write_bytes(_bomb(30_000))
    return sum(1 for _ in folder.iterdir())


def _mislabelled(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    """Good pictures under a wrong suffix: judged by content, so they are kept where they are new."""
    chosen = pictures[2::24]
    for number, picture in enumerate(chosen):
        turned = ImageOps.mirror(picture.image)
        (folder / f"{picture.name}.jpg").write_bytes(_encoded(turned, ("PNG", "WEBP")[number % 2]))
    return len(chosen)


def _uniform(folder: Path, pictures: list[Picture], rng: np.random.Generator) -> int:
    colours = ("black", "white", "#808080", "#204080", "#f0e0c0", "#a01010")
    for colour in colours:
        Image.new("RGB", (512, 384), colour).save(folder / f"plain-{colour.strip('#')}.png")
    return len(colours)


_DELIVERIES: dict[str, Callable[[Path, list[Picture], np.random.Generator], int]] = {
    "photographs": _photographs,
    "pages": _pages,
    "blurred": _altered(_blurred, 7),
    "dark": _altered(_dark, 12),
    "washed_out": _altered(_washed_out, 12),
    "stretched": _altered(_stretched, 25),
    "tiny": _altered(_tiny, 16),
    "watermarked": _altered(_watermarked, 13),
    "with_code": _altered(_with_code, 17),
    "framed": _altered(_framed, 19),
    "pixelated": _altered(_pixelated, 21),
    "tiny_print": _tiny_print,
    "rotated": _rotated,
    "copies": _copies,
    "repeats": _repeats,
    "broken": _broken,
    "mislabelled": _mislabelled,
    "uniform": _uniform,
}


# --- helpers


def _crops(rng: np.random.Generator) -> Iterator[Picture]:
    """Windows of each photograph, far enough apart that none is a near duplicate of another."""
    for path, caption in PHOTOS.items():
        photo = _open(path)
        stem = Path(path.split(":")[1]).stem
        yield Picture(f"{stem}-whole", caption, _at_least(photo, 400))
        taken: list[tuple[float, float]] = []
        while len(taken) < CROPS_PER_PHOTO - 1:
            share = float(rng.uniform(0.45, 0.6))
            x, y = (float(v) for v in rng.uniform(0, 1 - share, 2))
            if any(abs(x - u) + abs(y - v) < 0.12 for u, v in taken):
                continue
            taken.append((x, y))
            box = (x * photo.width, y * photo.height, (x + share) * photo.width, (y + share) * photo.height)
            crop = photo.crop(tuple(int(v) for v in box))  # type: ignore[arg-type]  # four ints, by construction
            yield Picture(f"{stem}-{len(taken)}", f"{caption}, a detail", _at_least(crop, 400))


def _open(path: str) -> Image.Image:
    package, name = path.split(":")
    try:
        if package == "skimage":
            import skimage

            file = Path(skimage.__file__).parent / "data" / name
        else:
            import sklearn

            file = Path(sklearn.__file__).parent / "datasets" / "images" / name
    except ImportError as missing:
        raise MissingDependency(
            f"the demo corpus needs {missing.name}; install it with: pip install 'glyphmill[demo]'"
        ) from missing
    with Image.open(file) as image:
        return image.convert("RGB")


def _at_least(image: Image.Image, side: int) -> Image.Image:
    factor = side / min(image.size)
    if factor <= 1:
        return image
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, quality=90)
    return buffer.getvalue()


def _save(image: Image.Image, path: Path) -> None:
    formats = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    path.write_bytes(_encoded(image, formats[path.suffix]))


def _bomb(side: int) -> bytes:
    """A PNG of side x side black pixels, one bit each: some 100 KB that decode to gigabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compressobj(9)
    line = b"\x00" * (1 + (side + 7) // 8)
    body = b"".join(rows.compress(line) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


TOUR = (
    ("what each rule costs", "SELECT * FROM drop_reasons"),
    (
        "the least sharp image that was kept",
        "SELECT image_id, sharpness, uri FROM samples WHERE outcome = 'kept' ORDER BY sharpness LIMIT 5",
    ),
    ("files that could not be judged, and why", "SELECT status, error, uri FROM inputs WHERE status = 'error'"),
)


def tour(lake: Path) -> str:
    """Where to look next on the lake of the demo: three queries, one what-if and one image's story."""
    lines = ["", "Where to look next:"]
    for title, query in TOUR:
        lines += [f"  # {title}", f'  glyphmill query "{query}" --lake {lake}']
    lines += [
        "  # what another threshold would do",
        f'  glyphmill what-if "sharpness >= 120" --stage 2 --lake {lake}',
        "  # one file's whole story",
        f"  glyphmill why bomb.png --lake {lake}",
        "(glyphmill is in .venv/bin)",
    ]
    return "\n".join(lines)
