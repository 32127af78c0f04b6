"""OCR: is what it reads true, do rules on text agree with what was drawn, and how much of the time is the networks'.

    python bench/ocr.py --pages 20 --rules 200 --data ../shared/data

Truth: pages drawn in English, Chinese and mixed, clean and spoiled, and with `--data` the labelled pictures of its
`text_rich`; beside each the bare engine, which is rapidocr as it comes. Speed: the extractor on pages and, with
`--data`, photographs, over the bare sessions of both networks run on the very tensors that the extractor gave them, in
turns, one process, one thread; both from the decoded picture.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import ocr_pages
from ocr_pages import Score, Script

from annotate.ocr import reader as ocr
from annotate.ocr.agreement import agreement, normalised
from annotate.ocr.reading import PageReader
from pipelines.extractors.ocr import row

SCRIPTS: tuple[Script, ...] = ("english", "chinese", "mixed")
UNREADABLE = ("fa", "sr", "ru", "el")  # scripts that the bundled recogniser does not have
ReadText = Callable[[Image.Image], tuple[list[np.ndarray], list[str]]]


def ours(image: Image.Image) -> tuple[list[np.ndarray], list[str]]:
    lines = ocr.reader().read(image)
    return [line.corners for line in lines], [line.text for line in lines]


def bare() -> ReadText:
    """rapidocr as it comes, on one thread."""
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": 1})

    def read(image: Image.Image) -> tuple[list[np.ndarray], list[str]]:
        found = engine(np.asarray(image)[:, :, ::-1], use_det=True, use_cls=True, use_rec=True)
        return ([], []) if found.txts is None else (list(found.boxes), list(found.txts))

    return read


def drawn_truth(pages: int, peer: ReadText) -> None:
    """Prints character accuracy on whole pages, reading order included, and on pages line by line."""
    print(f"{'pages':<18}{'characters':>11}{'ours':>9}{'bare':>9}{'bar':>7}")
    for noisy, bar in ((False, 0.995), (True, 0.97)):
        sums = [Score(), Score()]
        for script in SCRIPTS:
            part = [Score(), Score()]
            for seed in range(pages):
                drawn = ocr_pages.page(1000 + seed, script)
                image = ocr_pages.spoiled(drawn.image, seed) if noisy else drawn.image
                for place, read in enumerate((ours, peer)):
                    part[place] += ocr_pages.score(drawn.text, "\n".join(read(image)[1]))
            sums = [a + b for a, b in zip(sums, part, strict=True)]
            tell(f"{script} {'noisy' if noisy else 'clean'}", part, None)
        tell(f"all {'noisy' if noisy else 'clean'}", sums, bar)


def tell(name: str, scores: Sequence[Score], bar: float | None) -> None:
    told = "".join(f"{score.accuracy:9.4f}" for score in scores)
    print(f"{name:<18}{scores[0].characters:>11}{told}{bar if bar is not None else '':>7}")


def scene_truth(folder: Path, peer: ReadText) -> None:
    """Prints the share of characters found where people marked them, by source; texts without a place: anywhere."""
    sums: dict[str, list[Score]] = {}
    for line in (folder / "gt.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        marked = [b for b in told.get("boxes") or [] if b.get("text") and not b.get("ignore")]
        texts = [part for text in told.get("texts") or [] for part in text.split("\n")]
        if not (marked or texts) or told.get("lang") in UNREADABLE:
            continue
        image = on_white(Image.open(folder / told["file"]))
        for place, read in enumerate((ours, peer)):
            quads, found = read(image)
            asked = [(box["text"], within(box["quad"], quads, found)) for box in marked]
            asked += [(text, found) for text in texts if normalised(text)]
            name = told["kind"] if marked else "texts without a place"
            for text, lines in asked:
                result = agreement([text], lines)
                scores = sums.setdefault(name, [Score(), Score()])
                scores[place] += Score(result.asked - result.matched, result.asked)
    for name, scores in sums.items():
        tell(name[:17], scores, None)


def within(quad: Sequence[float], quads: Sequence[np.ndarray], texts: Sequence[str]) -> list[str]:
    """Texts of the read lines that hold the middle of a marked box."""
    import cv2

    x, y = np.array(quad, np.float64).reshape(-1, 2).mean(axis=0)
    inside = [cv2.pointPolygonTest(q.astype(np.float32), (float(x), float(y)), True) > -6 for q in quads]
    return [text for text, good in zip(texts, inside, strict=True) if good]


def on_white(image: Image.Image) -> Image.Image:
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")


def rules(pages: int) -> None:
    """Prints how often rules on the extractor's columns answer as the drawn truth does."""
    pairs = []
    for seed in range(pages):
        drawn = ocr_pages.rule_page(seed)
        pairs.append((ocr_pages.truth(drawn), row(ocr.reader().read(drawn.image), drawn.image.size)))
    print(f"\nrules on {pages} pages{'agree':>18}{'true for':>10}")
    asked: list[tuple[str, Callable[[Any], bool], Callable[[ocr_pages.Truth], bool]]] = []
    for px in (5, 6, 8, 10):
        asked.append(
            (
                f"smallest_char_px >= {px}",
                lambda r, px=px: r["smallest_char_px"] is not None and r["smallest_char_px"] >= px,
                lambda t, px=px: t.smallest_px >= px,
            )
        )
    for most in (5, 10, 20):
        asked.append((f"text_lines <= {most}", lambda r, n=most: r["text_lines"] <= n, lambda t, n=most: t.lines <= n))
    for name in ("english", "chinese"):
        asked.append(
            (f"text_script = {name}", lambda r, s=name: r["text_script"] == s, lambda t, s=name: t.script == s)
        )
    for rule, told, known in asked:
        agree = np.mean([told(columns) == known(truth) for truth, columns in pairs])
        print(f"{rule:<26}{agree:9.3f}{np.mean([known(truth) for truth, _ in pairs]):10.2f}")


class Recorded:
    """A session that keeps what it is given."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.tensors: list[np.ndarray] = []

    def __call__(self, tensor: np.ndarray) -> np.ndarray:
        self.tensors.append(tensor)
        return self.session(tensor)


@contextmanager
def recording(reader: PageReader) -> Iterator[list[Recorded]]:
    engine: Any = reader.engine
    owners = (engine.detector, engine.recogniser)
    kept = [Recorded(owner.session) for owner in owners]
    for owner, record in zip(owners, kept, strict=True):
        owner.session = record
    try:
        yield kept
    finally:
        for owner, record in zip(owners, kept, strict=True):
            owner.session = record.session


def speed(name: str, images: Sequence[Image.Image], repeats: int) -> dict[str, object]:
    """Seconds of the extractor over those of the bare sessions on its tensors, image by image, in turns."""
    reader = ocr.reader()
    assert isinstance(reader, PageReader)
    runs: list[list[tuple[Any, np.ndarray]]] = []
    for image in images:
        with recording(reader) as kept:
            reader.read(image)
        runs.append([(one.session.session, tensor) for one in kept for tensor in one.tensors])
    ratios, totals = [], []
    for _ in range(repeats):
        spent = [0.0, 0.0]
        for image, tensors in zip(images, runs, strict=True):
            started = time.perf_counter()
            row(reader.read(image), image.size)
            between = time.perf_counter()
            for session, tensor in tensors:
                session.run(None, {session.get_inputs()[0].name: tensor})
            spent[0] += between - started
            spent[1] += time.perf_counter() - between
        ratios.append(spent[1] / spent[0])
        totals.append([len(images) / s for s in spent])
    ratios.sort()
    mine, networks = (median(t[i] for t in totals) for i in (0, 1))
    lines = sum(len(r) for r in runs) / len(runs)
    print(
        f"{name}: {mine:.2f} images/s, networks alone {networks:.2f}, ratio {median(ratios):.3f} "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f}), {lines:.1f} tensors an image"
    )
    return {
        "name": "ocr",
        "ratio": round(median(ratios), 3),
        "ours": round(mine, 2),
        "peer": round(networks, 2),
        "unit": "images/s",
        "repeats": repeats,
        "spread": round(ratios[-1] - ratios[0], 3),
    }


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--pages", type=int, default=20, help="drawn pages of each script, clean and noisy; 0: none")
    ask.add_argument("--rules", type=int, default=200, help="drawn pages for the rules; 0: none")
    ask.add_argument("--images", type=int, default=12, help="pictures of each kind for the speed")
    ask.add_argument("--repeats", type=int, default=5)
    ask.add_argument("--data", type=Path, help="folder with text_rich/gt.jsonl and photos_captioned/images")
    asked = ask.parse_args()
    print(ocr.fingerprint())
    peer = bare()
    if asked.pages:
        drawn_truth(asked.pages, peer)
    if asked.data:
        scene_truth(asked.data / "text_rich", peer)
    if asked.rules:
        rules(asked.rules)
    pages = [ocr_pages.page(seed, SCRIPTS[seed % 3]) for seed in range(asked.images)]
    pages = [replace(p, image=ocr_pages.spoiled(p.image, seed)) for seed, p in enumerate(pages)]
    print()
    result = speed("pages of text", [p.image for p in pages], asked.repeats)
    if asked.data:
        photos = sorted((asked.data / "photos_captioned" / "images").iterdir())[: asked.images]
        speed("photographs", [Image.open(path).convert("RGB") for path in photos], asked.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
