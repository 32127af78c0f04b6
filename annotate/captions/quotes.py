"""What a caption quotes: words that it says can be read in the picture."""

from __future__ import annotations

import re

from annotate.captions.language import HAN

_EDGE = r"(?<![A-Za-z0-9])"
_PAIRS = (
    re.compile("“([^“”]{1,400})”"),
    re.compile(r"‘((?:[^‘’]|(?<=[A-Za-z])’(?=[A-Za-z])){1,400})’(?![A-Za-z])"),
    re.compile(rf'{_EDGE}"([^"]{{1,400}})"'),
    re.compile(rf"{_EDGE}'(?=\S)(?!\d0s\b)((?:[^'\n]|(?<=[A-Za-z])'(?=[A-Za-z])){{1,200}}?)(?<=\S)'(?![A-Za-z0-9])"),
    re.compile("「([^「」]{1,400})」"),
    re.compile("『([^『』]{1,400})』"),
)
#: A title in 《》 names a work; it is read in the picture only where the caption says that it is written there.
_TITLE = re.compile("(?:写着|写有|印着|印有|刻着|题着|标着|封面|书名|标题|字样)[^，。；《》]{0,8}《([^《》]{1,100})》")
#: Written words without quotation marks: capitals after a verb of reading, Chinese that runs to a stop or to 字样.
_READS = re.compile(
    r"\b(?:[Tt]he words?|(?:text|sign|label|banner|poster|card|plate) (?:that )?(?:reads?|reading|saying|says)|"
    r"(?:that|which) (?:reads|says)|lettering reading|spelling(?: out)?|labell?ed) "
    r"((?:[A-Z0-9][\w&'’.-]*)(?: (?:&|[A-Z0-9][\w&'’.-]*))*)"
)
_WRITTEN = re.compile(
    rf"(?:写着|写有|印着|印有|刻着|刻有|标着|标有)([{HAN}A-Za-z0-9 ]{{1,16}}?)"
    "(?:字样|[一二两三四五六七八九十几]个大?字|$|[，。；！？,.;!?])"
)
_TOLD_ABOUT = re.compile(
    "[的了和与等]|几个|一个|一些|字|数|网址|电话|价格|日期|名称|标语|口号|姓名|号码|信息|内容|英文|中文"
)


def quoted(text: str) -> list[str]:
    """The strings that a caption quotes, in the order they stand, each once and without blanks around it.

    Marks: “” ‘’ "" '' 「」 『』; titles in 《》 where the caption says that they are written; and what follows
    `the word`, `a sign that reads`, 写着 and the like without marks, as far as capitals or a stop show where it ends.
    """
    found: list[tuple[int, str]] = []
    for pattern in _PAIRS:
        found += [(m.start(1), m.group(1)) for m in pattern.finditer(text)]
    inside = [(at, at + len(said)) for at, said in found]
    found += [(m.start(1), m.group(1)) for m in _TITLE.finditer(text)]
    for pattern in (_READS, _WRITTEN):
        for m in pattern.finditer(text):
            said = m.group(1).rstrip(".")
            if (
                not any(a <= m.start(1) < b for a, b in inside)
                and any(c.isalpha() for c in said)
                and (pattern is _READS or not _TOLD_ABOUT.search(said))
            ):
                found.append((m.start(1), said))
    outer = [(at, said) for at, said in found if not any(a < at and at + len(said) < b for a, b in inside)]
    return list(dict.fromkeys(stripped for _, said in sorted(outer) if (stripped := said.strip())))


_UNMARKED = re.compile(
    "(?:(?<=写着|印着|刻着|标着|写有|印有)|(?<=广告：|标语：|广告:|标语:))[^“”。；，]{2,}(?:，[^“”。；，]{2,})*"
)


def without_quotes(text: str) -> str:
    """The caption with everything between quotation marks, titles in 《》 and what follows 写着 left out: what it says
    itself. An empty pair of marks stands where something was."""
    for pattern in (*_PAIRS, re.compile("《([^《》]{1,100})》"), _UNMARKED):
        text = pattern.sub("“”", text)
    return text
