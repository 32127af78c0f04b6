"""Fields of a sidecar, a table row or a Parquet row: which are captions, which are provenance, the rest is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from warehouse.sources.base import Caption, Delivered, words
from warehouse.sources.text import NotTextError, decode_text, guess_language, json_value, storable

T = TypeVar("T")

KEPT_TEXT = 65536
"""Characters of an unreadable sidecar that are kept in `extra`."""

_SUBJECT = words("caption captions text texts txt recaption recaptions alttext alt sentence sentences")
_NEUTRAL = words("raw original orig top web image img alt caption captions text texts human coco gt")
_KINDS = {
    "fused": "fused",
    "fusion": "fused",
    "merged": "fused",
    "enhanced": "enhanced",
    "refined": "enhanced",
    "rewritten": "enhanced",
    "improved": "enhanced",
    "synthetic": "synthetic",
} | dict.fromkeys(
    words(
        "re recaption recaptions recaptioned long short dense detailed generated vlm llm blip blip2 llava "
        "cogvlm qwen internvl gpt4v gpt4o florence florence2 coca machine model ai"
    ),
    "recaption",
)
KINDS = frozenset({"raw", "recaption", "fused", "enhanced", "synthetic"})
_LANGUAGES = {
    code: code for code in words("en zh ja ko ru ar hi th he el fr de es it pt nl pl tr vi uk cs sv fa bn")
} | {"cn": "zh", "jp": "ja", "kr": "ko", "english": "en", "chinese": "zh", "japanese": "ja", "korean": "ko"}

_URL = ("source_url", "url", "image_url", "img_url", "original_url")
_LICENSE = (
    *(
        "license",
        "licence",
        "license_name",
        "licence_name",
        "license_id",
        "rights",
        "usage_rights",
        "copyright_license",
    ),
    *("license_url", "licence_url"),
)
_OPT_OUT = (
    *("opt_out", "optout", "opted_out", "opt-out", "opted-out", "noai", "no_ai", "ai_opt_out", "tdm_opt_out"),
    *("tdm_reservation", "do_not_train"),
)
_RECORDS = ("json", "meta", "metadata", "provenance", "info", "attributes")
_COLLECTED = ("collected_at", "crawled_at", "fetched_at", "downloaded_at", "date")
_LANG = ("lang", "language", "caption_lang", "caption_language")
_FALSE = words("false no n f 0 0.0")
_TRUE = words("true yes y t 1 1.0")
_NOTHING = words("none null nan n/a")


@dataclass
class Told:
    """Everything that is said about one image, put together from as many places as say something."""

    captions: list[Caption] = field(default_factory=list)
    source_url: str | None = None
    license: str | None = None
    opt_out: bool | None = None
    collected_at: str | None = None
    extra: dict[str, object] = field(default_factory=dict)

    def add_caption(self, caption: Caption) -> None:
        """Adds it once per kind and text; of two, the one with a told language stays, then the smaller origin."""
        for i, known in enumerate(self.captions):
            if (known.kind, known.text) == (caption.kind, caption.text):
                self.captions[i] = min(known, caption, key=lambda c: (not c.lang_told, c.origin))
                return
        self.captions.append(caption)

    def add_extra(self, name: str, value: object, origin: str) -> None:
        """Keeps the field; a second place that says something else under the same name is kept beside the first."""
        name = storable(name)
        value = json_value(value)
        if name in self.extra and self.extra[name] != value:
            name = f"{origin}:{name}"
        self.extra[name] = value

    def add_fields(self, fields: Mapping[str, object], origin: str) -> None:
        """Takes a record apart. `origin` names where it came from: "json", "captions.csv", "parquet"."""
        rest = dict(fields)
        lang_name, lang = _pick(rest, _LANG, str)
        found = False
        for name, value in fields.items():
            kind, told_lang = caption_field(name)
            if kind is None or name == lang_name:
                continue
            captions = list(_captions(value, kind, told_lang or lang, f"{origin}:{storable(name)}"))
            for caption in captions:
                self.add_caption(caption)
            found = found or bool(captions)
            if captions and _is_plain(value):
                del rest[name]
        if found and lang_name is not None:
            del rest[lang_name]
        self._add_provenance(rest)
        for name, value in rest.items():
            self.add_extra(str(name), value, origin)

    def add_rights(self, fields: Mapping[str, object]) -> None:
        """Takes url, licence, opt-out and date alone out of a record that tells of more than this image."""
        self._add_provenance(dict(fields))

    def _add_provenance(self, rest: dict[str, object]) -> None:
        """Moves url, licence, opt-out and date out of `rest`; what another place said before stays. What a record
        within the record says of them counts where the record itself says nothing."""
        if self.source_url is None:
            self.source_url = _take(rest, _URL)
        if self.license is None:
            self.license = _take(rest, _LICENSE)
        if self.collected_at is None:
            self.collected_at = _take(rest, _COLLECTED)
        if not self.opt_out:  # one place that says so is enough
            name, value = _pick(rest, _OPT_OUT, object)
            said = str(value).strip().lower()
            if name is not None and said and said not in _NOTHING:  # a date, or a word that is not known, is no "no"
                self.opt_out = said not in _FALSE
                if said in _FALSE | _TRUE:
                    del rest[name]
        for within in _RECORDS:
            record = _pick(rest, (within,), object)[1]
            if isinstance(record, Mapping):
                self._add_provenance(dict(record))

    def add_sidecar(self, suffix: str, name: str, data: bytes) -> None:
        """A sidecar's bytes. One that cannot be read leaves its reason and its text in `extra`, never an exception.

        A suffix may say more than txt or json: `recaption.txt` and `zh.txt` are captions of that kind and language,
        `meta.json` is a record.
        """
        try:
            text, encoding = decode_text(data)
        except NotTextError as e:
            self.add_extra("sidecar_error", f"{name}: {e}", name)
            self.add_extra("sidecar_latin1", data[:KEPT_TEXT].decode("latin-1"), name)
            return
        if encoding:
            self.add_extra("sidecar_encoding", encoding, name)
        if suffix.rpartition(".")[2] == "json":
            self._add_json(suffix, name, text)
            return
        kind, lang = caption_field(suffix)
        text = _without_last_newline(text)
        if kind is None:
            self.add_extra(suffix, text, name)
        for caption in _captions(text, kind, lang, f"sidecar .{suffix}") if kind else ():
            self.add_caption(caption)

    def _add_json(self, origin: str, name: str, text: str) -> None:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as e:
            self.add_extra("sidecar_error", f"{name}: not JSON: {e}", name)
            self.add_extra("sidecar_text", text[:KEPT_TEXT], name)
            return
        if isinstance(record, dict):
            self.add_fields(record, origin)
            return
        captions = list(_captions(record, "raw", None, origin))
        for caption in captions:
            self.add_caption(caption)
        if not (captions and _is_plain(record)):
            self.add_extra(origin, record, name)

    def deliver(
        self, row: int, uri: str, offset: int | None, data: bytes | None, stamp: str, error: str | None = None
    ) -> Delivered:
        """The sample of which all this is told."""
        return Delivered(
            row=row,
            uri=uri,
            offset=None if data is None else offset,
            length=None if data is None else len(data),
            data=data,
            stamp=stamp,
            captions=tuple(self.captions),
            source_url=self.source_url,
            license=self.license,
            opt_out=self.opt_out,
            collected_at=self.collected_at,
            extra=self.extra,
            error=error,
        )


def is_provenance(name: str) -> bool:
    """Whether a field of this name tells url, licence, opt-out or date."""
    return name.lower() in {*_URL, *_LICENSE, *_OPT_OUT, *_COLLECTED}


def caption_field(name: str) -> tuple[str | None, str | None]:
    """(kind, language) of a caption field by its name, (None, None) for any other.

    A name is a caption's where it says caption, text, alt ... and every other word in it is a known kind, language or
    number: `caption`, `captions_zh`, `text_en`, `alt_text`, `fused_caption`, `caption_blip2`, but not `caption_id`.
    """
    words = [w for w in re.split(r"[^0-9a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if w]
    if not _SUBJECT & set(words):
        return None, None
    kind, lang = "raw", None
    for word in words:
        if word in _KINDS:
            kind = _KINDS[word]
        elif word in _LANGUAGES:
            lang = _LANGUAGES[word]
        elif word not in _SUBJECT and word not in _NEUTRAL and not word.isdigit():
            return None, None
    return kind, lang


def _captions(value: object, kind: str, lang: str | None, origin: str) -> Iterator[Caption]:
    """Captions in a field's value: a string, a list of them, or COCO-like records with caption, text or raw."""
    if isinstance(value, str):
        if value:
            text = storable(value)
            yield Caption(kind, text, lang or guess_language(text), origin, lang is not None)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _captions(item, kind, lang, origin)
    elif isinstance(value, Mapping):
        own_kind, own_lang = value.get("kind"), _pick(dict(value), _LANG, str)[1]
        kind = own_kind if isinstance(own_kind, str) and own_kind in KINDS else kind
        texts = (value[k] for k in ("caption", "text", "raw") if isinstance(value.get(k), str))
        yield from _captions(next(texts, None), kind, own_lang or lang, origin)


def _is_plain(value: object) -> bool:
    """Whether the captions hold all that the value says: no record with further fields, nothing that is no text."""
    if isinstance(value, list | tuple):
        return all(isinstance(v, str) and v for v in value)
    return isinstance(value, str)


def _pick(record: Mapping[str, object], names: Iterable[str], kind: type[T]) -> tuple[str | None, T | None]:
    """The first of `names` (any case) that holds a value of this type: (its name as written, the value)."""
    lower = {str(k).lower(): k for k in reversed(list(record))}
    for name in names:
        written = lower.get(name)
        value = record[written] if written is not None else None
        if written is not None and value is not None and value != "" and isinstance(value, kind):
            return written, value
    return None, None


def _take(rest: dict[str, object], names: Iterable[str]) -> str | None:
    for name in names:
        written, value = _pick(rest, (name,), object)
        plain = json_value(value)
        if written is not None and isinstance(plain, str | int | float) and value == value:  # NaN says nothing
            del rest[written]
            return str(plain)
    return None


def _without_last_newline(text: str) -> str:
    return text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith("\n") else text
