"""The feed's parts by themselves: leases, the window, the choice of work, names of entries, pixels, words."""

from __future__ import annotations

import io
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from feed_plans import open_listed, plain_plan
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from model.batches import Picture
from model.feed.choose import HOPELESS, LONELY, HopelessError, choose
from model.feed.client import HttpDoor
from model.feed.encoders import Encoders, full_float32
from model.feed.leases import Leases
from model.feed.messages import Chapter, Encoding, Status, Task
from model.feed.needs import batch_needs, entry_key
from model.feed.pixels import UndecodableError, crop_box, fitted
from model.feed.plans import Plans, RecipeLog, agree, at
from model.feed.telling import line, report
from model.feed.window import Window
from model.text.encoder import Prompt
from warehouse.errors import LakeError

ENCODING = Encoding("aa", "bb", "rule", 4, 4, 8)


def task(key: str, step: int = 0, size: int = 16) -> Task:
    return Task(key, "latent", "plan", step, 0, size, size, (Picture("p", 1),))


# ---- leases ----------------------------------------------------------------------------------------------------------


def test_a_silent_producers_work_is_free_again_and_a_renewed_one_is_not() -> None:
    now = 0.0
    leases = Leases(10.0, lambda: now)
    silent, alive = leases.give("a", [task("1"), task("2")]), leases.give("b", [task("3")])
    now = 8.0
    leases.renew([alive.id, "unknown"])
    now = 12.0
    assert leases.expire() == [silent]
    assert "1" not in leases
    assert "3" in leases
    assert leases.of("b") == 1
    assert leases.lost == {"1": 1, "2": 1}
    leases.renew([silent.id])  # too late
    assert "1" not in leases
    leases.finish(silent.id)
    assert leases.release("b") == [alive]
    assert len(leases) == 0


def test_work_done_twice_frees_each_lease_once() -> None:
    now = 0.0
    leases = Leases(1.0, lambda: now)
    first = leases.give("a", [task("1")])
    now = 2.0
    leases.expire()
    second = leases.give("b", [task("1")])
    leases.finish(first.id)
    assert "1" in leases
    leases.finish(second.id)
    assert "1" not in leases


# ---- the choice of work ----------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from((16, 24))), max_size=40, unique_by=lambda pair: pair[0]),
    st.dictionaries(st.integers(0, 99).map(str), st.integers(0, HOPELESS - 1), max_size=10),
    st.integers(0, 5),
    st.integers(1, 20),
)
def test_chosen_work_is_of_one_group_and_begins_with_the_most_urgent(
    listed: list[tuple[int, int]], lost: dict[str, int], producers: int, most: int
) -> None:
    free = [task(str(key), size=size) for key, size in listed]
    chosen = choose(free, lost, producers, most)
    assert bool(chosen) == bool(free)
    if chosen:
        assert chosen[0] == free[0]
        assert len(chosen) <= most
        assert {one.group for one in chosen} == {free[0].group}
        assert [one for one in free if one in chosen] == chosen
        suspects = [one for one in chosen if lost.get(one.key, 0) >= LONELY]
        assert len(suspects) <= (1 if len(chosen) == 1 else 0)


def test_a_hopeless_task_is_named() -> None:
    with pytest.raises(HopelessError, match="record 1 of p"):
        choose([task("1")], {"1": HOPELESS}, 1, 8)


# ---- the window ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=30), st.integers(0, 6))
def test_the_window_follows_the_slowest_and_never_exceeds_its_size(moves: list[tuple[int, int]], ahead: int) -> None:
    window = Window(ahead)
    steps = {step: {f"{step % 7}": task(f"{step % 7}", step), f"k{step}": task(f"k{step}", step)} for step in range(25)}
    cursors: dict[str, int] = {}
    for rank, step in moves:
        window.attend(f"rank {rank}", 3, step, step)
        cursors[f"rank {rank}"] = step
        window.extend(25, steps.__getitem__, set())
        floor = min(cursors.values())
        assert window.floor == floor
        inside = range(floor, min(floor + ahead, 24) + 1)
        wanted = {key for step in inside for key in steps[step]}
        found = list(window.todo(24))
        assert len(found) == len({one.key for one in found})
        first = {key: min(step for step in inside if key in steps[step]) for key in wanted}
        assert {one.key for one in found} == wanted
        assert [first[one.key] for one in found] == sorted(first.values())
        for key in {key for listed in steps.values() for key in listed}:
            assert window.wants(key) == (key in wanted)
        assert window.missing() == len(wanted)
        assert window.ready() == 0
        window.done(wanted)
        assert window.ready() == len(inside)
        assert window.missing() == 0
        window.again(wanted)


def test_what_was_made_and_lost_is_made_again() -> None:
    window = Window(2)
    window.attend("rank 0", 1, 0, 0)
    window.extend(3, lambda step: {"a": task("a", step), f"{step}": task(f"{step}", step)}, {"0"})
    assert [one.key for one in window.todo(2)] == ["a", "1", "2"]
    window.done(["a"])
    assert [one.key for one in window.todo(2)] == ["1", "2"]
    window.again(["a", "unknown"])
    assert [one.key for one in window.todo(2)] == ["a", "1", "2"]
    assert [one.key for one in window.todo(0)] == ["a"]
    assert window.wants_now("a")
    assert not window.wants_now("1")
    window.replan(1)
    assert not window.wants("2")
    assert window.wants("a")
    window.attend("rank 0", 2, 0, 0)  # another world: the old ranks are gone
    window.leave("rank 0")
    assert window.floor is None


def test_what_was_of_use_last_is_let_go_of_last(tmp_path: Path) -> None:
    """Steps 0, 1, 2 each need one entry, encoded for them: the oldest goes first, not the newest."""
    from model.feed.holdings import Holdings
    from model.feed.record import Record
    from model.feed.shard import write_shard

    window, record = Window(0), Record(tmp_path)
    held = Holdings(record, window, None)
    names = {}
    for step, key in enumerate(("c", "b", "a")):  # names of files do not tell
        window.attend("rank 0", 1, step, step)
        window.extend(9, lambda now, key=key: {key: task(key, now)}, held.store)
        name, manifest = write_shard(
            record.shards, "latent", (16, 16), ENCODING, [(key, torch.full((4, 4, 4), float(step)))], {}, {}
        )
        held.take("p", name, manifest, held.place, fresh=True)
        names[name] = key
    window.attend("rank 0", 1, 3, 3)
    gone = [names[name] for name, _, _ in held.store.evict(window.wants, 0)]
    assert gone == ["c", "b", "a"]


def test_who_leaves_a_feed_that_went_first_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    door, asked = HttpDoor("http://127.0.0.1:9"), []

    def refuse(path: str, body: bytes) -> None:
        asked.append(path)
        door.patience_s = 0.0  # whoever asks again does so once
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(door, "_post", refuse)
    with pytest.raises(LakeError, match="does not answer"):
        door.leave("rank 0")
    assert asked == ["/call/leave"]


def test_float32_is_float32_while_a_producer_encodes() -> None:
    """On GPUs torch would take TF32 for convolutions; elsewhere in the process nothing changes."""

    def tf32() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    seen = []

    class Watching:
        def encode(self, asked):
            seen.append(tf32())
            return torch.zeros(1, 4, 2, 2) if torch.is_tensor(asked) else [torch.zeros(1, 8)]

    before = tf32()
    assert before[0]  # torch's default, which makes the test one
    with full_float32():  # as a second thread within
        with full_float32():
            assert tf32() == (False, False)
        assert tf32() == (False, False)
    assert tf32() == before
    encoders = Encoders(Watching(), Watching(), ENCODING, "cpu")
    encoders.latents([np.zeros((8, 8, 3), np.uint8)])
    encoders.texts([Prompt("x")])
    assert seen == [(False, False)] * 2
    assert tf32() == before
    with pytest.raises(ZeroDivisionError), full_float32():
        raise ZeroDivisionError
    assert tf32() == before


# ---- names of entries ------------------------------------------------------------------------------------------------


def test_a_name_depends_on_all_that_decides_the_numbers_and_on_nothing_else() -> None:
    def latent(encoding: Encoding) -> str:
        return entry_key(encoding, "latent", ["c"], (16, 16), None)

    def text(encoding: Encoding, contents: list[str]) -> str:
        return entry_key(encoding, "text", contents, (16, 16) if contents else (0, 0), "x")

    changed = {
        "vae": "zz", "text": "zz", "pixels": "zz", "channels": 9, "factor": 9, "width": 9,
        "latent_dtype": "bfloat16", "text_dtype": "bfloat16", "rows": 9,
    }  # fmt: skip
    assert set(changed) == {field.name for field in fields(Encoding)}
    others = {name: replace(ENCODING, **{name: value}) for name, value in changed.items()}  # type: ignore[arg-type]
    assert {n for n, e in others.items() if latent(e) != latent(ENCODING)} == {"vae", "pixels", "latent_dtype", "rows"}
    assert {n for n, e in others.items() if text(e, []) != text(ENCODING, [])} == {"text", "text_dtype"}
    assert {n for n, e in others.items() if text(e, ["c"]) != text(ENCODING, ["c"])} == {"text", "text_dtype", "pixels"}
    assert all(len(ENCODING.differences(other)) == 1 for other in others.values())


@given(st.lists(st.text(max_size=4), min_size=1, max_size=3), st.lists(st.text(max_size=4), min_size=1, max_size=3))
def test_different_lists_have_different_names(one: list[str], other: list[str]) -> None:
    names = [entry_key(ENCODING, "text", contents, (16, 16), "x") for contents in (one, other)]
    assert (names[0] == names[1]) == (one == other)


def test_target_and_reference_of_one_picture_are_one_entry(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path / "plan")
    needs = batch_needs(plan, plan.batch(2), ENCODING, range(4), "error")
    everything = {n.latent.pictures[0]: n.latent.key for n in needs}
    for need in needs:
        for reference in need.references:
            assert everything.setdefault(reference.pictures[0], reference.key) == reference.key


# ---- the recipe ------------------------------------------------------------------------------------------------------


def test_the_recipe_log_keeps_every_line(tmp_path: Path) -> None:
    log = RecipeLog(tmp_path / "recipe.jsonl")
    assert log.read() == ()
    chapters = [Chapter(0, "a", "A"), Chapter(9, "b", "B"), Chapter(9, "c", "C"), Chapter(20, "d", "D")]
    for chapter in chapters:
        log.append(chapter, "why")
    assert log.read() == (chapters[0], chapters[2], chapters[3])
    assert [at(log.read(), step).digest for step in (0, 8, 9, 19, 20)] == list("aaccd")
    assert agree(log.read(), chapters[:1], 9) is None
    assert agree(log.read(), chapters[:1], 10) == 9
    with open(tmp_path / "recipe.jsonl", "a", encoding="utf-8") as file:
        file.write("{half")
    with pytest.raises(LakeError, match="line 5"):
        log.read()


def test_a_plan_that_is_not_the_chapters_is_refused(tmp_path: Path) -> None:
    plan, copy = plain_plan(tmp_path / "plan"), plain_plan(tmp_path / "copy")
    other = plain_plan(tmp_path / "other", seed=3)
    wanted = Chapter(0, plan.digest, str(other.folder))
    with pytest.raises(LakeError, match="restore that plan's folder"):
        Plans(open_listed).get(wanted)
    assert Plans(open_listed, [other.folder, copy.folder]).get(wanted).folder == copy.folder


# ---- pixels ----------------------------------------------------------------------------------------------------------


@given(*(st.integers(1, 5000) for _ in range(4)))
def test_the_crop_is_centred_as_large_as_can_be_and_of_the_right_shape(w: int, h: int, tw: int, th: int) -> None:
    left, top, right, bottom = crop_box(w, h, tw, th)
    assert 0 <= left < right <= w + 1e-9
    assert 0 <= top < bottom <= h + 1e-9
    assert left + right == pytest.approx(w)
    assert top + bottom == pytest.approx(h)
    assert (right - left) / (bottom - top) == pytest.approx(tw / th)
    assert right - left == pytest.approx(w) or bottom - top == pytest.approx(h)


def encoded(image: Image.Image, kind: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_stand_upright(kind: str) -> None:
    upright = Image.new("RGB", (40, 60), (0, 0, 255))
    upright.paste((255, 0, 0), (0, 0, 40, 30))
    plain = fitted(encoded(upright, kind), 60, 40)
    lying = fitted(encoded(upright.transpose(Image.Transpose.ROTATE_90), kind, 6), 60, 40)
    assert plain.source == lying.source == (40, 60)
    assert plain.box == lying.box == (0, 0, 40, 60)
    for one in (plain, lying):
        assert one.pixels[10, 20].astype(int) == pytest.approx([255, 0, 0], abs=60)
        assert one.pixels[50, 20].astype(int) == pytest.approx([0, 0, 255], abs=60)


def test_target_and_reference_of_one_size_are_cut_alike() -> None:
    wide = Image.new("RGB", (90, 30))
    for x in range(90):
        wide.paste((x * 2, 0, 0), (x, 0, x + 1, 30))
    found = fitted(encoded(wide, "PNG"), 30, 30)
    assert found.box == (30, 0, 60, 30)
    assert found.pixels[0, :, 0].tolist() == list(range(60, 120, 2))


def test_a_jpeg_reduced_while_decoding_looks_the_same() -> None:
    draw = np.random.default_rng(0)
    small = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    large = small.resize((1024, 1024), Image.Resampling.BICUBIC)
    a, b = fitted(encoded(large, "JPEG"), 64, 64).pixels, fitted(encoded(large, "PNG"), 64, 64).pixels
    assert np.abs(a.astype(int) - b.astype(int)).mean() < 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "LAB", "F"])
def test_every_mode_becomes_rgb_on_white(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 65535, np.uint16))
    elif mode == "F":
        image = Image.fromarray(np.ones((8, 8), np.float32))
    elif mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(Image.new("RGB", (8, 8), (255, 255, 255)), *profiles, outputMode="LAB")
        assert made is not None
        image = made
    elif mode in ("LA", "RGBA"):
        image = Image.new(mode, (8, 8), 0)  # clear all over
    else:
        image = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    kind = {"CMYK": "TIFF", "LAB": "TIFF", "F": "TIFF"}.get(mode, "PNG")
    assert fitted(encoded(image, kind), 16, 16).pixels.min() >= 254


@given(st.binary(max_size=200))
def test_bytes_that_are_no_picture_are_told(data: bytes) -> None:
    with pytest.raises(UndecodableError):
        fitted(data, 16, 16)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_half_a_picture_is_told(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UndecodableError):
        fitted(data[: len(data) // 2], 32, 32)


# ---- words -----------------------------------------------------------------------------------------------------------


def test_the_status_reads_well() -> None:
    chapters = (Chapter(0, "a" * 32, "/plans/a"), Chapter(40, "b" * 32, "/plans/b"))
    status = Status(
        floor=41, horizon=45, ready=5, window_end=57, missing=12, leased=8, entries=1200, shards=1, bytes=12_345_678,
        budget=10**9, absent=2, encoded=1300, twice=0, evicted=3, lost=1, producers=(), consumers={"rank 0": 41},
        chapters=chapters, encoding=ENCODING, failure=None,
    )  # fmt: skip
    assert line(status) == (
        "step 41: 5 ready of 17 ahead, 12 entries missing (8 being made); 1200 entries in 1 shard, 12.3 MB of 1.0 GB; "
        "0 producers"
    )
    assert "now        plan bbbbbbbbbbbb, planned to 45" in report(status)
    assert line(replace(status, floor=None)).startswith("nobody trains yet; ")
    assert line(replace(status, failure="disk full")) == "stopped: disk full"
