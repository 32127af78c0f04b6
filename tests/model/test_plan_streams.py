"""How a phase's steps are dealt, on sources that only say what they hold: no lake, many shares and sizes."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_lakes import simple

from model.curriculum.load import loads
from model.curriculum.schema import Curriculum
from model.plan.items import Items
from model.plan.streams import Held, Tables, tables
from warehouse.errors import UsageError


class Holding:
    """Items of which nothing is known but how many there are of each bucket."""

    def __init__(self, name: str, buckets: dict[str, int]) -> None:
        self.name, self.buckets = name, buckets

    def places(self, bucket: str) -> int:
        return self.buckets.get(bucket, 0)


def dealt(curriculum: Curriculum, held: dict[str, dict[str, int]]) -> Tables:
    phase = curriculum.phases[0]
    found = {
        (segment, resolution, name): cast(Items, Holding(name, buckets))
        for name, buckets in held.items()
        for segment in range(phase.segments)
        for resolution in range(len(phase.resolutions))
    }
    return tables(curriculum, phase, cast(Held, found))


share = st.floats(0.01, 1)
held = st.fixed_dictionaries({"1:1": st.integers(50, 999), "16:9": st.integers(50, 999), "2:3": st.integers(50, 999)})


@given(
    points=st.lists(st.tuples(share, share), min_size=2, max_size=5), batch=st.integers(1, 30), data=st.data(),
    steps=st.integers(2, 200), larger=st.integers(1, 9),
)  # fmt: skip
def test_sources_keep_their_ramps_within_one_sample(
    points: list[tuple[float, float]], batch: int, steps: int, larger: int, data: st.DataObject
) -> None:
    """Two resolutions of two batch sizes, any number of sources; each source has the same mix of buckets."""
    sources = {f"s{n}": "SELECT image_id FROM samples" for n in range(len(points))}
    shares = ", ".join(f"s{n} = [{a}, {b}]" for n, (a, b) in enumerate(points))
    text = simple(sources, shares, batch=batch, steps=steps)
    text += f"share = [0.9, 0.1]\n[[phase.resolution]]\nside = 96\nbatch = {larger}\nshare = [0.1, 0.9]\n"
    buckets = data.draw(held)
    found = dealt(loads(text), dict.fromkeys(sources, buckets))
    sizes = np.array([found.streams[number].batch for number in found.stream])
    assert (found.counts.sum(axis=1) == sizes).all()
    at = np.arange(steps)[:, None] / (steps - 1)
    wanted = np.array([a for a, _ in points]) * (1 - at) + np.array([b for _, b in points]) * at
    due = np.cumsum(wanted / wanted.sum(axis=1, keepdims=True) * sizes[:, None], axis=0)
    assert np.abs(np.cumsum(found.counts, axis=0) - due).max() < 1 + 1e-4


@given(first=held, second=held, part=st.floats(0.05, 0.95))
def test_buckets_are_those_of_the_sources_mixed(first: dict[str, int], second: dict[str, int], part: float) -> None:
    sources = {"a": "SELECT image_id FROM samples", "b": "SELECT image_id FROM samples"}
    found = dealt(loads(simple(sources, f"a = {part}, b = {1 - part}", steps=300)), {"a": first, "b": second})
    for number, stream in enumerate(found.streams):
        mixed = part * first[stream.bucket] / sum(first.values())
        mixed += (1 - part) * second[stream.bucket] / sum(second.values())
        assert abs((found.stream == number).sum() - 300 * mixed) < 1 + 1e-4
    # what a source gives overall is its share, to within what whole batches allow
    given_ = found.counts.sum(axis=0) / found.counts.sum()
    assert given_[0] == pytest.approx(part, abs=0.02)


def test_a_source_gives_only_of_buckets_that_it_has() -> None:
    sources = {"a": "SELECT image_id FROM samples", "b": "SELECT image_id FROM samples"}
    found = dealt(loads(simple(sources, "a = 1, b = [0, 1]", steps=200)), {"a": {"1:1": 100}, "b": {"16:9": 100}})
    for number, stream in enumerate(found.streams):
        here = found.counts[found.stream == number].sum(axis=0)
        assert [bool(count) for count in here] == [stream.bucket == "1:1", stream.bucket == "16:9"]
    assert found.counts.sum(axis=0)[1] / found.counts.sum() == pytest.approx(1 - np.log(2), abs=0.02)


def test_what_is_too_small_for_its_part_of_a_batch_is_set_aside() -> None:
    sources = {"a": "SELECT image_id FROM samples", "b": "SELECT image_id FROM samples"}
    curriculum = loads(simple(sources, "a = 3, b = 1", batch=8, steps=100))
    found = dealt(curriculum, {"a": {"1:1": 100, "16:9": 2}, "b": {"1:1": 10}})
    assert [(cell.items, cell.bucket) for cell in found.unused] == [("a", "16:9")]
    assert {stream.bucket for stream in found.streams} == {"1:1"}
    with pytest.raises(UsageError) as error:
        dealt(curriculum, {"a": {"1:1": 100}, "b": {"1:1": 1}})
    assert str(error.value) == (
        "phase only, source b: no bucket fills its part of a batch: bucket 1:1 has 1 for batches of 8 at 64; "
        "choose a smaller batch or share, or select more"
    )
