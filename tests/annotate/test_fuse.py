"""Fused captions: facts that only the delivered caption knows, said once and in a sentence of the same language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.captions.fuse import Fact, facts_of, fuse
from annotate.captions.language import detect
from annotate.captions.rules import invalid

PODIUM = "A man in a dark suit stands at a podium and speaks into a microphone."
TOWER = "一座古老的城楼矗立在雪地里，屋檐上挂着冰凌。"
RAW_EN = [
    "Barack Obama speaking at a podium in Chicago, Illinois, 2012",
    "The Eiffel Tower at night, Paris, France",
    "Fog rolls over the Golden Gate Bridge",
    "Ferrari 488 Pista on the Nürburgring, 320 km/h",
    "Frida Kahlo, self-portrait with monkeys, 1943",
    "In the morning I went to Rome with Anna",
]
RAW_ZH = [
    "雪后的故宫角楼，北京，2019年2月14日",
    "摄于山西省大同市",
    "演员周迅在电影《如果爱》首映式上",
    "清代乾隆年间的青花瓷瓶，高35厘米",
    "我们在北京市朝阳区建国路",
]


@pytest.mark.parametrize(
    ("raw", "facts"),
    [
        (RAW_EN[0], {"name": ["Barack Obama"], "place": ["Chicago", "Illinois"], "date": ["2012"]}),
        (RAW_EN[1], {"name": ["the Eiffel Tower"], "place": ["Paris", "France"]}),
        (RAW_EN[2], {"name": ["the Golden Gate Bridge"]}),
        (RAW_EN[3], {"name": ["Ferrari 488 Pista", "the Nürburgring"], "figure": ["320 km/h"]}),
        (RAW_EN[4], {"name": ["Frida Kahlo"], "date": ["1943"]}),
        (RAW_EN[5], {"name": ["Anna"], "place": ["Rome"]}),
        ("Photo by John Smith", {}),
        ("Black Dog Running On Green Grass Stock Photo", {}),
        ("Two dogs on a beach on Monday", {}),
        ("1920x1080 wallpaper of a lake", {}),
        (RAW_ZH[0], {"place": ["北京"], "date": ["2019年2月14日"]}),
        (RAW_ZH[1], {"place": ["山西省大同市"]}),
        (RAW_ZH[2], {"name": ["周迅", "《如果爱》"]}),
        (RAW_ZH[3], {"date": ["清代", "乾隆年间"], "figure": ["35厘米"]}),
        (RAW_ZH[4], {"place": ["北京市朝阳区建国路"]}),
        ("城市的夜景，超市门口的小路", {}),
    ],
)
def test_facts_of_a_caption(raw: str, facts: dict[str, list[str]]) -> None:
    expected = [Fact(kind, text) for kind in ("name", "place", "date", "figure") for text in facts.get(kind, ())]  # type: ignore[arg-type]
    assert facts_of(raw) == expected


def test_a_sentence_of_what_is_lacking() -> None:
    assert fuse(PODIUM, RAW_EN[:1]) == f"{PODIUM} It shows Barack Obama, in Chicago, Illinois, dated 2012."
    assert fuse(TOWER, RAW_ZH[:1]) == f"{TOWER}地点是北京，时间是2019年2月14日。"
    assert fuse(PODIUM.rstrip("."), RAW_EN[:1]) == fuse(PODIUM, RAW_EN[:1])


def test_what_the_recaption_says_is_not_said_again() -> None:
    told = "Barack Obama speaks at a podium in Chicago."
    assert fuse(told, RAW_EN[:1]) == f"{told} It was taken in Illinois, dated 2012."
    assert fuse("A man, Barack Hussein Obama, speaks.", ["Photo of Barack Obama on stage"]) is None
    assert fuse(PODIUM, ["a man speaking", "Barack Obama on stage", "on stage with Obama"]) == (
        f"{PODIUM} It shows Barack Obama."
    )


def test_raw_captions_of_no_use_say_nothing() -> None:
    assert fuse(PODIUM, ["IMG_2012.JPG", "Getty Images 123456 stock photo of Barack Obama in Chicago"]) is None
    assert fuse(PODIUM, RAW_ZH) is None  # another language
    assert fuse("I'm sorry, I cannot describe the people in this image.", RAW_EN) is None


@pytest.mark.parametrize(("recaption", "raw"), [(PODIUM, RAW_EN), (TOWER, RAW_ZH)])
def test_fused_again_it_stays_as_it_is_and_is_a_caption(recaption: str, raw: list[str]) -> None:
    for some in [*([r] for r in raw), raw]:
        fused = fuse(recaption, some)
        assert fused is not None
        assert fused.startswith(recaption)
        assert invalid(fused) is None
        assert detect(fused) == detect(recaption)
        assert fuse(fused, some) is None


@given(st.lists(st.sampled_from([*RAW_EN, *RAW_ZH]), max_size=6), st.sampled_from([PODIUM, TOWER]))
def test_every_fact_is_said_once(raw: list[str], recaption: str) -> None:
    fused = fuse(recaption, raw) or ""
    for fact in {f.text for r in raw if detect(r) == detect(recaption) for f in facts_of(r)}:
        assert fused.count(fact) <= 1
