"""What a user wishes becomes a strategy; what was drawn counts as known text."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from commands import here
from synth_lakes import drawn
from synth_tiny import Tiny

from pipelines.balancing.tokens import find_tokens
from pipelines.known_text import find_known_text
from pipelines.synthesising.mixed import Mixed
from pipelines.synthesising.wish import Wish, languages, places, sizes, strategy
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake


def test_languages_and_sizes() -> None:
    assert languages(["zh=0.6,en=0.4"]) == (("zh", 0.6), ("en", 0.4))
    assert languages(["zh-Hant", "ja=2"]) == (("zh-Hant", 1.0), ("ja", 2.0))
    assert sizes("512..1328") == (512, 1328)
    assert sizes("640") == (640, 640)


@pytest.mark.parametrize("told", [["zh=0"], ["zh=x"], ["中=1"], ["en=1,en=2"], [""], ["en=inf"]])
def test_languages_that_are_none(told: list[str]) -> None:
    with pytest.raises(UsageError, match="--language"):
        languages(told)


@pytest.mark.parametrize("told", ["", "0..100", "900..600", "12..big", "512..99999"])
def test_sizes_that_are_none(told: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        sizes(told)


def test_paths_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corpus").mkdir()
    assert places([Path("corpus")]) == (str(tmp_path / "corpus"),)
    with pytest.raises(UsageError, match="no such file or folder: none"):
        places([Path("none")])


@pytest.mark.parametrize(
    ("name", "wish", "said"),
    [
        ("pure", Wish(photos=("p",)), "photographs are for"),
        ("edit", Wish(corpora=("c",)), "our own phrases"),
        ("glyph", Wish(corpora=("c",)), "leave --corpus out"),
        ("compositional", Wish(plan="p"), "a plan says"),
        ("edit", Wish(decks=("d",)), "for template"),
        ("template", Wish(decks=("d",), pages=("p",)), "--decks or --pages"),
        ("origami", Wish(), "no strategy"),
    ],
)
def test_what_does_not_go_together(name: str, wish: Wish, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        strategy(name, wish)


def test_names_are_those_of_the_strategies() -> None:
    for name in ("pure", "compositional", "template", "edit", "glyph"):
        assert strategy(name, Wish()).name == name


def test_a_mixture_is_its_parts_by_index_alone() -> None:
    mixed = Mixed("tiny", ((Tiny(), 0.5), (Tiny(ink=1), 0.5)))
    drawn = [mixed.draw(1, index) for index in range(0, 70, 7)]
    told = [sample.texts[0].text for sample in drawn]
    parts = [[Tiny(ink=ink).draw(1, index).texts[0].text for index in range(0, 70, 7)] for ink in (0, 1)]
    assert all(text in both for text, both in zip(told, zip(*parts, strict=True), strict=True))
    assert told not in parts
    assert mixed.fingerprint() != Mixed("tiny", ((Tiny(), 0.6), (Tiny(ink=1), 0.4))).fingerprint()


def test_what_was_drawn_is_believed_before_what_was_read(tmp_path: Path) -> None:
    """OCR misread one character of a synthetic picture: it counts for none, the drawn ones do."""
    from pipelines.extractors.ocr import EXTRACTOR

    drawn(tmp_path / "lake", count=2)
    lake = Lake.open(tmp_path / "lake")
    with lake.connect() as con:
        rows = con.execute("SELECT image_id, text FROM synth_text ORDER BY image_id").fetchall()
        misread = [{"image_id": i, "version": "1", "status": "ok", "ocr_text": "错"} for i, _ in rows]
        misread.append({"image_id": "f" * 32, "version": "1", "status": "ok", "ocr_text": "真"})
        lake.ensure_tables(con, [EXTRACTOR.table])
        con.register("read_rows", EXTRACTOR.table.from_rows(misread))
        files = pack_query(con, lake, EXTRACTOR.table, "FROM read_rows")
        commit(con, lake, RunInfo(command="inspect"), {EXTRACTOR.table.name: files})
        find_known_text(con)
        assert con.execute("SELECT image_id, text FROM temp.told ORDER BY image_id").fetchall() == rows
        con.register("pool_rows", pa.table({"image_id": [*(i for i, _ in rows), "f" * 32]}))
        con.execute("CREATE TEMP TABLE pool AS FROM pool_rows")
        assert find_tokens(con) == 3
        tokens = {token for (token,) in con.execute("SELECT DISTINCT token FROM temp.image_tokens").fetchall()}
    assert tokens == set("".join(text for _, text in rows)) | {"真"}


def test_fonts_are_listed(tmp_path: Path) -> None:
    done = here("fonts", "--language", "zh-Hans")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["name", "kind", "language", "licence"]
    assert all("zh-Hans" in line for line in lines[1:-1])
    assert here("fonts", "--language", "tlh").returncode == 2
