"""Making a plan: which characters in which fonts on which pages, in the fewest pages that it can find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synth.chance import chance
from synth.corpora.corpus import Corpus
from synth.hanzi import levels
from synth.plan.fonts import Cast, Fonts, cast
from synth.plan.ledger import Ledger
from synth.plan.plan import Made, Plan, PlannedFont
from synth.plan.runs import fill, runs
from synth.plan.texts import SENTENCES, WORDS, Manner, gather, split, text_page
from warehouse.errors import UsageError

Pages = list[tuple[int, Made, str]]
SHORTEST_RUN = 6  # characters after the sentences of a page; fewer look lost there


def make_plan(
    book: Fonts,
    corpus: Corpus | None = None,
    *,
    wanted: Mapping[str, int] | None = None,
    times: int = 10,
    fonts: int = 3,
    per_image: int = 100,
    language: str = "zh-Hans",
    most: float = 1.25,
    flattened: int = 0,
    seed: int = 0,
) -> Plan:
    """A plan that draws each wanted character as often as wanted in at least `fonts` fonts, where there are so many.

    `wanted`: times by character, such as what a lake lacks; None: the 8,105 of the General Standard, `times` each.
    Pages are sentences of the corpus, then words of its lists, while these cost no more than `most` of the images that
    would do (characters not wanted any more are drawn for nothing), then runs of characters; `flattened` pages of
    frequency-flattened text follow. Raises UsageError for arguments that make no plan, and where no font draws any.
    """
    needs = dict(wanted) if wanted is not None else dict.fromkeys("".join(levels()), times)
    needs = {c: n for c, n in needs.items() if n > 0}
    if not needs or min(fonts, per_image) < 1 or any(len(c) != 1 or not c.isprintable() for c in needs):
        raise UsageError("a plan needs characters to draw, each once or more, and at least one font and one an image")
    if flattened and corpus is None:
        raise UsageError("flattened text is taken from a corpus: name one")
    characters = tuple(sorted(needs))
    found = cast(book, characters, language)
    ledger = Ledger(found, np.array([needs[c] for c in characters], np.int64), fonts)
    rng = chance(seed, "plan", 0)
    bound = -(-int(ledger.need.sum()) // per_image)
    pages: Pages = []
    if corpus is not None:
        spare = int((most - 1) * bound * per_image)
        held = split(paragraph.text for paragraph in corpus.paragraphs(language))
        whole = int(ledger.need.sum())
        pages += _text_pages(ledger, "text", SENTENCES, held, characters, per_image, spare, rng)
        spare -= len(pages) * per_image - (whole - int(ledger.need.sum()))
        words = sorted(corpus.words(language))
        pages += _text_pages(ledger, "words", WORDS, words, characters, per_image, spare, rng)
    pages += [(font, "run", "".join(characters[c] for c in line)) for font, line in runs(ledger, per_image, rng)]
    if corpus is not None:
        pages += _flattened_pages(found, corpus, language, per_image, flattened, seed)
    named = tuple(PlannedFont(f.name, f.family, f.digest, f.key.index) for f in found.fonts)
    return Plan(language, needs, fonts, per_image, seed, named, tuple(pages))


def _text_pages(
    ledger: Ledger,
    made: Made,
    manner: Manner,
    texts: Iterable[str],
    characters: Sequence[str],
    per_image: int,
    spare: int,
    rng: np.random.Generator,
) -> Pages:
    """Pages of texts, until `spare` characters were drawn for nothing or no text is worth its room."""
    held = gather(texts, characters, manner, per_image, rng)
    pages: Pages = []
    uses = np.zeros(len(held.texts), np.int64)
    tired = np.zeros(len(ledger.cast.fonts), np.bool_)
    while held.texts and spare > 0 and (font := ledger.next_font(tired)) is not None:
        before, used = ledger.kept(), uses.copy()
        lines, useful = text_page(ledger, held, uses, font, per_image, manner)
        rest = per_image - sum(map(len, lines))
        if 2 * rest > per_image:  # what is left of such texts is better spent on another font's pages, or on runs
            ledger.restore(before)
            uses = used
            tired[font] = True
            continue
        line = fill(ledger, font, rest, rng) if rest >= SHORTEST_RUN else []
        if line:
            lines.append("".join(characters[c] for c in line))
        spare -= per_image - useful - len(line)
        pages.append((font, made, manner.between.join(lines)))
    return pages


def _flattened_pages(found: Cast, corpus: Corpus, language: str, per_image: int, count: int, seed: int) -> Pages:
    """Pages of frequency-flattened text, each in the font that has had the least of those that draw it.

    A text that no font draws is left out for another, eight times over at most.
    """
    loads: NDArray[np.int64] = np.zeros(len(found.fonts), np.int64)
    pages: Pages = []
    for n in range(count):
        for attempt in range(8):
            rng = chance(seed, f"plan flattened {attempt}", n)
            text = corpus.flattened(rng, language, max(1, per_image // 3), per_image, breaks=True).text
            points = np.array([ord(c) for c in text], np.int64)
            able = np.flatnonzero(found.tables[:, points].all(axis=1))
            if len(able):
                font = int(able[np.lexsort((able, loads[able]))[0]])
                loads[font] += 1
                pages.append((font, "flattened", text))
                break
        else:
            raise UsageError(f"no font here draws the texts of the corpus in {language}: name other fonts or texts")
    return pages
