"""A decoder tuned for text: what comes back of pages and of photographs, before and after, at 256 pixels.

    .venv/bin/python bench/vae_text.py --out /tmp/vae-text --data ../shared/data

Trains an f8c16 autoencoder on two thirds of the photographs in `photos_captioned` and on drawn text, English and
Chinese; then its decoder alone, on drawn text, by reconstruction and by reconstruction with the distance that a reader
of characters sees. Judged on what none of them met: the last third of the photographs, and the real pages, receipts and
signs of `text_rich`. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from learn import Clock

REPO = Path(__file__).resolve().parent.parent
#: A part of the images by their ids, which are hashes.
PART = "SELECT image_id FROM samples WHERE source = 'photos' AND shard IS NOT NULL AND substr(image_id, 1, 1) {} 'a'"
TRAINED, HELD = PART.format("<"), PART.format(">=")
DRAWN = "SELECT image_id FROM samples WHERE source = 'synth-pure'"
PAGES = "SELECT image_id FROM samples WHERE source = 'pages' AND shard IS NOT NULL"
#: Photographs three times in an epoch: drawn text is no more than half of what is seen.
MIX = f"SELECT image_id, 3 AS weight FROM ({TRAINED}) UNION ALL SELECT image_id, 1 FROM ({DRAWN})"
#: All that can be opened and is large enough for squares of 256 pixels.
RECIPE = """
name = "large"
store_from = 1
scales = [256]

[[stage]]
number = 1
name = "initial curation"
rules = [{ name = "large enough", when = "min_side >= 256", doc = "shorter side, pixels" }]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("GLYPHMILL_DATA", REPO.parent / "shared" / "data"))
    parser.add_argument("--out", type=Path, default=Path("vae-text-run"), help="Folder of everything; must not exist.")
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--steps", type=int, default=3000, help="Of the autoencoder; the decoder takes a third.")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    if asked.out.exists():
        sys.exit(f"{asked.out} is there already: name another folder")
    asked.out.mkdir(parents=True)
    os.environ.setdefault("XDG_CACHE_HOME", str((asked.out / "cache").absolute()))
    clock, lake, out = Clock(), asked.out / "lake", asked.out
    recipe = out / "large.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    clock.run("draw", "synth", "pure", "--count", 300, "--lake", lake, "--quiet")
    sources = {
        "photos": asked.data / "photos_captioned" / "images",
        "pages": asked.data / "text_rich",
        "synth-pure": lake / "synth" / "pure",
    }
    for source, folder in sources.items():
        clock.run(
            f"take in {source}", "curate", folder, "--source-name", source, "--recipe", recipe, "-L", lake, "--quiet"
        )

    same = ("--lake", lake, "--view", "crop", "--threads", asked.threads, "--quiet")
    clock.run(
        "autoencoder", "train", "vae", *same, "--out", out / "vae", "--sql", MIX, "--width", asked.width, "--steps",
        asked.steps,
    )  # fmt: skip
    clock.run(
        "reader", "train", "vae-reader", "--lake", lake, "--out", out / "reader", "--sql", DRAWN, "--threads",
        asked.threads, "--quiet",
    )  # fmt: skip
    first = out / "vae" / "vae"
    tuned = {"reconstruction": (), "reconstruction-and-reader": ("--perceptual", 0.1, "--reader", out / "reader")}
    for name, loss in tuned.items():
        clock.run(
            f"decoder by {name}", "train", "vae-decoder", *same, "--vae", first, "--out", out / name, "--sql", DRAWN,
            "--resolution", 64, "--steps", asked.steps // 3, "--judged-at", 64, *loss,
        )  # fmt: skip
    folders = [first, *(out / name / "vae" for name in tuned)]
    judged = (
        "train", "vae-table", *(part for folder in folders for part in ("--vae", folder)), "--lake", lake,
        "--text-sql", PAGES, "--general-sql", HELD, "--threads", asked.threads, "--quiet",
    )  # fmt: skip
    lines = json.loads(clock.run("table", *judged, "--json"))
    seconds = {name: round(wall) for name, wall, _ in clock.stages}
    figures = [{"name": line["name"], "general": line["general"], "text": line["text"]} for line in lines]
    print(json.dumps({"name": "vae_text", "lines": figures, "seconds": seconds}))


if __name__ == "__main__":
    main()
