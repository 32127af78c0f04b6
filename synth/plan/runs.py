"""Runs of characters for what no text shows: characters first, then a font for each, spread over kinds and families."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.plan.ledger import Ledger


def fill(ledger: Ledger, font: int, room: int, rng: np.random.Generator) -> list[int]:
    """Characters for the rest of a page in a font: those that the fewest fonts draw, then those that lack the most."""
    useful = np.flatnonzero(ledger.useful(font))
    able = ledger.cast.draws[useful].sum(axis=1)
    order = np.lexsort((rng.random(len(useful)), -ledger.need[useful], able))
    chosen: list[int] = useful[order[:room]].tolist()
    for character in chosen:
        ledger.take(character, font)
    return chosen


def runs(ledger: Ledger, per_image: int, rng: np.random.Generator) -> list[tuple[int, list[int]]]:
    """Pages (font, characters) with all that the ledger still lacks; it lacks nothing afterwards."""
    bags: list[list[list[int]]] = [[] for _ in ledger.cast.fonts]  # font, round: a character once in each
    for character in np.argsort(ledger.cast.draws.sum(axis=1), kind="stable").tolist():
        rounds = [0] * len(bags)
        while ledger.need[character] > 0:
            font = _next_font(ledger, character)
            ledger.take(character, font)
            if rounds[font] == len(bags[font]):
                bags[font].append([])
            bags[font][rounds[font]].append(character)
            rounds[font] += 1
    pages: list[tuple[int, list[int]]] = []
    for font, bag in enumerate(bags):
        line = [character for part in bag for character in _shuffled(part, rng)]
        pages += [(font, line[at : at + per_image]) for at in range(0, len(line), per_image)]
    return _merged(ledger, pages, per_image)


def _next_font(ledger: Ledger, character: int) -> int:
    """Of the fonts that draw it and have it least: the one whose kind, family and itself have the least to do."""
    cast = ledger.cast
    able = np.flatnonzero(cast.draws[character])
    fewest = ledger.counts[character, able]
    able = able[fewest == fewest.min()]
    kinds = np.bincount(cast.kinds, ledger.counts[character], minlength=int(cast.kinds.max()) + 1)[cast.kinds[able]]
    families = np.bincount(cast.families, ledger.counts[character], minlength=int(cast.families.max()) + 1)
    keys = (able, ledger.loads[able], families[cast.families[able]], kinds)
    return int(able[np.lexsort(keys)[0]])


def _shuffled(characters: list[int], rng: np.random.Generator) -> list[int]:
    return [characters[i] for i in rng.permutation(len(characters))]


def _merged(ledger: Ledger, pages: list[tuple[int, list[int]]], per_image: int) -> list[tuple[int, list[int]]]:
    """Half-empty pages emptied into one another, the smallest first, as far as other fonts draw their characters and
    each stays in as many fonts, families and kinds, as it must."""
    full = [page for page in pages if len(page[1]) == per_image]
    rest = sorted((page for page in pages if len(page[1]) < per_image), key=lambda page: (len(page[1]), page[0]))
    kept: list[tuple[int, list[int]]] = []
    while rest:
        font, line = rest.pop(0)
        moves = _moves(ledger, font, line, [*rest, *kept], per_image)
        if moves is None:
            kept.append((font, line))
            continue
        for character, (other, target) in zip(line, moves, strict=True):
            ledger.counts[character, font] -= 1
            ledger.counts[character, other] += 1
            target.append(character)
        rest.sort(key=lambda page: (len(page[1]), page[0]))
    return full + sorted(kept, key=lambda page: page[0])


def _moves(
    ledger: Ledger, font: int, line: list[int], others: list[tuple[int, list[int]]], per_image: int
) -> list[tuple[int, list[int]]] | None:
    """For each character another page that may have it, or None where one finds none."""
    room: NDArray[np.int64] = np.array([per_image - len(held) for _, held in others], np.int64)
    if room.sum() < len(line):
        return None
    found: list[tuple[int, list[int]]] = []
    counts = {character: ledger.counts[character].copy() for character in line}
    for character in line:
        now = counts[character]
        now[font] -= 1
        best: tuple[bool, int, int] | None = None
        for n, (other, held) in enumerate(others):
            if room[n] <= 0 or other == font or not ledger.cast.draws[character, other]:
                continue
            offered = (character in held, int(room[n]), n)  # rather a page that does not have it, and a fuller one
            if (best is None or offered < best) and ledger.spread(character, now, other):
                best = offered
        if best is None:
            return None
        room[best[2]] -= 1
        now[others[best[2]][0]] += 1
        found.append(others[best[2]])
    return found
