"""Which fields are captions, what stands in `extra`, how bytes become text, which language a script gives away."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.sources.captions import Told, caption_field
from warehouse.sources.text import NotTextError, decode_text, guess_language, json_value, storable


@pytest.mark.parametrize(
    ("name", "kind", "lang"),
    [
        ("caption", "raw", None),
        ("TEXT", "raw", None),
        ("txt", "raw", None),
        ("alt_text", "raw", None),
        ("captions_zh", "raw", "zh"),
        ("caption_cn", "raw", "zh"),
        ("text-en", "raw", "en"),
        ("top_caption", "raw", None),
        ("recaption", "recaption", None),
        ("longCaption", "recaption", None),
        ("caption_blip2", "recaption", None),
        ("fused_caption", "fused", None),
        ("enhanced_caption_en", "enhanced", "en"),
        ("synthetic_caption", "synthetic", None),
        ("caption_1", "raw", None),
        ("caption_id", None, None),
        ("text_length", None, None),
        ("title", None, None),
        ("en", None, None),
    ],
)
def test_caption_field(name: str, kind: str | None, lang: str | None) -> None:
    assert caption_field(name) == (kind, lang)


def _told(fields: dict[str, object]) -> Told:
    told = Told()
    told.add_fields(fields, "json")
    return told


def test_lists_and_records_of_captions() -> None:
    told = _told(
        {
            "captions": ["one", "two", "one"],
            "sentences": [{"raw": "three", "tokens": ["three"]}, {"text": "vier", "lang": "de", "kind": "fused"}],
            "caption": None,
            "text": 42,
            "recaption": "",
        }
    )
    assert [(c.kind, c.text, c.lang) for c in told.captions] == [
        ("raw", "one", "und"),
        ("raw", "two", "und"),
        ("raw", "three", "und"),
        ("fused", "vier", "de"),
    ]
    # Where the captions do not hold all that a field says, the field stays whole.
    assert told.extra.keys() == {"sentences", "caption", "text", "recaption"}
    assert told.captions[0].origin == "json:captions"


def test_language_told_beats_language_guessed() -> None:
    told = _told({"caption": "bonjour", "language": "fr", "alt": "一只猫", "text_en": "hello"})
    assert {(c.text, c.lang) for c in told.captions} == {("bonjour", "fr"), ("一只猫", "fr"), ("hello", "en")}
    again = _told({"txt": "bonjour"})
    again.add_fields({"caption": "bonjour", "lang": "fr"}, "json")
    assert [(c.text, c.lang) for c in again.captions] == [("bonjour", "fr")]
    assert _told({"lang": "fr"}).extra == {"lang": "fr"}


def test_provenance() -> None:
    told = _told({"URL": "http://x", "License": 3, "Opt_Out": 1, "crawled_at": datetime.date(2024, 2, 3), "Url2": "y"})
    assert (told.source_url, told.license, told.opt_out, told.collected_at) == ("http://x", "3", True, "2024-02-03")
    assert told.extra == {"Url2": "y"}
    told.add_fields({"url": "http://other", "opt_out": "maybe"}, "captions.csv")
    assert told.source_url == "http://x"
    assert told.extra == {"Url2": "y", "url": "http://other", "opt_out": "maybe"}


def test_two_places_that_say_different_things() -> None:
    told = _told({"width": 3, "height": 4})
    told.add_fields({"width": 5, "height": 4}, "captions.csv")
    assert told.extra == {"width": 3, "height": 4, "captions.csv:width": 5}


def test_values_that_json_has_no_word_for() -> None:
    value = {
        "nan": math.nan,
        "inf": -math.inf,
        "time": datetime.datetime(2024, 1, 2, 3, 4, 5),
        "exact": decimal.Decimal("1.10"),
        "small": b"\0\1",
        "large": bytes(1000),
        "pairs": [("a", 1)],
        7: "key",
        "half": "\ud83d",
    }
    plain = json.loads(json.dumps(json_value(value), allow_nan=False))
    assert plain["nan"] == "NaN"
    assert plain["inf"] == "-Infinity"
    assert plain["time"] == "2024-01-02T03:04:05"
    assert plain["exact"] == "1.10"
    assert plain["small"]["base64"] == "AAE="
    assert plain["large"].keys() == {"bytes", "sha256"}
    assert plain["pairs"] == [["a", 1]]
    assert plain["7"] == "key"
    assert plain["half"] == "\ufffd"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(string.ascii_letters, min_size=1).map(lambda s: f"x_{s}"), _JSON, max_size=5))
def test_every_further_field_round_trips(fields: dict[str, object]) -> None:
    told = Told()
    told.add_sidecar("json", "a.json", json.dumps(fields).encode())
    assert json.loads(json.dumps(told.extra, allow_nan=False)) == fields
    assert told.captions == []


@given(st.text(min_size=1))
def test_every_caption_round_trips(text: str) -> None:
    told = Told()
    told.add_sidecar("txt", "a.txt", text.encode() + b"\n")
    told.add_sidecar("json", "a.json", json.dumps({"recaption": text}).encode())
    raw = text.removeprefix("\ufeff").removesuffix("\r")  # a mark is no text; "\r\n" is one end of line
    assert [(c.kind, c.text) for c in told.captions] == [("raw", raw)] * bool(raw) + [("recaption", text)]


@given(st.binary(max_size=200), st.sampled_from(["txt", "json", "zh.txt", "meta.json"]))
def test_any_bytes_are_told(data: bytes, suffix: str) -> None:
    told = Told()
    told.add_sidecar(suffix, f"a.{suffix}", data)
    json.dumps(told.extra, allow_nan=False).encode()
    assert all(c.text.encode() for c in told.captions)
    assert told.captions or told.extra or not data.strip(b"\xef\xbb\xbf\n\r{} [].0")


@pytest.mark.parametrize("text", ["红色的花", "一张照片，里面有12个人 and a dog", "汉字" * 50])
def test_gb18030(text: str) -> None:
    assert decode_text(text.encode("gb18030")) == (text, "gb18030")
    assert decode_text(text.encode()) == (text, None)
    assert decode_text(text.encode("utf-16")) == (text, "utf-16")


@pytest.mark.parametrize("text", ["un café", "Größe über alles", "señor", "été à la plage", "Ångström, naïve"])
def test_latin1_is_not_taken_for_chinese(text: str) -> None:
    with pytest.raises(NotTextError):
        decode_text(text.encode("latin-1"))


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("a dog in the park", "und"),
        ("", "und"),
        ("123 !?", "und"),
        ("公园里的一只狗", "zh"),
        ("写着 SALE 的红色海报", "zh"),
        ("A neon sign that reads 火锅 above the door of a restaurant", "und"),
        ("公園にいる犬", "ja"),
        ("공원에 있는 개", "ko"),
        ("собака в парке", "ru"),
        ("كلب في الحديقة", "ar"),
        ("पार्क में एक कुत्ता", "hi"),
        ("สุนัขในสวนสาธารณะ", "th"),
        ("Ein Hund im größten Park", "und"),
    ],
)
def test_guess_language(text: str, lang: str) -> None:
    assert guess_language(text) == lang


def test_storable() -> None:
    assert storable("\ud83d\ude00") == "😀"
    assert storable("a\ud83d") == "a\ufffd"
    assert storable("漢字 é") == "漢字 é"
