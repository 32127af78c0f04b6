"""The feed as a whole: producers in threads, HTTP between, consumers that must get exactly what was planned."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from feed_plans import ListedPlan, open_listed, plain_plan, tiny_encoders, write_plan
from feed_rig import Rig, batches, expected, rig, same

from model.batches import Picture, PlannedBatch, PlannedSample
from model.consumer import Consumer
from model.feed.encoders import load_encoders
from model.feed.feed import Feed, FeedSettings
from model.feed.needs import share
from warehouse.errors import LakeBusy, LakeError, UsageError


@pytest.fixture
def plan(tmp_path: Path) -> ListedPlan:
    return plain_plan(tmp_path / "plan")


def audit(made: Rig) -> list[dict[str, object]]:
    path = made.feed.record.folder / "audit.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_batches_are_what_encoding_each_sample_alone_gives(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=2) as made:
        consumer = made.consume()
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))
        assert consumer.batches == plan.steps
        assert consumer.waits >= 1
        assert consumer.waited_s > 0
        assert made.feed.status().twice == 0


def test_what_is_there_is_not_waited_for(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan) as made:
        consumer = made.consume(prefetch=plan.steps)
        consumer.batch(0)
        threading.Event().wait(0.01)
        with consumer._changed:
            coming = dict(consumer._coming)
        for future in coming.values():
            future.result()
        waits = consumer.waits
        batches(consumer, range(1, plan.steps))
        assert consumer.waits == waits


def test_ranks_share_a_batch_without_overlap_and_in_one_bucket(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path / "plan", batch=5)
    with rig(tmp_path, plan) as made:
        ranks = [made.consume(rank, 2) for rank in range(2)]
        for step in range(plan.steps):
            shares = [rank.batch(step) for rank in ranks]
            assert shares[0].positions + shares[1].positions == tuple(range(5))
            assert shares[0].latents.shape[1:] == shares[1].latents.shape[1:]
            for rank, one in enumerate(shares):
                same(one, expected(plan, made.encoders, step, rank, 2))


def test_shares_are_a_partition() -> None:
    for samples in range(1, 20):
        for world in range(1, 8):
            places = [place for rank in range(world) for place in share(samples, rank, world)]
            assert places == list(range(samples))


def test_pulled_over_http_equals_mapped(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan) as made:
        near, far = made.consume(0, 1), made.consume(0, 1, local=False, pad_to=4)
        for step in range(plan.steps):
            same(near.batch(step), expected(plan, made.encoders, step))
            same(far.batch(step), expected(plan, made.encoders, step, pad_to=4))
        assert near._fetcher.pulled_bytes == 0
        assert far._fetcher.mapped_bytes == 0
        assert far._fetcher.pulled_bytes > 0


def test_producer_with_a_folder_of_its_own_serves_its_shards(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=0) as made:
        made.produce("far", tmp_path / "elsewhere")
        consumer = made.consume(local=False)
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))
        assert not list(made.feed.record.shards.glob("*.safetensors"))
        assert list((tmp_path / "elsewhere").glob("*.safetensors"))


def test_what_went_down_with_a_machine_is_encoded_again(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=0) as made:
        first = made.produce("far", tmp_path / "elsewhere")
        made.consume(local=False).batch(0)
        first.stop()
        made.threads[0].join(30)
        for path in (tmp_path / "elsewhere").glob("*"):
            path.unlink()
        made.produce("new")
        consumer = made.consume(local=False)
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))
        assert made.feed.status().lost > 0


def test_a_producer_tells_a_new_server_what_it_has(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=0) as made:
        made.produce("far", tmp_path / "elsewhere")
        batches(made.consume(), range(plan.steps))
    with rig(tmp_path, plan, producers=0) as made:
        made.produce("far", tmp_path / "elsewhere")
        consumer = made.consume(local=False)
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))
        status = made.feed.status()
        assert (status.encoded, status.twice) == (0, 0)
        assert status.entries > 0


def test_nothing_is_encoded_twice_in_many_epochs_and_starts(tmp_path: Path) -> None:
    once = plain_plan(tmp_path / "plan", steps=6)
    plan = write_plan(tmp_path / "plan", [replace(once.batch(s % 6), step=s) for s in range(24)])
    keys = 0
    for start in range(2):
        with rig(tmp_path, plan, producers=2) as made:
            consumer = made.consume()
            batches(consumer, range(24))
            status = made.feed.status()
            assert status.twice == 0
            assert status.encoded == (status.entries if start == 0 else 0)
            keys = keys or status.entries
            assert status.entries == keys


def test_forgotten_and_undecodable_samples_leave_their_places_empty(tmp_path: Path, plan: ListedPlan) -> None:
    gone = plan.batch(0).samples[1].target
    broken = plan.batch(1).samples[0].target
    assert gone != broken
    (plan.folder / f"p-{gone.record}").unlink()
    whole = (plan.folder / f"p-{broken.record}").read_bytes()
    (plan.folder / f"p-{broken.record}").write_bytes(whole[: len(whole) // 2])
    seen = []
    for _ in range(2):
        with rig(tmp_path, plan) as made:
            consumer = made.consume()
            got = batches(consumer, range(plan.steps))
            seen.append([one.positions for one in got])
            for step, one in enumerate(got):
                left = []
                for place, sample in enumerate(plan.batch(step).samples):
                    if not {gone, broken} & {sample.target, *sample.references}:
                        left.append(place)
                assert one.positions == tuple(left)
                assert len(one.latents) == len(one.context) == len(one.lengths) == len(one.references) == len(left)
            assert consumer.empty == sum(4 - len(one.positions) for one in got) > 0
            assert made.feed.status().absent > 0
    assert seen[0] == seen[1]
    reasons = {str(line["why"]) for line in audit(made)}
    assert "forgotten" in reasons
    assert any(f"record {broken.record} of p cannot be decoded" in why for why in reasons)


def test_a_batch_may_come_to_no_rows(tmp_path: Path, plan: ListedPlan) -> None:
    for sample in plan.batch(0).samples:
        (plan.folder / f"p-{sample.target.record}").unlink(missing_ok=True)
    with rig(tmp_path, plan) as made:
        one = made.consume().batch(0)
        assert one.positions == ()
        assert one.latents.shape == (0, 4, 4, 4)
        assert one.context.shape[0] == 0


def test_the_blank_prompt_is_encoded_once_and_keeps_the_pictures_of_an_edit(tmp_path: Path) -> None:
    first = plain_plan(tmp_path / "plan", steps=2)
    samples = tuple(PlannedSample(Picture("p", n), None, (), True) for n in range(4))
    edits = tuple(PlannedSample(Picture("p", n), "x", (Picture("p", n + 1),), True) for n in range(4))
    plan = write_plan(
        first.folder,
        [PlannedBatch(0, "a", "t2i", 16, 16, samples), PlannedBatch(1, "a", "ti2i", 16, 16, edits)],
    )
    with rig(tmp_path, plan) as made:
        consumer = made.consume()
        for step in range(2):
            same(consumer.batch(step), expected(plan, made.encoders, step))
        # 5 latents (0 to 4), the blank alone, the blank with each of 4 pictures
        assert made.feed.status().entries == 5 + 1 + 4


def test_a_sample_without_caption_is_named(tmp_path: Path, plan: ListedPlan) -> None:
    samples = (*plan.batch(3).samples[:2], PlannedSample(Picture("p", 7), None), plan.batch(3).samples[3])
    listed = [plan.batch(s) if s != 3 else replace(plan.batch(3), samples=samples) for s in range(plan.steps)]
    bad = write_plan(plan.folder, listed)
    with rig(tmp_path, bad) as made:
        consumer = made.consume(prefetch=0)
        with pytest.raises((UsageError, LakeError), match="step 3 place 2: record 7 of selection p has no caption"):
            batches(consumer, range(plan.steps))
    settings = FeedSettings(lease_s=5.0, missing_caption="skip")
    with rig(tmp_path, bad, settings, run="skipping") as made:
        assert made.consume().batch(3).positions == (0, 1, 3)
        told = [line for line in audit(made) if line.get("why") == "no caption"]
        assert [(line["step"], line["place"], line["record"]) for line in told] == [(3, 2, 7)]


@pytest.mark.parametrize("changed", ["VAE", "text encoder"])
def test_another_vae_or_text_encoder_is_refused_by_name(tmp_path: Path, plan: ListedPlan, changed: str) -> None:
    with rig(tmp_path, plan) as made:
        made.consume().batch(0)
    others, ours = tiny_encoders(tmp_path, seed=1), tiny_encoders(tmp_path, seed=0)
    vae, text = (others[0], ours[1]) if changed == "VAE" else (ours[0], others[1])
    with rig(tmp_path, plan, producers=0) as made:
        made.encoders = load_encoders(vae, text, device="cpu")
        made.produce("stranger")
        made.threads[0].join(30)
        (error,) = made.errors
        assert isinstance(error, UsageError)
        assert changed in str(error)
        mine = made.encoders.encoding
        theirs = load_encoders(*ours, device="cpu").encoding
        differing = (mine.vae, theirs.vae) if changed == "VAE" else (mine.text, theirs.text)
        assert all(one in str(error) for one in differing)
        assert "\n" not in str(error)


def test_a_consumer_refuses_a_feed_of_another_vae(tmp_path: Path, plan: ListedPlan) -> None:
    with (
        rig(tmp_path, plan) as made,
        Consumer(plan, made.url, vae="0123456789abcdef", opener=open_listed) as consumer,
        pytest.raises(UsageError, match=f"another VAE.*{made.encoders.encoding.vae}.*0123456789abcdef"),
    ):
        consumer.batch(0)


def test_producers_stay_within_the_window(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path / "plan", steps=30, pictures=60)
    with rig(tmp_path, plan, FeedSettings(ahead=3, lease_s=5.0), producers=2) as made:
        fast, slow = made.consume(0, 2, prefetch=3), made.consume(1, 2, prefetch=1)
        worked: list[tuple[int, int]] = []
        give = made.feed._leases.give

        def watched(producer, tasks):  # type: ignore[no-untyped-def]
            worked.extend((made.feed._window.floor or 0, task.step) for task in tasks)
            return give(producer, tasks)

        made.feed._leases.give = watched  # type: ignore[method-assign]
        for step in range(plan.steps):
            fast.batch(step)
            slow.batch(step)
        assert worked
        assert all(floor <= step <= floor + 3 for floor, step in worked)


def test_shards_within_a_budget_and_every_batch_all_the_same(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path / "plan", steps=30, pictures=40)
    budget = 20_000
    with rig(tmp_path, plan, FeedSettings(ahead=2, budget=budget, lease_s=5.0, most=8)) as made:
        consumer = made.consume(prefetch=1)
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))
            with made.feed._changed:
                files = list(made.feed.record.shards.glob("*.safetensors"))
                known = dict(made.feed.store._shards)
                on_disk = sum(path.stat().st_size for path in files if path.name in known)
                now = made.feed._window.wants_now
                needed = sum(held.size for held in known.values() if any(now(key) for key in held.keys))
            # what the waiting step itself needs is never held back
            assert on_disk <= max(budget, needed)
        assert made.feed.status().evicted > 0


def test_a_damaged_shard_is_found_and_encoded_again(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan) as made:
        batches(made.consume(), range(plan.steps))
    shard = max((tmp_path / "run/feed/shards").glob("latent-*"), key=lambda path: path.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    with rig(tmp_path, plan) as made:
        consumer = made.consume()
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))
        assert made.feed.status().lost > 0
        assert any(line.get("lost") == shard.name for line in audit(made))


def test_a_recipe_changes_while_training_and_the_run_repeats(tmp_path: Path, plan: ListedPlan) -> None:
    other = plain_plan(tmp_path / "other", phase="two", seed=5)
    with rig(tmp_path, plan) as made:
        consumer = made.consume(prefetch=2)
        first = batches(consumer, range(2))
        longer = plain_plan(tmp_path / "longer", steps=9)
        with pytest.raises(UsageError, match="steps is 8 there, 9 here"):
            made.feed.change(str(longer.folder), None, "")
        chapter = made.feed.change(str(other.folder), None, "more of two")
        assert chapter.first == 4  # step 1 was asked for, 2 and 3 were planned ahead
        first += batches(consumer, range(2, 8))
        assert [one.phase for one in first] == ["one"] * 4 + ["two"] * 4
        assert consumer.plan(4).digest == other.digest
        state = json.loads(json.dumps(consumer.state_dict()))
        assert [(c["first"], c["digest"]) for c in state["chapters"]] == [(0, plan.digest), (4, other.digest)]
        with pytest.raises(UsageError, match="step 3 is planned already"):
            made.feed.change(str(plan.folder), 3, "")
    with rig(tmp_path, plan) as made:  # the same run once more
        consumer = made.consume()
        for step, one in enumerate(first):
            same(consumer.batch(step), one)
    with rig(tmp_path, plan, run="new") as made:  # a new folder learns the recipe from the checkpoint
        consumer = made.consume(0, 1)
        assert consumer.load_state_dict(state) == 8
        assert [consumer.plan(step).digest for step in (3, 4)] == [plan.digest, other.digest]
        for step, one in enumerate(first):
            same(consumer.batch(step), one)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, plan: ListedPlan) -> None:
    other = plain_plan(tmp_path / "other", phase="two", seed=5)
    with rig(tmp_path, plan) as made:
        consumer = made.consume()
        batches(consumer, range(3))
        state = consumer.state_dict()
        state["chapters"] = [{"first": 0, "digest": other.digest, "folder": str(other.folder)}]
        with pytest.raises(UsageError, match="trained by plan"):
            consumer.load_state_dict(state)
        with pytest.raises(UsageError, match="no state of a Consumer"):
            consumer.load_state_dict({"step": 3})
        with pytest.raises(UsageError, match="names no plan"):
            consumer.load_state_dict({**state, "chapters": []})
    with rig(tmp_path, plan, seed=1, run="new") as made:
        consumer = made.consume()
        state["chapters"] = [{"first": 0, "digest": plan.digest, "folder": str(plan.folder)}]
        with pytest.raises(UsageError, match="VAE"):
            consumer.load_state_dict(state)
    with pytest.raises(UsageError, match="this run follows plan"), rig(tmp_path, other):
        pass


def test_resume_at_any_step_in_any_world(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan) as made:
        consumer = made.consume()
        batches(consumer, range(3))
        state = consumer.state_dict()
    with rig(tmp_path, plan) as made:
        ranks = [made.consume(rank, 2) for rank in range(2)]
        assert {rank.load_state_dict(state) for rank in ranks} == {3}
        for rank, consumer in enumerate(ranks):
            same(consumer.batch(3), expected(plan, made.encoders, 3, rank, 2))
        assert made.feed.status().floor == 3


def test_errors_of_a_producer_reach_the_consumer_as_one_line(tmp_path: Path, plan: ListedPlan) -> None:
    class Broken(ListedPlan):
        def read(self, picture: Picture) -> bytes | None:
            raise LakeError("image 12ab in shard jpg-3.tar is cut off: run `glyphmill verify` on the lake")

    with rig(tmp_path, plan, producers=0) as made:
        made.plan = Broken(plan.folder)
        made.produce("p7")
        with pytest.raises(LakeError, match=r"p7: step 0 place \d.*record \d+ of p.*jpg-3.tar is cut off"):
            made.consume().batch(0)


def test_what_one_producer_cannot_read_another_does(tmp_path: Path, plan: ListedPlan) -> None:
    class Broken(ListedPlan):
        def read(self, picture: Picture) -> bytes | None:
            raise LakeError("the plan's lake is not at /lake")

    with rig(tmp_path, plan, producers=0) as made:
        made.feed.join("one more, to come", made.encoders.encoding)
        consumer = made.consume()
        waiting = threading.Thread(target=consumer.batch, args=(0,))
        waiting.start()
        made.plan = Broken(plan.folder)
        made.produce("no-lake")
        made.threads[0].join(30)
        assert [type(error) for error in made.errors] == [LakeError]
        made.plan = plan
        made.produce("fine")
        waiting.join(30)
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))


def test_what_three_producers_cannot_read_stops_the_run(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=0) as made:
        made.feed.join("stays", made.encoders.encoding)
        consumer = made.consume()
        made.feed.attend("rank 0", 1, 0, 0)
        for number in range(3):
            assert made.feed.status().failure is None
            made.feed.join(f"p{number}", made.encoders.encoding)
            work = made.feed.lease(f"p{number}", "", 1.0).work
            assert work is not None
            made.feed.fail(f"p{number}", "no such shard", [work.id])
        with pytest.raises(LakeError, match="p2: no such shard"):
            consumer.batch(0)


def test_a_task_that_kills_its_producers_stops_the_run_by_name(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=0) as made:
        made.feed.join("x", made.encoders.encoding)
        consumer = made.consume()
        told: list[str] = []

        def wait() -> None:
            try:
                consumer.batch(0)
            except LakeError as error:
                told.append(str(error))

        failure = threading.Thread(target=wait)
        failure.start()
        sizes = []
        for _ in range(40):
            leased = made.feed.lease("x", "", 1.0)
            if leased.rejoin:
                made.feed.join("x", made.encoders.encoding)
                continue
            if leased.work is None:
                break
            sizes.append(len(leased.work.tasks))
            made.feed.release("x")
        failure.join(30)
        assert not failure.is_alive()
        assert sizes[0] > 1
        assert sizes[-1] == 1
        failed = made.feed.status().failure
        assert failed is not None
        assert "producers died while encoding step 0 place" in failed
        assert told == [failed]


def test_numbers_do_not_depend_on_who_is_encoded_together(tmp_path: Path, plan: ListedPlan) -> None:
    vae, text = tiny_encoders(tmp_path)
    pixels = [torch.randint(0, 256, (16, 24, 3), dtype=torch.uint8).numpy() for _ in range(11)]
    for rows in (1, 4):
        encoders = load_encoders(vae, text, device="cpu", rows=rows)
        together = encoders.latents(pixels)
        for at, one in enumerate(pixels):
            assert torch.equal(encoders.latents([one])[0], together[at])
        turned = encoders.latents(pixels[3:] + pixels[:3])
        assert all(torch.equal(a, b) for a, b in zip(turned, together[3:] + together[:3], strict=True))
    with rig(tmp_path, plan, rows=4) as made:
        consumer = made.consume()
        for step in range(3):
            same(consumer.batch(step), expected(plan, made.encoders, step))


def test_decoding_ahead_changes_nothing(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan, producers=0) as made:
        made.produce("ahead", look_ahead=True)
        consumer = made.consume()
        for step in range(plan.steps):
            same(consumer.batch(step), expected(plan, made.encoders, step))


def test_one_server_a_folder_and_steps_that_are_there(tmp_path: Path, plan: ListedPlan) -> None:
    with rig(tmp_path, plan) as made:
        with pytest.raises(LakeBusy, match="another server"):
            Feed(tmp_path / "run/feed", FeedSettings())
        consumer = made.consume()
        with pytest.raises(UsageError, match=f"not one of the plan's {plan.steps}"):
            consumer.batch(plan.steps)
    with pytest.raises(UsageError, match="glyphmill train serve"):
        Consumer(plan, tmp_path / "nowhere", patience_s=0.0, opener=open_listed)
