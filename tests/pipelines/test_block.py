"""Decontamination: evaluation images and prompts planted in a corpus are found at stage 1, other things are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from decision_lakes import fill, new_lake, recipe
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.block import block, read_prompts, source_name, unblock
from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.near.pairs import near
from pipelines.scan import scan
from warehouse import views
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources import open_source

RECIPE = """
name = "clean"
store_from = 1
scales = [256]
[[stage]]
number = 1
name = "initial curation"
rules = [ { name = "not for evaluation", when = "NOT evaluation" } ]
"""
THIRTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen"
Rows = Sequence[tuple[object, ...]]
ZH = "一块醒目巨大的彩色广告牌清晰地印着每日新鲜烘焙"


def matches(lake: Lake) -> dict[str, str]:
    """image_id to how."""
    with lake.connect(read_only=True) as con:
        found = con.execute("SELECT image_id, how FROM evaluation_matches").fetchall()
    assert len(dict(found)) == len(found)
    return dict(found)


def test_nothing_is_blocked_until_something_is_listed(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(lake, ["a", "b"], captions=[("a", "raw", "a photo of a bench")], pairs=[{"a": "a", "b": "b"}])
    assert matches(lake) == {}
    assert decide(lake, recipe(RECIPE)).counts["kept"] == 2


def asked(
    *, images: Sequence[str] = (), prompts: Sequence[str] = (), captions: Rows = (), pairs: Rows = ()
) -> dict[str, str]:
    """How the view finds what: image to how. `captions` are (image, text), `pairs` rows of near_pairs."""
    con = duckdb.connect()
    con.execute("CREATE TABLE captions (image_id VARCHAR, text VARCHAR)")
    con.execute("CREATE TABLE block_prompts (evaluation_set VARCHAR, prompt VARCHAR)")
    con.execute("CREATE TABLE block_images (evaluation_set VARCHAR, image_id VARCHAR)")
    con.execute(
        "CREATE TABLE near_pairs (a VARCHAR, b VARCHAR, link VARCHAR, distance INT, tile_distance FLOAT, "
        "text_differs BOOLEAN)"
    )
    con.execute((views.FOLDER / "evaluation_matches.sql").read_text(encoding="utf-8"))
    rows = {
        "captions (?, ?)": captions,
        "block_prompts ('words', ?)": [(p,) for p in prompts],
        "block_images ('pictures', ?)": [(i,) for i in images],
        "near_pairs (?, ?, ?, ?, ?, ?)": pairs,
    }
    for into, given_rows in rows.items():
        if given_rows:
            con.executemany(f"INSERT INTO {into.replace(' (', ' VALUES (', 1)}", list(given_rows))
    found = con.execute("SELECT image_id, how FROM evaluation_matches").fetchall()
    con.close()
    assert len(dict(found)) == len(found)
    return dict(found)


def test_by_id_and_by_near_pair_within_the_limits() -> None:
    pairs = [
        ("eval", "copy", "near", 16, 7.0, None),
        ("early copy", "eval", "near", 3, 2.0, False),
        ("eval", "far", "near", 17, 2.0, None),
        ("eval", "loose", "near", 4, 7.5, None),
        ("eval", "other words", "near", 4, 2.0, True),
        ("alone", "copy", "near", 4, 2.0, None),
    ]
    assert asked(images=["eval"], pairs=pairs) == {"eval": "id", "copy": "near", "early copy": "near"}


def test_what_stands_behind_one_leader_is_blocked_together() -> None:
    pairs = [
        ("leader", "eval", "same", 0, 0.0, None),
        ("leader", "twin", "same", 0, 0.0, None),
        ("leader", "near", "near", 4, 2.0, None),
        ("near", "behind near", "same", 0, 0.0, None),
        ("far", "else", "same", 0, 0.0, None),
    ]
    others = dict.fromkeys(("leader", "twin", "near", "behind near"), "near")
    assert asked(images=["eval"], pairs=pairs) == {"eval": "id", **others}


@pytest.mark.parametrize(
    ("prompt", "caption", "blocked"),
    [
        ("a photo of a bench", "A photo of a BENCH.", True),
        ("a photo of a bench", "a photo of a bench in the park", False),
        ("A red colored car.", "“a red, colored car”", True),
        ("Ｆｕｌｌ width", "full ｗｉｄｔｈ", True),
        ("café", "cafe\u0301", True),
        (THIRTEEN, f"and so {THIRTEEN} and on", True),
        (f"Count: {THIRTEEN}, go!", f"they say: {THIRTEEN.replace(' ', ', ')}", True),
        (THIRTEEN, THIRTEEN.replace("thirteen", "fourteen"), False),
        (THIRTEEN.replace("one ", ""), f"and so {THIRTEEN} and on", False),  # twelve words must be the whole caption
        (ZH, f"照片里有{ZH[3:17]}和一只猫", True),
        (ZH, f"照片里有{ZH[3:15]}和一只猫", False),
        (ZH, "，".join(ZH), True),
        ("!!!", "???", False),
    ],
)
def test_by_prompt(prompt: str, caption: str, blocked: bool) -> None:
    captions = [("a", caption), ("b", "something else altogether")]
    assert asked(prompts=[prompt], captions=captions) == ({"a": "prompt"} if blocked else {})


WORDS = st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "山", "水", "人"]), max_size=40)


@settings(max_examples=25)
@given(st.lists(WORDS, min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=4))
def test_every_shared_run_is_found_wherever_it_begins(captions: list[list[str]], prompts: list[list[str]]) -> None:
    """The view against the plain definition, over words so few that runs are shared by chance."""
    found = asked(
        prompts=[" ".join(p) for p in prompts], captions=[(str(n), " ".join(c)) for n, c in enumerate(captions)]
    )
    runs = {tuple(p[i : i + 13]) for p in prompts for i in range(len(p) - 12)}
    assert found.keys() == {
        str(n)
        for n, c in enumerate(captions)
        if (c and c in prompts) or runs & {tuple(c[i : i + 13]) for i in range(len(c) - 12)}
    }


@dataclass(frozen=True)
class Planted:
    lake: Lake
    blocked: set[str]  # file names of the corpus that belong to an evaluation set
    others: set[str]


@pytest.fixture(scope="module")
def planted(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Evaluation images in a corpus of photographs, as they are, re-encoded and resized; prompts as captions."""
    folder = tmp_path_factory.mktemp("block")
    evaluation, corpus = folder / "evaluation", folder / "corpus"
    evaluation.mkdir()
    corpus.mkdir()
    pages = [
        p
        for name in ("scene_misc", "documents", "ui_screenshots", "qwen3vl_cookbook", "rapidocr_tests")
        for p in sorted((shared_data / "text_rich" / name).iterdir())
    ]
    pages = [p for p in pages if p.suffix in (".jpg", ".jpeg", ".png") and _is_plain(p)][::3]
    blocked = set()
    for n, page in enumerate(pages):
        shutil.copyfile(page, evaluation / f"{n}{page.suffix}")
        shutil.copyfile(page, corpus / f"copy{n}{page.suffix}")
        picture = Image.open(page).convert("RGB")
        picture.save(corpus / f"q75-{n}.jpg", quality=75)
        size = (round(picture.width * 0.6), round(picture.height * 0.6))
        picture.resize(size, Image.Resampling.LANCZOS).save(corpus / f"small-{n}.webp", quality=80)
        blocked |= {f"copy{n}{page.suffix}", f"q75-{n}.jpg", f"small-{n}.webp"}
    photos = sorted((shared_data / "photos_captioned" / "images").iterdir())[:32]
    told = []
    for n, (photo, prompt) in enumerate(zip(photos, _prompts(shared_data), strict=False)):
        shutil.copyfile(photo, corpus / f"prompted-{n}.jpg")
        text = f"Here we see it: {prompt[: len(prompt) * 2 // 3]}" if len(prompt) > 300 else prompt.upper()
        told.append({"file_name": f"prompted-{n}.jpg", "caption": text})
        blocked.add(f"prompted-{n}.jpg")
    human = [json.loads(line) for line in (shared_data / "photos_captioned" / "captions.jsonl").open()]
    said = {Path(r["file"]).name: [*r["captions_en"], *r["captions_zh"]] for r in human}
    others = set()
    for photo in sorted((shared_data / "photos_captioned" / "images").iterdir())[32:56]:
        shutil.copyfile(photo, corpus / photo.name)
        told.append({"file_name": photo.name, "captions": said.get(photo.name, [])})
        others.add(photo.name)
    (corpus / "captions.jsonl").write_text("\n".join(map(json.dumps, told)))
    lake = Lake.create(folder / "lake")
    engine = LocalEngine(workers=2)
    scan(lake, open_source(str(corpus)), engine=engine)
    block(lake, "pages", images=open_source(str(evaluation)), engine=engine)
    for name in ("geneval", "drawbench", "longtext_bench"):
        block(lake, name, prompts=_prompts_of(shared_data, name), engine=engine)
    near(lake)
    return Planted(lake, blocked, others)


def _is_plain(page: Path) -> bool:
    """Large enough to be resized, and without transparency, which JPEG would lose."""
    with Image.open(page) as image:
        return min(image.size) >= 256 and image.mode != "RGBA"


def _prompts_of(shared_data: Path, name: str) -> list[str]:
    files = {
        "geneval": ("evaluation_metadata.jsonl",),
        "drawbench": ("DrawBench.csv",),
        "longtext_bench": ("text_prompts.jsonl", "text_prompts_zh.jsonl"),
    }
    return [p for f in files[name] for p in read_prompts(shared_data / "bench_prompts" / name / f)]


def _prompts(shared_data: Path) -> list[str]:
    """Eight of each list, LongText in both languages."""
    english, drawn = _prompts_of(shared_data, "geneval"), _prompts_of(shared_data, "drawbench")
    long = _prompts_of(shared_data, "longtext_bench")
    return [*english[::30][:8], *drawn[::12][:8], *long[:80:10], *long[80::10]]


def test_all_that_was_planted_is_dropped_at_stage_1_and_nothing_else(planted: Planted) -> None:
    done = decide(planted.lake, recipe(RECIPE))
    with planted.lake.connect(read_only=True) as con:
        dropped = con.execute(
            "SELECT parse_filename(uri) FROM outcomes WHERE outcome = 'dropped' AND source = 'corpus' "
            "AND failed_rules = ['not for evaluation']"
        ).fetchall()
        repeats = con.execute("SELECT count(*) FROM inputs WHERE status = 'repeat'").fetchall()[0][0]
        kept = con.execute("SELECT parse_filename(uri) FROM outcomes WHERE outcome = 'kept'").fetchall()
        how = dict(con.execute("SELECT how, count(*) FROM evaluation_matches GROUP BY how").fetchall())
    assert {name for (name,) in dropped} == planted.blocked
    assert {name for (name,) in kept} == planted.others
    copies = sum(name.startswith("copy") for name in planted.blocked)
    assert repeats == copies  # the same bytes, blocked by id, wherever the lake had them from first
    assert how == {"id": copies, "near": 2 * copies, "prompt": 32}
    assert done.counts["dropped"] == len(planted.blocked)


def test_a_set_is_listed_once_and_can_be_taken_off(planted: Planted, shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(planted.lake.root, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    again = block(lake, "drawbench", prompts=_prompts_of(shared_data, "drawbench"), engine=LocalEngine(workers=0))
    assert (again.prompts, again.new_prompts, again.committed) == (100, 0, False)
    assert unblock(lake, "pages") == (sum(n.startswith("copy") for n in planted.blocked), 0)
    assert set(matches(lake).values()) == {"prompt"}
    with pytest.raises(UsageError, match="no evaluation set pages; there are: drawbench, geneval, longtext_bench"):
        unblock(lake, "pages")


def test_block_wants_something_to_block(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--images, --prompts"):
        block(Lake.create(tmp_path / "lake"), "empty", engine=LocalEngine(workers=0))
    assert source_name("geneval") == "evaluation geneval"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.txt", "one\n\n two \n", ["one", " two "]),
        ("a.jsonl", '{"tag": 1, "prompt": "one"}\n"two"\n', ["one", "two"]),
        ("a.json", '[{"Prompt": "one"}, {"text": "two"}]', ["one", "two"]),
        ("a.csv", '\ufeffPrompts,Category\n"one, with\na line break",Text\ntwo,\n', ["one, with\na line break", "two"]),
        ("a.tsv", "id\tcaption\n1\tone\n", ["one"]),
    ],
)
def test_prompt_files(tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_prompts(tmp_path / name) == found


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "x,y\n1,2\n", "without prompt or"),
        ("a.jsonl", "{", "cannot be read as prompts"),
        ("a.txt", "\n\n", "holds no prompt"),
        ("a.docx", "x", "prompts are read from .txt"),
        ("a.json", "[3]", "without prompt or"),
    ],
)
def test_prompt_files_that_are_none(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        read_prompts(tmp_path / name)


def test_the_field_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "no", "Zh": "是"}', encoding="utf-8")
    assert read_prompts(tmp_path / "a.jsonl", "zh") == ["是"]
