"""Reading a corpus: files are found, read, cleaned, told apart by language, rid of twins and packed; or found kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from synth.corpora.gather import gather_words, runs
from synth.corpora.kept import keep, kept_path, load
from synth.corpora.own import own_documents
from synth.corpora.read import File, documents, find
from synth.corpora.store import Run, Store, pack
from synth.corpora.twins import without_twins


def read_texts(paths: tuple[str, ...]) -> tuple[Store, dict[str, int]]:
    """What the files and folders hold (of no paths: our own texts), and what was left out, by reason.

    Raises UsageError for what is not there, cannot be read, decoded or parsed.
    """
    left_out: Counter[str] = Counter()
    files = find(paths, left_out)
    kept = kept_path(files)
    found = load(kept) if kept is not None else None
    if found is None:
        skipped: Counter[str] = Counter()
        words: dict[str, dict[str, int]] = {}
        every = _runs(files, words, skipped) if paths else runs(own_documents(), "glyphmill", skipped)
        found = pack(without_twins(every, skipped), words), dict(skipped)
        if kept is not None:
            keep(kept, *found)
    return found[0], dict(left_out + Counter(found[1]))


def _runs(files: Sequence[File], words: dict[str, dict[str, int]], skipped: Counter[str]) -> Iterator[Run]:
    for file in files:
        for document in documents(file):
            if document.words:
                gather_words(document, words, skipped)
            else:
                yield from runs([document], file.name, skipped)
