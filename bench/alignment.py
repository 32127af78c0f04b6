"""Embedding pictures: the extractor (resize, normalise, model, pack) over the bare model on the same tensors.

A ViT-B-32 of open_clip with random weights, which cost what trained ones do; drawn pictures, decoded beforehand; one
process, one thread. Also told: captions scored a second from stored embeddings, with no picture read, and whether each
picture alone and in its batch has the same embedding, bit for bit.

    python bench/alignment.py --images 32
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "pipelines"))
from pictures import encoded
from tiny_models import ALL, drawn, write_models

from annotate.scoring.encoders import BATCH
from annotate.scoring.forward import alone, in_fixed_batches
from annotate.torchvision_shim import prepare_torchvision
from pipelines.extractors import discover
from pipelines.extractors.base import CaptionText, Described, Sample
from pipelines.header import read_header

MODEL = "ViT-B-32"
TOGETHER = 16  # images that inspect hands to an extractor


def models_file(folder: Path) -> Path:
    prepare_torchvision()
    import open_clip
    import torch

    torch.manual_seed(0)
    weights = folder / "weights.pt"
    torch.save(open_clip.create_model(MODEL).state_dict(), weights)
    section = {"library": "open_clip", "model": MODEL, "weights": weights}
    return write_models(folder / "models.toml", {"alignment.clip": section})


def rate(count: int, work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return count / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--side", type=int, default=768, help="pixels of a picture's sides")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-alignment-") as scratch:
        os.environ["GLYPHMILL_MODELS"] = str(models_file(Path(scratch)))
        run(args.images, args.side, args.repeats, Path(scratch) / "weights.pt")


def run(images: int, side: int, repeats: int, weights: Path) -> None:
    import open_clip
    import torch

    model, preprocess = open_clip.create_model_from_pretrained(MODEL, str(weights))
    model.eval()
    pictures = [drawn(ALL[i % len(ALL)], random.Random(i), side) for i in range(images)]
    tensors = torch.stack([preprocess(picture) for picture in pictures])
    header = read_header(encoded(pictures[0]))  # the extractor does not look at it
    samples = [Sample(f"{i:032x}", b"", header, image=picture) for i, picture in enumerate(pictures)]
    known = {extractor.name: extractor for extractor in discover()}

    def peer() -> None:
        with alone():
            in_fixed_batches({"x": tensors}, BATCH, "cpu", lambda batch: model.encode_image(batch["x"]))

    def ours() -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        for start in range(0, images, TOGETHER):
            found += known["embedding_clip"].fn(samples[start : start + TOGETHER])  # type: ignore[arg-type]
        return found

    stored = ours()  # loads the model
    rounds = []
    for number in range(repeats):
        bare, whole = rate(images, peer), rate(images, ours)
        rounds.append((whole / bare, whole, bare))
        print(f"round {number + 1}: bare model {bare:.2f}/s, extractor {whole:.2f}/s, ratio {whole / bare:.3f}")
    captions = tuple(CaptionText(f"{i}", "raw", what.caption, "en") for i, what in enumerate(ALL[:4]))
    described = [
        Described(sample.image_id, captions=captions, rows={"embedding_clip": row})
        for sample, row in zip(samples, stored, strict=True)
    ]
    scored = rate(len(captions) * TOGETHER, lambda: known["alignment_clip"].fn(described[:TOGETHER]))  # type: ignore[arg-type]
    same = all(known["embedding_clip"].fn([s])[0] == row for s, row in zip(samples[:TOGETHER], stored, strict=False))
    print(f"{scored:.1f} captions scored a second; each picture alone as in its batch: {same}")
    ratio, whole, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
    result = {
        "name": f"embedding extractor over the bare model, {MODEL}, one thread",
        "ratio": round(ratio, 3),
        "ours": round(whole, 2),
        "peer": round(bare, 2),
        "unit": "images/s",
        "repeats": repeats,
        "spread": [round(min(r[0] for r in rounds), 3), round(max(r[0] for r in rounds), 3)],
        "captions_per_s": round(scored, 1),
        "same_alone": same,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
