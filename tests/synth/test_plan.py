"""Plans: every character as often as wanted in as many fonts as wanted, in few pages; recounted here from the pages."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from synth.corpora.corpus import open_corpus
from synth.fonts.face import FaceKey
from synth.hanzi import levels
from synth.plan.make import make_plan
from synth.plan.plan import Plan, read_plan, write_plan
from synth.plan.reach import reach, told
from warehouse.errors import UsageError


@dataclass(frozen=True)
class FakeFont:
    key: FaceKey
    name: str
    family: str
    kind: str
    language: str
    digest: str
    centred: str = ""


@dataclass(frozen=True)
class FakeCoverage:
    drawn: NDArray[np.uint32]


class FakeBook:
    """Fonts by name and what each draws."""

    def __init__(self, drawn: dict[str, str], kinds: tuple[str, ...] = ("sans", "serif", "kai")) -> None:
        self.fonts = tuple(
            FakeFont(
                FaceKey(f"/{name}.ttf"), name, name.rstrip("0123456789"), kinds[n % len(kinds)], "zh-Hans", f"d-{name}"
            )
            for n, name in enumerate(drawn)
        )
        self._drawn = {font.key: drawn[font.name] for font in self.fonts}

    def coverage(self, key: FaceKey) -> FakeCoverage:
        return FakeCoverage(np.array(sorted(map(ord, self._drawn[key])), np.uint32))


def shown(plan: Plan) -> tuple[Counter[str], dict[str, set[str]]]:
    """How often each character is on the pages, and in which fonts."""
    times: Counter[str] = Counter()
    fonts: dict[str, set[str]] = defaultdict(set)
    for i in range(len(plan)):
        page = plan.page(i)
        times.update(page.text)
        for character in page.text:
            fonts[character].add(page.font.name)
    return times, fonts


HAN = "".join(levels())[:600]


@given(
    st.lists(st.sets(st.integers(0, 39), min_size=1), min_size=1, max_size=6),
    st.dictionaries(st.integers(0, 39), st.integers(1, 12), min_size=1),
    st.integers(1, 4),
    st.integers(1, 30),
    st.integers(0, 9),
)
@settings(deadline=None)
def test_what_is_wanted_is_drawn(
    covers: list[set[int]], wanted: dict[int, int], fonts: int, per_image: int, seed: int
) -> None:
    drawn = {f"Font{n}": "".join(HAN[c] for c in sorted(cover)) for n, cover in enumerate(covers)}
    needs = {HAN[c]: n for c, n in wanted.items()}
    able = {c: {name for name, held in drawn.items() if c in held} for c in needs}
    if not any(able.values()):
        with pytest.raises(UsageError, match="no font here"):
            make_plan(FakeBook(drawn), wanted=needs, fonts=fonts, per_image=per_image, seed=seed)
        return
    plan = make_plan(FakeBook(drawn), wanted=needs, fonts=fonts, per_image=per_image, seed=seed)
    times, faces = shown(plan)
    for character, often in needs.items():
        assert times[character] == (often if able[character] else 0)
        assert faces[character] <= able[character]
        assert len(faces[character]) >= min(fonts, len(able[character]), often)
    assert all(len(plan.page(i).text) <= per_image for i in range(len(plan)))
    found = reach(plan)
    assert set(found.undrawn) == {c for c in needs if not able[c]}
    assert found.images == len(plan)


def test_half_empty_pages_are_put_together() -> None:
    book = FakeBook({f"Font{n}": HAN for n in range(12)})
    plan = make_plan(book, wanted=dict.fromkeys(HAN[:50], 6), fonts=3, per_image=100)
    assert reach(plan).bound == 3
    assert len(plan) <= 4


def test_pages_put_together_stay_in_several_families() -> None:
    book = FakeBook(dict.fromkeys(("A1", "A2", "B1", "A3", "C1", "C2", "B2"), HAN))
    plan = make_plan(book, wanted={HAN[0]: 5, HAN[1]: 5, HAN[2]: 2}, fonts=3, per_image=40)
    assert len(plan) == reach(plan).bound == 3
    assert {name[0] for name in shown(plan)[1][HAN[0]]} == {"A", "B", "C"}


def test_rare_characters_get_all_fonts_that_draw_them_and_are_told() -> None:
    rare, none = HAN[500:510], "𠀀"
    book = FakeBook({"Full": HAN, "Half": HAN[:500], "Other": HAN[:500], "More": HAN[:510]})
    plan = make_plan(book, wanted=dict.fromkeys(HAN[:510] + none, 10), fonts=3, per_image=100)
    times, faces = shown(plan)
    assert all(faces[c] == {"Full", "More"} and times[c] == 10 for c in rare)
    found = reach(plan)
    assert sorted("".join(level.few for level in found.levels)) == sorted(rare)
    lines = "\n".join(told(found, plan))
    assert "no font here draws 1: 𠀀" in lines
    assert "in fewer: " in lines


def test_fonts_are_spread_over_kinds() -> None:
    book = FakeBook({"A1": HAN, "A2": HAN, "A3": HAN, "B1": HAN}, kinds=("sans", "sans", "sans", "kai"))
    plan = make_plan(book, wanted=dict.fromkeys(HAN[:300], 2), fonts=2, per_image=50)
    kinds = Counter("kai" if plan.page(i).font.name == "B1" else "sans" for i in range(len(plan)))
    assert 0.3 < kinds["kai"] / kinds.total() < 0.7
    assert all("B1" in names and len(names) >= 2 for names in shown(plan)[1].values())


def test_sentences_come_before_runs_within_what_they_may_cost(tmp_path: Path) -> None:
    book = FakeBook({f"Font{n}": "".join(levels()) + "，。！？；：、“”…—《》" for n in range(6)})
    corpus = open_corpus(())
    wanted = dict.fromkeys(levels()[0], 2)
    plain = make_plan(book, wanted=wanted, fonts=2)
    plan = make_plan(book, corpus, wanted=wanted, fonts=2, most=1.1)
    found = reach(plan)
    assert 1.0 <= reach(plain).ratio <= 1.01
    assert 1.0 <= found.ratio <= 1.13  # a page or two beyond 1.1: pages are whole
    assert found.text_share > 0.05
    paragraphs = "\n".join(text.text for text in corpus.paragraphs("zh"))
    first = plan.page(0)
    assert first.made == "text"
    assert first.text.split("\n")[0] in paragraphs
    times = shown(plan)[0]
    assert all(times[c] >= 2 for c in wanted)


def test_words_stand_between_sentences_and_runs(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("".join(f"{HAN[i]}{HAN[i + 1]} 9\n" for i in range(0, 400, 2)), encoding="utf-8")
    corpus = open_corpus((str(tmp_path / "w.txt"),))
    book = FakeBook({f"Font{n}": HAN for n in range(3)})
    plan = make_plan(book, corpus, wanted=dict.fromkeys(HAN[:500], 1), fonts=1, per_image=50)
    made = Counter(plan.page(i).made for i in range(len(plan)))
    assert made["words"] >= 8
    assert made["run"] >= 1
    assert all(len(word) == 2 for word in plan.page(0).text.split(" "))


def test_plans_are_functions_of_their_arguments_and_survive_their_file(tmp_path: Path) -> None:
    book = FakeBook({f"Font{n}": HAN + "，。" for n in range(4)})
    plan, again, other = (
        make_plan(book, open_corpus(()), wanted=dict.fromkeys(HAN, 3), flattened=0, seed=seed) for seed in (1, 1, 2)
    )
    assert plan == again
    assert plan.digest == again.digest != other.digest
    write_plan(plan, tmp_path / "plan.json")
    read = read_plan(tmp_path / "plan.json")
    assert read.digest == plan.digest
    assert read.pages == plan.pages
    assert dict(read.wanted) == dict(plan.wanted)
    assert reach(read) == reach(plan)
    with pytest.raises(IndexError):
        read.page(len(read))


def test_a_page_finds_its_font_by_content_then_by_name() -> None:
    book = FakeBook({"Font0": HAN, "Other": HAN})
    page = make_plan(book, wanted={HAN[0]: 1}).page(0)
    assert page.face(book) == book.fonts[0].key
    book.fonts = tuple(replace(font, digest="new") for font in book.fonts)
    assert page.face(book) == book.fonts[0].key
    with pytest.raises(UsageError, match="draws in Font0, which is not here"):
        page.face(FakeBook({"Third": HAN}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "cannot be read"),
        ("not json", "no plan: "),
        ("[]", "no plan; make one"),
        ("{}", "no plan; make one"),
        ({"glyphmill_plan": 99}, "version 99, this reads version 1"),
        ({"pages": 3}, "damaged at its fonts, pages"),
        ({"pages": [[7, 0, "a"]]}, "damaged at page 0"),
        ({"pages": [[0, 9, "a"]]}, "damaged at page 0"),
        ({"pages": [[0, 0, ""]]}, "damaged at page 0"),
        ({"pages": [[0, "a"]]}, "damaged at "),
        ({"fonts": [["a", "b", "c", -1]]}, "should be a number"),
        ({"language": None}, "should be a text"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, change: str | dict[str, object] | None, message: str) -> None:
    path = tmp_path / "plan.json"
    if isinstance(change, dict):
        write_plan(make_plan(FakeBook({"Font0": HAN}), wanted={HAN[0]: 1}), path)
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    elif change is not None:
        path.write_text(change, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as told_of:
        read_plan(path)
    assert "\n" not in str(told_of.value)
    assert str(path) in str(told_of.value)


def test_arguments_that_make_no_plan_are_refused() -> None:
    book = FakeBook({"Font0": HAN})
    for wrong in ({"wanted": {}}, {"wanted": {"ab": 1}}, {"wanted": {"\n": 1}}, {"fonts": 0}, {"per_image": 0}):
        with pytest.raises(UsageError, match="a plan needs characters"):
            make_plan(book, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="name one"):
        make_plan(book, flattened=1)
    with pytest.raises(UsageError, match="the forms of ko"):
        make_plan(book, language="ko")


def test_flattened_pages_follow_and_do_not_count() -> None:
    book = FakeBook({f"Font{n}": "".join(levels()) + "，。！？；：、“”…—《》" for n in range(3)})
    plan = make_plan(book, open_corpus(()), wanted={HAN[0]: 1}, flattened=5)
    found = reach(plan)
    assert (found.images, found.flattened) == (1, 5)
    assert [plan.page(i).made for i in range(1, 6)] == ["flattened"] * 5
    assert len({plan.page(i).font.name for i in range(1, 6)}) == 3


def test_the_standard_list_with_the_fonts_of_this_machine(shared_data: Path) -> None:
    from synth.fonts.book import open_book

    book = open_book()
    if sum(font.language == "zh-Hans" for font in book.fonts) < 3:
        pytest.skip("fewer than three Chinese fonts are installed")
    poems = open_corpus((str(shared_data / "text_corpora" / "poems_zh"),))
    plan = make_plan(book, poems)
    found = reach(plan)
    assert found.ratio <= 1.3
    for level, size in zip(found.levels, (3500, 3000, 1605), strict=True):
        assert (level.wanted, level.drawn, level.often) == (size, size - _none(found.undrawn, level.level), level.drawn)
        assert level.in_fonts + len(level.few) == level.drawn
    page = plan.page(0)
    assert book.missing(page.face(book), page.text) == ""


def _none(undrawn: str, level: int | None) -> int:
    return sum(c in levels()[(level or 1) - 1] for c in undrawn)


def test_a_font_whose_stops_stand_in_the_middle_sets_no_simplified_text_with_stops() -> None:
    """Taiwan's stops in the middle of the square look like a fault to readers elsewhere."""
    from synth.fonts.book import open_book
    from synth.plan.fonts import cast

    book = open_book()
    centred = [f for f in book.fonts if f.centred and f.language == "zh-Hans"]
    if not centred:
        pytest.skip("no font here draws the stops in the middle")
    found = cast(book, "春眠。", "zh-Hans")
    seen = {font.name: draws.tolist() for font, draws in zip(found.fonts, found.draws.T, strict=True)}
    assert all(seen[font.name] == [True, True, "。" not in font.centred] for font in centred)
    assert [True, True, True] in seen.values()
