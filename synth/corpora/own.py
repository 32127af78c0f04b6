"""Our own texts, in Chinese and in English: what is drawn where no corpus is named."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources

from synth.corpora.source import Document

_LANGUAGES = {"texts_en.toml": "en", "texts_zh.toml": "zh-Hans"}


def own_documents() -> Iterator[Document]:
    """Each sentence is a document; the paragraphs of a language are one, so that pages can be made of them."""
    for file, language in _LANGUAGES.items():
        found = tomllib.loads((resources.files("synth.corpora") / file).read_text(encoding="utf-8"))
        yield from (Document((sentence,), language) for sentence in found["sentences"])
        yield Document(tuple(found["paragraphs"]), language)
