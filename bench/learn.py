"""It learns: from drawn characters to a model that writes them, by the real commands, timed stage by stage.

    .venv/bin/python bench/learn.py --out /tmp/learn --docs docs/learn

Draws a lake, curates it, trains a VAE and an MMDiT on two threads, samples 860 centred and 860 free characters, reads
them by OCR; beside them the untrained model, and the two ceilings: real renders, and these through the VAE. The
last line is JSON. What the numbers mean is in docs/learn.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

FRESH = 2024  # seed of what is held against the model: nothing of it was trained on
EACH = 10  # samples of a character
MODEL = "small"
SAMPLING = ("--size", "64x64", "--steps", "20", "--guidance", "3", "--batch", "86", "--quiet")
#: Group, share of 860 read exactly, in the table of `glyphmill sample --read`.
ROW = re.compile(r"^(all|Chinese|Latin)\s+(\d+)\s+([\d.]+)%", re.MULTILINE)


@dataclass
class Clock:
    """Seconds of each stage, on the wall and on the cores, children included."""

    stages: list[tuple[str, float, float]] = field(default_factory=list)

    def run(self, name: str, *arguments: object) -> str:
        """A glyphmill command as a stage; gives what it printed. Its failure ends the script."""
        began, before = time.monotonic(), _cpu()
        print(f"$ glyphmill {' '.join(map(str, arguments))}", flush=True)
        command = [sys.executable, "-m", "glyphmill", *map(str, arguments)]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name} failed ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        self.stages.append((name, time.monotonic() - began, _cpu() - before))
        print(
            f"{done.stdout.strip()}\n  {name}: {self.stages[-1][1]:.0f} s, {self.stages[-1][2]:.0f} s of CPU",
            flush=True,
        )
        return done.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("learn-run"), help="Folder of everything; it must not exist.")
    parser.add_argument("--docs", type=Path, help="Folder for the sheet, the curve and results.json.")
    parser.add_argument("--threads", type=int, default=2, help="Threads of the trainer.")
    asked = parser.parse_args()
    if asked.out.exists():
        sys.exit(f"{asked.out} is there already: name another folder")
    asked.out.mkdir(parents=True)
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)
    os.environ.setdefault("XDG_CACHE_HOME", str((asked.out / "cache").absolute()))
    results = learn(asked.out)
    if asked.docs is not None:
        from learn_figures import figures

        figures(asked.out, asked.docs)
        (asked.docs / "results.json").write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    print(json.dumps({"name": "learn", **{k: v for k, v in results.items() if k != "stages"}}, ensure_ascii=False))


def learn(out: Path) -> dict[str, object]:
    """The whole road in the folder `out`; seconds and shares."""
    from model.curriculum.load import load

    clock, lake, vae, run = Clock(), out / "lake", out / "vae" / "vae", out / "run"
    for layout, count in (("centred", 4300), ("free", 17200)):
        clock.run(f"draw {layout}", "synth", "glyph", "--count", count, "--layout", layout, "--lake", lake, "--quiet")
    clock.run(
        "curate", "curate", lake / "synth" / "glyph", "--source-name", "synth-glyph", "--recipe", "glyphs",
        "--lake", lake, "--quiet",
    )  # fmt: skip
    clock.run("train the VAE", "train", "vae", "--lake", lake, "--out", vae.parent, "--steps", 900, "--quiet")
    centred, free = fresh("centred", out), fresh("free", out)
    first = load("glyphs").phases[0].steps
    training = (
        "train",
        "pretrain",
        "--curriculum",
        "glyphs",
        "--lake",
        lake,
        "--vae",
        vae,
        "--model",
        MODEL,
        "--out",
        run,
        "--sample-every",
        0,
        "--quiet",
    )
    shares = {}
    for name, until, asked in (("untrained", 1, centred), ("centred", first, centred), ("free", None, free)):
        stop = () if until is None else ("--until", until)
        if name != "untrained":
            clock.run(f"train {name}", *training, *stop)
            clock.run(f"export {name}", "model", "export", run, "--out", out / name)
        else:
            untrained(vae, out / name)
        told = clock.run(
            f"sample {name}", "sample", "--model", out / name, "--prompts", asked.prompts, "--count", asked.count,
            "--seed", FRESH, "--out", out / f"{name}-samples", "--read", *SAMPLING,
        )  # fmt: skip
        shares[name] = {group: float(share) / 100 for group, _, share in ROW.findall(told)}
    trained = sum(wall for name, wall, _ in clock.stages if "untrained" not in name)
    return {
        "shares": shares | ceilings(vae, {"centred": centred, "free": free}),
        "minutes": round(trained / 60, 2),
        "cpu_minutes": round(sum(cpu for _, _, cpu in clock.stages) / 60, 2),
        "stages": [{"name": n, "seconds": round(w, 1), "cpu_seconds": round(c, 1)} for n, w, c in clock.stages],
    }


@dataclass(frozen=True)
class Fresh:
    """What is asked of a model: a file of prompts, so many pictures of each; and as many real renders of the same
    captions, (n, 64, 64, 3) uint8, with their texts."""

    prompts: Path
    count: int
    renders: list[Any]
    texts: list[str]


def fresh(layout: str, out: Path) -> Fresh:
    """EACH pictures of each of the 86 characters, drawn with a seed of their own. Centred ones have one caption each;
    of free ones no two have the same, since equal prompts with equal seeds are equal samples."""
    from synth.glyphs.strategy import Glyphs
    from synth.sample import Sample

    strategy = Glyphs(layout="free" if layout == "free" else "centred")
    captions: dict[str, dict[str, None]] = {}
    renders: dict[str, list[Any]] = {}
    index = 0
    while len(captions) < len(strategy.characters) or any(len(some) < EACH for some in renders.values()):
        drawn = strategy.draw(FRESH, index)
        index += 1
        assert isinstance(drawn, Sample)
        text, placed = drawn.texts[0].text, drawn.facts["placed_captions"]
        assert isinstance(placed, dict)
        caption = str(placed["exact"]) if layout == "free" else drawn.captions["en"]
        said = captions.setdefault(text, {})
        some = renders.setdefault(text, [])
        if len(some) < EACH and (layout == "centred" or caption not in said):
            said[caption] = None
            some.append(drawn.image)
    file = out / f"{layout}.txt"
    file.write_text("\n".join(caption for said in captions.values() for caption in said) + "\n", encoding="utf-8")
    texts = [text for text, some in renders.items() for _ in some]
    return Fresh(file, EACH if layout == "centred" else 1, [r for some in renders.values() for r in some], texts)


def untrained(vae: Path, folder: Path) -> None:
    """A checkpoint of the model as it starts, with the VAE that is trained."""
    import torch

    from model.components import Components, save
    from model.initial import initialise
    from model.mmdit import MMDiT
    from model.schedule import ScheduleConfig
    from model.text.characters import CharacterEncoder
    from model.training.presets import model_config, width_of
    from model.vae_loading import load_vae

    loaded, width = load_vae(vae), width_of(MODEL)
    config = model_config(MODEL, channels=loaded.config.z_dim, factor=loaded.config.spatial_factor, width=width)
    model = MMDiT(config)
    initialise(model, torch.Generator().manual_seed(0))
    save(Components(model, loaded, CharacterEncoder(width), ScheduleConfig()), folder)


def ceilings(vae: Path, asked: dict[str, Fresh]) -> dict[str, dict[str, float]]:
    """What OCR reads of real renders, and of these through the VAE: no model on these latents can be read better but
    by luck."""
    import numpy as np
    import torch

    from model.generate import pixels_of
    from model.readback import read_back, scores
    from model.vae_loading import load_vae

    loaded = load_vae(vae).eval()
    found: dict[str, dict[str, float]] = {}
    for layout, some in asked.items():
        pixels = torch.from_numpy(np.stack(some.renders)).permute(0, 3, 1, 2).float() / 127.5 - 1
        rebuilt = [p for chunk in pixels.split(86) for p in pixels_of(loaded.decode(loaded.encode(chunk)))]
        for name, pictures in (("real renders", some.renders), ("through the VAE", rebuilt)):
            told = scores(read_back(pictures, some.texts))
            found[f"{layout}, {name}"] = {group: round(score.exact, 4) for group, score in told.items()}
    return found


if __name__ == "__main__":
    main()
