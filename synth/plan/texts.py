"""Pages of real text: sentences that show the most of what is still to be drawn, found greedily, page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.corpora.cut import sentences
from synth.plan.ledger import Ledger

MOST = 40_000  # sentences that are weighed; of more, those with the rarest characters
REPEATS = 3  # pages that a sentence may stand on, each in another font
_LOOKED_AT = 96  # of the best sentences of a round, weighed again one by one


@dataclass(frozen=True)
class Manner:
    """Texts of `shortest` characters and more, of which a share of `floor` is still wanted, set between `between`."""

    shortest: int
    floor: float
    between: str


SENTENCES = Manner(5, 0.3, "\n")
WORDS = Manner(2, 0.8, " ")


@dataclass(frozen=True)
class Stretches:
    """Sentences, or words. `flat`: numbers of the wanted characters in all of them, -1 for others; `points`: their code
    points; `starts`: where each text begins in both; `sizes`: characters."""

    texts: tuple[str, ...]
    flat: NDArray[np.int64]
    points: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def held(self, n: int) -> NDArray[np.int64]:
        return self.flat[self.starts[n] : self.starts[n] + self.sizes[n]]


def split(paragraphs: Iterable[str]) -> Iterator[str]:
    """The sentences of paragraphs."""
    return (sentence.strip() for paragraph in paragraphs for sentence in sentences(paragraph))


def gather(
    found: Iterable[str], characters: Sequence[str], manner: Manner, longest: int, rng: np.random.Generator
) -> Stretches:
    """Texts up to `longest` characters with a wanted one in them, each once, shuffled: equals are taken in order."""
    texts = [t for t in dict.fromkeys(found) if manner.shortest <= len(t) <= longest and "\n" not in t]
    texts = [texts[i] for i in rng.permutation(len(texts))]
    number = np.full(0x110000, -1, np.int64)
    number[[ord(c) for c in characters]] = np.arange(len(characters))
    packed = _packed(texts, number)
    seen = np.bincount(packed.flat[packed.flat >= 0], minlength=len(characters))
    rare = np.append(1_000_000 // np.maximum(1, seen), 0)[packed.flat]  # the last one for -1
    score = np.add.reduceat(rare, packed.starts) // packed.sizes if len(texts) else np.zeros(0, np.int64)
    keep = np.flatnonzero(score > 0)
    if len(keep) > MOST:
        keep = np.sort(keep[np.lexsort((keep, -score[keep]))[:MOST]])
    return packed if len(keep) == len(texts) else _packed([texts[n] for n in keep], number)


def text_page(
    ledger: Ledger, held: Stretches, uses: NDArray[np.int64], font: int, room: int, manner: Manner
) -> tuple[list[str], int]:
    """Texts for a page of `room` characters in a font, and how many of these were still wanted; they are taken, and
    counted in `uses`. None where no text shows enough that is wanted."""
    drawn = np.logical_and.reduceat(ledger.cast.tables[font][held.points], held.starts)
    here = np.zeros(len(held.texts), np.bool_)
    lines: list[str] = []
    useful = 0
    while room >= manner.shortest:
        wanted = np.append(ledger.useful(font), False)[held.flat]
        share = np.add.reduceat(wanted, held.starts, dtype=np.int64) / held.sizes
        share[here | (uses >= REPEATS) | ~drawn | (held.sizes > room)] = 0.0
        taken = False
        for n in _best(share):
            if held.sizes[n] > room or share[n] < manner.floor:
                continue
            least = max(manner.floor, 0.9 * float(share[n])) * float(held.sizes[n])
            gain = _taken(ledger, held.held(n), font, least)
            if gain is None:
                continue  # its characters came up on this page already
            useful += gain
            uses[n] += 1
            here[n] = taken = True
            lines.append(held.texts[n])
            room -= int(held.sizes[n])
        if not taken:
            break
    return lines, useful


def _best(share: NDArray[np.float64]) -> list[int]:
    """The numbers of the largest, those first; equals by number, whatever the machine's way of partitioning."""
    last = min(_LOOKED_AT, len(share)) - 1
    least = np.partition(share, len(share) - 1 - last)[len(share) - 1 - last]
    found = np.flatnonzero(share >= least)
    best: list[int] = found[np.argsort(-share[found], kind="stable")][:_LOOKED_AT].tolist()
    return best


def _taken(ledger: Ledger, characters: NDArray[np.int64], font: int, least: float) -> int | None:
    """How many of the characters are still wanted, repeats as far as they are; all are taken. None: fewer than
    `least` are, and nothing is taken."""
    held = Counter(character for character in characters.tolist() if character >= 0)
    gain = sum(ledger.room(character, font, times) for character, times in held.items())
    if gain < least:
        return None
    for character, times in held.items():
        ledger.take(character, font, times)
    return gain


def _packed(texts: Sequence[str], number: NDArray[np.int64]) -> Stretches:
    points = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4").astype(np.int64)
    sizes = np.array([len(text) for text in texts], np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64) if len(texts) else np.zeros(0, np.int64)
    return Stretches(tuple(texts), number[points], points, starts, sizes)
