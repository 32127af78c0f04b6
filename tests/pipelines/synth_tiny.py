"""Small strategies for tests of the job: a line of blocks for a text, and pairs of them. Importable by workers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synth.chance import chance
from synth.placed import Placed
from synth.sample import Rejected, Sample
from synth.strategy import EditPair

CHARACTERS = "山水风月花鸟雨雪云日"
SIDE = 256


def drawn(text: str, rng: np.random.Generator, ground: np.ndarray) -> Sample:
    """A dark block for each character on a ground of soft noise."""
    image = ground.copy()
    lefts = 20 + 34 * np.arange(len(text))
    for left, character in zip(lefts, text, strict=True):
        image[60 : 90 + ord(character) % 30, left : left + 28] = ord(character) % 50
    boxes = np.array([[x, 60, x + 28, 90 + ord(c) % 30] for x, c in zip(lefts, text, strict=True)], np.float32)
    numbers = np.arange(len(text), dtype=np.int32)
    none = np.zeros(len(text), np.int32)
    placed = Placed(text, numbers, numbers + 1, boxes, none, none - 1, language="zh-Hans", fonts=("Blocks",), size=28.0)
    captions = {"en": f'Dark blocks that read "{text}".', "zh": f"深色方块，写着“{text}”。"}
    return Sample(image, (placed,), captions, "blocks", {"tone": int(rng.integers(100))})


def ground_of(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.integers(140, 240, (16, 16, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((SIDE // 16, SIDE // 16, 1), np.uint8))


@dataclass(frozen=True)
class Tiny:
    """Every index that leaves 3 by 7 is rejected. `ink` is a setting: another one draws something else."""

    ink: int = 0
    name: str = "tiny"

    def check(self) -> None:
        return None

    def fingerprint(self) -> str:
        return f"tiny {self.ink}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        if index % 7 == 3:
            return Rejected("undrawable", f"no blocks for {index}")
        rng = chance(seed, f"{self.name} {self.ink}", index)
        text = "".join(rng.choice(list(CHARACTERS), 5))
        return drawn(text, rng, ground_of(rng))


@dataclass(frozen=True)
class TinyPairs:
    name: str = "edit"

    def check(self) -> None:
        return None

    def fingerprint(self) -> str:
        return "tiny pairs"

    def draw_pair(self, seed: int, index: int) -> EditPair | Rejected:
        if index % 5 == 4:
            return Rejected("undrawable", "no pair")
        rng = chance(seed, self.name, index)
        ground = ground_of(rng)
        before = "".join(rng.choice(list(CHARACTERS[:5]), 5))
        after = before[:4] + str(rng.choice(list(CHARACTERS[5:])))
        reference = drawn(before, rng, ground)
        target = replace(drawn(after, rng, ground), facts=reference.facts)
        said = {"en": f'Change the last block to "{after[4]}"', "zh": f"把最后一个方块改成“{after[4]}”"}
        left = 20.0 + 34 * 4
        return EditPair(reference, target, (left, 60, left + 28, 60, left + 28, 120, left, 120), said, "word")
