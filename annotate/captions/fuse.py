"""Fused captions: the facts that only the delivered caption knows (names, places, dates, figures), put to a recaption.

A recaption is written by a model that looks at the picture: it says what is to be seen and cannot know who or where it
is. The delivered caption often knows and says little else. This fuser works without weights and is cautious: what it
is not sure to be a name it leaves out, and it never says a thing twice. A language model does it better.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from annotate.captions.language import ENGLISH, HAN, detect
from annotate.captions.rules import invalid

#: Raise it when another caption would come out.
VERSION = "1"
Kind = Literal["name", "place", "date", "figure"]
KINDS: tuple[Kind, ...] = ("name", "place", "date", "figure")
MOST = 4  # facts of one kind: a list of forty names is an index, no caption


@dataclass(frozen=True)
class Fact:
    """Something that a delivered caption knows, as it is written there."""

    kind: Kind
    text: str


def fuse(recaption: str, raw: Iterable[str]) -> str | None:
    """The recaption with a sentence of the facts that the raw captions of its language know and it lacks.

    None where there is none such, and where the recaption is no usable caption; unusable raw captions are passed over.
    """
    language = detect(recaption)
    if language not in ("en", "zh") or invalid(recaption):
        return None
    facts: list[Fact] = []
    for text in raw:
        if detect(text) == language and not invalid(text):
            facts += facts_of(text)
    facts = [fact for kind in KINDS for fact in [f for f in facts if f.kind == kind][:MOST]]
    lacking: list[Fact] = []
    for fact in facts:
        if not _says(recaption, fact) and not any(_says(known.text, fact) for known in lacking):
            lacking = [known for known in lacking if not _says(fact.text, known)]
            lacking.append(fact)
    sentence = _chinese(lacking) if language == "zh" else _english(lacking)
    if not sentence:
        return None
    text = recaption.strip()
    if language == "zh":
        return f"{text if text[-1] in '。！？…”』」' else text.rstrip('，、；,;') + '。'}{sentence}"
    return f"{text if text[-1] in '.!?…' else text.rstrip(',;:') + '.'} {sentence}"


def facts_of(text: str) -> list[Fact]:
    """Names, places, dates and figures of one caption, in this order, each once."""
    found = _chinese_facts(text) if detect(text) == "zh" else _english_facts(text)
    return list(dict.fromkeys(found))


_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_CAP = r"(?:[A-Z]\.|[A-Z][\w'’-]*[a-z][\w'’-]*|[A-Z]{2,5}(?=\s[A-Z][a-z]))"
_NAME = re.compile(rf"{_CAP}(?:\s(?:(?:of|de|la|van|von|der|del|al|\d{{1,4}})\s)?{_CAP}|\s[IVX]+\b)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;|–—-]\s+|[“\"(\[]\s*)$")
_BEFORE_PLACE = re.compile(r"\b(?:in|at|near|from|outside|to)\s+(?:the\s+)?$", re.IGNORECASE)
#: `..., at night, Paris, France`: what follows a plain word and a comma and stands alone is where it was.
_AFTER_WORD = re.compile(r"(?:^|\s)[a-z][\w'’-]*, $")
_BEFORE_CREDIT = re.compile(
    r"(?:\b(?:by|via|courtesy of|courtesy|credits?|source|copyright|photographer)|©|photos?:?|image:)\s*:?\s*$",
    re.IGNORECASE,
)
_DATE_EN = re.compile(
    rf"\b(?:(?:\d{{1,2}}\s)?(?:{_MONTHS})(?:\s\d{{1,2}})?,?\s)?(?<![\d.,-])(?:1[4-9]\d\d|20\d\d)s?\b(?![\d.,]\d|[x×-]\d)"
)
_FIGURE_EN = re.compile(
    r"(?<![\w.])\d+(?:[.,]\d+)?\s?(?:km/h|kph|mph|km|cm|mm|m|kg|tonnes?|tons?|feet|ft|miles?|metres?|meters?|hectares?|acres?|"
    r"°C|°F|hp|MW|kW)\b(?!\w)"
)
_NO_NAME = frozenset(_MONTHS.lower().split("|")) | {
    *("i", "a", "an", "the", "this", "that", "these", "those", "my", "our", "your", "his", "her", "its", "their", "it"),
    *("we", "you", "they", "he", "she", "here", "there", "photo", "picture", "image", "view", "portrait", "close"),
    *("aerial", "black", "white", "red", "blue", "green", "yellow", "old", "new", "young", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine", "ten", "monday", "tuesday", "wednesday", "thursday", "friday"),
    *("saturday", "sunday", "spring", "summer", "autumn", "winter", "christmas", "vintage", "beautiful", "happy"),
    *("stock", "free", "hd", "in", "on", "at", "from", "with"),
}


def _english_facts(text: str) -> list[Fact]:
    names: list[Fact] = []
    places: list[Fact] = []
    spoken = [w for w in re.findall(r"[A-Za-z][\w'’-]*", text) if w.lower() not in ENGLISH]
    title_case = len(spoken) >= 5 and sum(w[0].isupper() for w in spoken) >= 0.9 * len(spoken)
    after_place = -1
    for match in _NAME.finditer(text):
        before = text[: match.start()]
        words = match.group().split()
        starts = _SENTENCE_START.search(before) is not None
        article = before.endswith("the ")
        while starts and words and words[0].lower() in _NO_NAME:  # a capital there says nothing
            article = words.pop(0) == "The"
        listed = match.start() == after_place
        after_place = -1
        tail = _AFTER_WORD.search(before) is not None and text[match.end() : match.end() + 1] in ("", ",", ".")
        place = listed or tail or _BEFORE_PLACE.search(before) is not None
        name = " ".join(words).removesuffix("'s").removesuffix("’s")
        if (
            len(name) < 3
            or all(word.lower() in _NO_NAME for word in words)
            or _BEFORE_CREDIT.search(before)
            or (starts and len(words) < 2)
            or (title_case and not place)
        ):
            continue
        if article:
            name = f"the {name}"
        if place:
            after_place = match.end() + 2 if text[match.end() : match.end() + 2] == ", " else -1
        (places if place else names).append(Fact("place" if place else "name", name))
    dates = [Fact("date", m.group().strip()) for m in _DATE_EN.finditer(text)]
    figures = [Fact("figure", m.group().strip()) for m in _FIGURE_EN.finditer(text)]
    return [*names, *places, *dates, *figures]


_CITIES = (
    "北京|上海|天津|重庆|广州|深圳|杭州|南京|苏州|成都|武汉|西安|长沙|郑州|青岛|大连|厦门|昆明|拉萨|哈尔滨|沈阳|济南|桂林|敦煌|"
    "香港|澳门|台北|高雄|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|"
    "甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|日本|法国|英国|美国|德国|意大利|俄罗斯|巴黎|伦敦|纽约|东京|罗马|莫斯科"
)
_SUFFIX = "省|市|县|区|镇|乡|村|路|街|大道|巷|山|湖|江|河|岛|寺|塔|庙|宫|大学|公园|广场|机场|车站|博物馆|大桥"
_EDGE = r"(?:(?<=^)|(?<=[，。、；：！？\s“”《》（）()·,:])|(?<=[在于自到从至摄]))"
_PLACE_ZH = re.compile(
    rf"(?:{_EDGE}|(?<=年|月|日))("
    rf"(?:(?:{_CITIES})(?:[{HAN}]{{1,8}}?(?:{_SUFFIX}))*)"
    rf"|(?:[{HAN}]{{2,6}}?(?:{_SUFFIX})(?:[{HAN}]{{1,6}}?(?:{_SUFFIX}))*)"
    r")"
)
_NO_PLACE = re.compile(
    "城市|超市|都市|夜市|菜市|早市|集市|小区|街区|社区|地区|景区|山区|郊区|园区|道路|马路|公路|铁路|小路|山路|土路|一条|一座|一片|"
    "大街|小街|街道|小巷|小镇|小村|乡村|农村|江河|河江|大山|小山|高山|雪山|远山|青山|火山|爬山|登山|湖泊|大河|小河|"
    "小岛|海岛|孤岛|寺庙|宝塔|灯塔|古塔|宫殿|皇宫|[的了着是有和与一这那个座条片两三]"
)
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余"
    "潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文鲁齐巩"
)
_ROLES = (
    "演员|歌手|导演|主席|总理|总统|画家|书法家|诗人|作家|教授|院士|球员|运动员|选手|宇航员|航天员|记者|主持人|模特|皇帝|将军|"
    "作者|摄影家|钢琴家|音乐家|科学家"
)
_PERSON_ZH = re.compile(
    rf"(?:{_ROLES})([{_SURNAMES}][{HAN}]{{1,2}}?)(?=$|[^{HAN}]|[在的和与及正出站坐手穿向为是、]|参加|演唱|表演|领奖|亮相)"
)
_TITLE_ZH = re.compile("《[^《》]{1,40}》")
_DATE_ZH = re.compile(
    r"(?:公元前?)?\d{3,4}年(?:\d{1,2}月(?:\d{1,2}日)?)?|(?:[唐宋元明清]代|[康雍乾嘉道][熙正隆庆光]年间)"
)
_FIGURE_ZH = re.compile(
    r"(?<!\d)\d+(?:\.\d+)?(?:多)?(?:平方公里|平方米|公里|千米|厘米|毫米|米|公斤|千克|吨|亩|公顷|摄氏度|℃|马力|千瓦)"
)


def _chinese_facts(text: str) -> list[Fact]:
    names = [Fact("name", m.group(1)) for m in _PERSON_ZH.finditer(text)]
    names += [Fact("name", m.group()) for m in _TITLE_ZH.finditer(text)]
    untitled = _TITLE_ZH.sub("，", text)
    found = [re.sub("^.*[在于自到从至]", "", m.group(1)) for m in _PLACE_ZH.finditer(untitled)]
    places = [Fact("place", place) for place in found if len(place) >= 2 and not _NO_PLACE.search(place)]
    dates = [Fact("date", m.group()) for m in _DATE_ZH.finditer(untitled)]
    figures = [Fact("figure", m.group()) for m in _FIGURE_ZH.finditer(untitled)]
    return [*names, *places, *dates, *figures]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", re.sub(f"([{HAN}])", r" \1 ", folded)))


def _says(text: str, fact: Fact) -> bool:
    """Whether the text has the fact: its words in one run, or all words of a name somewhere."""
    told, wanted = f" {_plain(text)} ", _plain(fact.text)
    if f" {wanted} " in told:
        return True
    words = [w for w in wanted.split() if w not in ENGLISH]
    return fact.kind in ("name", "place") and not re.search(f"[{HAN}]", wanted) and set(words) <= set(told.split())


def _of(facts: Sequence[Fact], kind: Kind) -> list[str]:
    return [fact.text for fact in facts if fact.kind == kind]


def _english(facts: Sequence[Fact]) -> str:
    names, places, dates, figures = (_of(facts, k) for k in ("name", "place", "date", "figure"))
    said = ""
    if names:
        said = f"It shows {_and(names)}"
    if places:
        said += f"{', in' if said else 'It was taken in'} {', '.join(places)}"
    if dates:
        said += f"{', dated' if said else 'It is dated'} {_and(dates)}"
    if figures:
        said += f"{'; the figure given is' if said else 'The figure given is'} {_and(figures)}"
    return f"{said}." if said else ""


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _chinese(facts: Sequence[Fact]) -> str:
    names, places, dates, figures = (_of(facts, k) for k in ("name", "place", "date", "figure"))
    said = [f"图中是{'、'.join(names)}"] if names else []
    said += [f"地点是{'、'.join(places)}"] if places else []
    said += [f"时间是{'、'.join(dates)}"] if dates else []
    said += [f"标明的数字是{'、'.join(figures)}"] if figures else []
    return "，".join(said) + "。" if said else ""
