"""From documents as they stand in files to clean runs of paragraphs in one language; what is left out is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from synth.corpora.clean import clean
from synth.corpora.cut import sentences
from synth.corpora.source import Document
from synth.corpora.store import Run
from synth.corpora.tell import forms, language_of

LONGEST = 2000  # characters of a paragraph; longer ones are parted at ends of sentences
_HELD = {"hant": "zh-Hant", "hans": "zh-Hans", "tw": "zh-Hant", "hk": "zh-Hant", "mo": "zh-Hant"}


def runs(documents: Iterable[Document], source: str, skipped: Counter[str]) -> Iterator[Run]:
    """The runs of documents that hold texts."""
    for document in documents:
        kept: list[str] = []
        for paragraph in document.paragraphs:
            text, fault = clean(paragraph)
            if fault is None:
                kept += [text] if len(text) <= LONGEST else list(parted(text, skipped))
            else:
                skipped[f"paragraph: {fault}"] += 1
        yield from _by_language(kept, document.language, source)


def gather_words(document: Document, into: dict[str, dict[str, int]], skipped: Counter[str]) -> None:
    """Add the words of a list to those of their languages. A single Chinese character is a word too."""
    told = [language_of(word, document.language) for word in document.paragraphs]
    most = Counter(told).most_common(1)[0][0] if told else "und"
    variant = forms("".join(w for w, t in zip(document.paragraphs, told, strict=True) if t == "zh")[:4000])
    for word, count, language in zip(document.paragraphs, document.counts, told, strict=True):
        text, fault = clean(word)
        if fault is not None or not text.replace("'", "").replace("-", "").isalpha():
            skipped["word: not of letters alone"] += 1
            continue
        name = language if language != "und" else most
        name = ("zh-Hant" if variant < 0 else "zh-Hans") if name == "zh" else name
        known = into.setdefault(name, {})
        known[text] = known.get(text, 0) + count


def parted(text: str, skipped: Counter[str]) -> Iterator[str]:
    """A long paragraph in parts of whole sentences. A sentence that is longer still is left out."""
    held = ""
    for sentence in sentences(text):
        if len(sentence) > LONGEST:
            skipped["sentence: longer than a page"] += 1
            continue
        if held and len(held) + len(sentence) > LONGEST:
            yield held.strip()
            held = ""
        held += sentence
    if held.strip():
        yield held.strip()


def _by_language(paragraphs: list[str], declared: str | None, source: str) -> Iterator[Run]:
    if not paragraphs:
        return
    told = [language_of(text, declared) for text in paragraphs]
    if "zh" in told:
        shapes = [forms(text) if name == "zh" else 0 for text, name in zip(paragraphs, told, strict=True)]
        said = next((_HELD[p] for p in (declared or "").replace("_", "-").lower().split("-") if p in _HELD), "zh-Hans")
        whole = sum(shapes)
        usual = said if whole == 0 else "zh-Hant" if whole < 0 else "zh-Hans"
        for i, shape in enumerate(shapes):
            if told[i] == "zh":
                told[i] = usual if abs(shape) < 2 else "zh-Hant" if shape < 0 else "zh-Hans"
    begin = 0
    for i in range(1, len(paragraphs) + 1):
        if i == len(paragraphs) or told[i] != told[begin]:
            yield Run(paragraphs[begin:i], told[begin], source)
            begin = i
