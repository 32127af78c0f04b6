"""The job that draws: units, truth, what is drawn twice, what is stopped, and who may draw."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from s3_server import S3Server
from synth_lakes import COUNT, DRAWN, HERE, ask, drawn, tars, told
from synth_tiny import Tiny, TinyPairs

from annotate.captions.quotes import quoted
from pipelines.engines import Result
from pipelines.engines.local import LocalEngine
from pipelines.keeping.forget import forget
from pipelines.synthesising import synthesise as job
from pipelines.synthesising.synthesise import dry_run, synthesise
from pipelines.synthesising.unit import UNIT_SAMPLES, Order, Piece, version_of, work
from synth.layout.block import LayoutError
from warehouse.clean import clean
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.object_store import filesystem
from warehouse.shards import check_shard
from warehouse.sources import ImageReader


@dataclass(frozen=True)
class Backwards:
    """An engine that takes the units in the other order, and stops after `most` of them."""

    most: int = 1000
    name: str = field(default="local", init=False)

    def map(self, work, units: Iterable[Order], *, setup=None) -> Iterator[Result]:
        if setup is not None:
            setup()
        for unit in list(units)[::-1][: self.most]:
            yield Result(unit, value=work(unit))

    def group(self, rows, units, *, key, reduce, setup=None):
        raise AssertionError("synthesis does not shuffle")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "lake"
    done = drawn(root)
    assert (done.images, done.rejected, done.failed) == (DRAWN, {"undrawable": COUNT - DRAWN}, [])
    return root


def test_every_sample_is_an_image_with_its_truth_or_a_row_that_says_why(whole: Path) -> None:
    rows = ask(
        whole,
        "SELECT t.index, t.texts[1].text, t.texts[1].characters, t.template, t.fonts, h.width, i.license "
        "FROM synth_truth t JOIN inputs i USING (image_id) JOIN signals_header h USING (image_id) "
        "WHERE i.status = 'ok' AND i.source = 'synth-tiny' ORDER BY t.index",
    )
    rejected = ask(whole, "SELECT index, reason, detail FROM synth_rejected ORDER BY index")
    assert sorted([row[0] for row in rows] + [row[0] for row in rejected]) == list(range(COUNT))
    assert rejected[0] == (3, "undrawable", "no blocks for 3")
    for index, text, characters, *rest in rows:
        sample = Tiny().draw(1, index)
        assert [text[c["start"] : c["end"]] for c in characters] == list(sample.texts[0].text)
        assert characters[2]["quad"] == pytest.approx(sample.texts[0].character_quads()[2].ravel(), abs=0.01)
        assert rest == ["blocks", ["Blocks"], 256, "synthetic"]


def test_captions_are_synthetic_and_quote_the_text(whole: Path) -> None:
    rows = ask(
        whole,
        "SELECT c.lang, c.text, t.texts[1].text FROM captions c JOIN synth_truth t USING (image_id) "
        "WHERE c.kind = 'synthetic'",
    )
    assert len(rows) == 2 * DRAWN
    assert {lang for lang, _, _ in rows} == {"en", "zh"}
    assert all(quoted(caption) == [text] for _, caption, text in rows)


def test_the_tars_are_shards_as_any_other(whole: Path) -> None:
    (folder,) = (whole / "synth").iterdir()
    for tar in folder.iterdir():
        rows = ask(whole, f"SELECT image_id FROM inputs WHERE uri = '{tar}'")
        problems = check_shard(tar, [])
        assert len(problems) == len(rows) > 0
        assert all("not in the index" in problem for problem in problems)
    (extra,) = ask(whole, "SELECT extra FROM inputs ORDER BY uri, row LIMIT 1")[0]
    synth = json.loads(json.loads(extra)["synth"])
    assert (synth["strategy"], synth["seed"], synth["index"]) == ("tiny", 1, 0)
    assert "characters" not in synth["texts"][0]


def test_the_run_counts_what_was_drawn_and_why_not(whole: Path) -> None:
    ((counts,),) = ask(whole, "SELECT counts FROM runs WHERE command = 'synth'")
    told = json.loads(counts)
    assert (told["samples"], told["images"], told["rejected"]) == (COUNT, DRAWN, {"undrawable": COUNT - DRAWN})


def test_again_does_nothing_and_more_draws_what_is_new(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    drawn(root, count=10)
    first = tars(root)
    again = drawn(root, count=10)
    assert (again.images, again.skipped, again.committed) == (0, 10, False)
    assert drawn(root, count=6).images == 0
    more = drawn(root)
    assert (more.images, more.skipped) == (DRAWN - 9, 10)
    assert first.items() < tars(root).items()
    assert ask(root, "SELECT count(*), count(DISTINCT index) FROM synth_truth") == [(DRAWN, DRAWN)]
    assert ask(root, "SELECT count(*) FROM inputs WHERE status <> 'ok'") == [(0,)]
    assert ask(root, "SELECT count(*) FROM runs WHERE command = 'synth'") == [(2,)]


def test_a_run_that_was_stopped_goes_on(whole: Path, tmp_path: Path) -> None:
    """A unit's tar is there without its parts, another is staged, then all is committed and nothing scanned."""
    root = tmp_path / "lake"
    lake = Lake.open_or_create(root)
    version = version_of(Tiny())
    order = Order(str(lake.root), lake.root / "synth" / "tiny", Piece(Tiny(), version, 1, UNIT_SAMPLES, COUNT))
    work(order)
    for part in (lake.staging / "synth_truth").glob("*.parquet"):
        part.unlink()
    lake.staging.joinpath("synth_rejected").mkdir(exist_ok=True)
    work(Order(str(lake.root), lake.root / "synth" / "tiny", Piece(Tiny(), version, 1, 0, UNIT_SAMPLES)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_scan", _stopped)
        with pytest.raises(KeyboardInterrupt):
            drawn(root)
    done = drawn(root)
    assert (done.images, done.scanned.samples) == (0, DRAWN)
    assert (told(root), tars(root)) == (told(whole), tars(whole))


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("engine", [Backwards(), LocalEngine(workers=2), LocalEngine(workers=4)])
def test_workers_and_order_change_nothing(engine, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    drawn(root, engine=engine)
    assert (told(root), tars(root)) == (told(whole), tars(whole))


def test_other_settings_and_seeds_are_other_samples(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    for drawer, seed in ((Tiny(), 1), (Tiny(ink=1), 1), (Tiny(), 2)):
        assert drawn(root, drawer, count=5, seed=seed).images == 4
    assert ask(root, "SELECT count(*), count(DISTINCT version), count(DISTINCT seed) FROM synth_truth") == [(12, 2, 2)]


def test_the_same_image_twice_is_told(tmp_path: Path) -> None:
    done = drawn(tmp_path / "lake", Same(), count=3)
    assert (done.images, done.rejected) == (1, {"repeat": 2})
    assert ask(tmp_path / "lake", "SELECT DISTINCT detail FROM synth_rejected") == [("the image of sample 0",)]


@dataclass(frozen=True)
class Same(Tiny):
    """Draws one sample, whatever the index."""

    def draw(self, seed: int, index: int):
        return super().draw(seed, 0)


@dataclass(frozen=True)
class Failing(Tiny):
    """Cannot draw one sample, for a reason that is nobody's to mend."""

    def draw(self, seed: int, index: int):
        if index == 66:
            raise LayoutError("lost")
        return super().draw(seed, index)


def test_a_unit_that_fails_costs_only_itself(tmp_path: Path) -> None:
    lake = Lake.open_or_create(tmp_path / "lake")
    done = synthesise(lake, Failing(), seed=1, count=COUNT, engine=HERE)
    assert len(done.failed) == 1
    assert "sample 66: lost" in done.failed[0]
    assert done.images == ask(lake.root, "SELECT count(*) FROM synth_truth")[0][0] == 55
    assert "1 units could not be drawn" in str(done)


def test_a_worker_that_would_draw_something_else_is_refused(tmp_path: Path) -> None:
    lake = Lake.open_or_create(tmp_path / "lake")
    order = Order(str(lake.root), lake.root / "synth", Piece(Tiny(), version_of(Tiny(ink=9)), 1, 0, 4))
    with pytest.raises(UsageError, match="a worker would draw other images"):
        work(order)


def test_nothing_drawable_is_told_and_not_tried_again(tmp_path: Path) -> None:
    done = synthesise(Lake.open_or_create(tmp_path / "lake"), Tiny(), seed=1, count=1, start=3, engine=HERE)
    assert (done.images, done.rejected.total()) == (0, 1)
    again = synthesise(Lake.open(tmp_path / "lake"), Tiny(), seed=1, count=1, start=3, engine=HERE)
    assert str(again) == "nothing new: 1 samples are in the lake already"


def test_dry_run_writes_nothing(tmp_path: Path, whole: Path) -> None:
    plan = dry_run(tmp_path / "none", Tiny(), seed=1, count=100)
    assert (plan.units, plan.samples, plan.skipped) == (2, 100, 0)
    assert plan.bytes > 100_000
    assert not (tmp_path / "none").exists()
    again = dry_run(whole, Tiny(), seed=1, count=COUNT)
    assert str(again) == f"synth: nothing to draw, {COUNT} samples are in the lake already"
    assert dry_run(whole, Tiny(), seed=1, count=COUNT + 1).samples == 1


def test_edit_pairs_are_linked_and_lose_no_pixel(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    assert drawn(root, TinyPairs(), count=4).pairs == 4
    assert drawn(root, TinyPairs(), count=7).pairs == 6
    rows = ask(
        root,
        """SELECT r.uri, r.offset, r.length, t.uri, t.offset, t.length,
            e.quad, e.instruction_en, e.instruction_zh, s.texts
        FROM edits e JOIN inputs r ON r.image_id = e.reference_ids[1] JOIN inputs t ON t.image_id = e.target_id
        JOIN synth_truth s ON s.image_id = e.target_id AND s.pair_id = e.pair_id AND s.side = 'target'
        WHERE e.status = 'ok' AND e.origin = 'synthetic'""",
    )
    assert len(rows) == 6
    with ImageReader() as reader:
        for *places, quad, english, chinese, texts in rows:
            before, after = (
                np.asarray(Image.open(io.BytesIO(reader.read(uri, offset, length, 0))))
                for uri, offset, length in (places[:3], places[3:])
            )
            left, top, right, bottom = int(quad[0]), int(quad[1]), int(quad[2]), int(quad[5])
            differs = (before != after).any(axis=2)
            assert differs[top:bottom, left:right].any()
            differs[top:bottom, left:right] = False
            assert not differs.any()
            assert quoted(english) == quoted(chinese) == [texts[0]["text"][4]]
    assert ask(root, "SELECT count(*) FROM synth_truth WHERE side = 'reference'") == [(6,)]


@settings(max_examples=30)
@given(
    start=st.integers(0, 200),
    count=st.integers(1, 200),
    done=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 64))),
)
def test_what_is_to_be_drawn_and_what_is_there_make_the_range(
    start: int, count: int, done: list[tuple[int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_committed", lambda con, whole: sorted({(a, a + n) for a, n in done}))
        patch.setattr(job, "find_part", lambda *_: None)
        todo, there, staged = job.plan_pieces(None, None, Tiny(), "v", 1, start, count)  # type: ignore[arg-type]
    fresh = [index for piece in todo for index in range(piece.first, piece.stop)]
    known = {index for piece in there for index in range(piece.first, piece.stop)}
    assert len(fresh) == len(set(fresh))
    assert not set(fresh) & known
    assert set(fresh) | known >= set(range(start, start + count)) >= set(fresh)
    assert all(piece.first // UNIT_SAMPLES == (piece.stop - 1) // UNIT_SAMPLES for piece in todo)
    assert staged == []


def test_a_forgotten_image_leaves_the_tars(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    drawn(root, count=5)
    lake = Lake.open(root)
    gone, kept = (ask(root, f"SELECT image_id FROM synth_truth WHERE index = {index}")[0][0] for index in (1, 2))
    forget(lake, "asked to", ids=[gone])
    swept = clean(lake)
    assert (swept.purged.images, swept.purged.drawn) == (1, 1)
    (tar,) = tars(root).values()
    assert gone.encode() not in tar
    assert Tiny().draw(1, 1).texts[0].text.encode() not in tar
    assert kept.encode() in tar
    assert ask(root, f"SELECT count(*) FROM synth_truth WHERE image_id = '{gone}'") == [(0,)]
    named = {path.parent.name for path in (root / "tables").rglob("*.parquet") if gone.encode() in path.read_bytes()}
    assert named == {"forgotten"}
    again = drawn(root, count=5)
    assert (again.images, again.scanned.samples) == (0, 0)
    (row,) = ask(root, f"""SELECT uri, "offset", length, "row" FROM inputs WHERE image_id = '{kept}' """)
    with ImageReader() as reader:
        assert reader.read(*row)[:2] == b"\xff\xd8"


def test_a_lake_in_a_bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path / "scratch"))
    filesystem().call_s3("create_bucket", Bucket="drawn")
    lake = Lake.open_or_create("s3://drawn/lake", catalog=str(tmp_path / "catalog.sqlite"))
    assert synthesise(lake, Tiny(), seed=1, count=5, engine=HERE).scanned.samples == 4
    assert synthesise(lake, Tiny(), seed=1, count=5, engine=HERE).images == 0
    with lake.connect() as con:
        ((uri, gone),) = con.execute(
            "SELECT uri, image_id FROM inputs JOIN synth_truth USING (image_id) WHERE index = 1"
        ).fetchall()
    assert uri.startswith("s3://drawn/lake/synth/tiny/jpg-tiny-")
    here = LocalEngine(workers=0)
    synthesise(Lake.open_or_create(tmp_path / "here"), Tiny(), seed=1, count=5, engine=here)
    (tar,) = tars(tmp_path / "here").values()
    assert filesystem().cat_file(uri) == tar
    forget(lake, "asked to", ids=[gone])
    assert clean(lake).purged.drawn == 1
    assert gone.encode() not in filesystem().cat_file(uri)
