"""Which engine a command line asks for, and what it is told where it asks amiss."""

from __future__ import annotations

import pytest

from pipelines.engines import choice
from pipelines.engines.beam import BeamEngine
from pipelines.engines.choice import choose
from pipelines.engines.local import LocalEngine
from pipelines.engines.pool import Watch
from pipelines.engines.spark import SparkEngine
from warehouse.errors import MissingDependency, UsageError


def test_each_engine_as_it_comes() -> None:
    assert choose("local", 3) == LocalEngine(workers=3)
    assert choose("spark", 3) == SparkEngine({"spark.master": "local[3,4]"})
    beam = {"runner": "DirectRunner", "direct_running_mode": "multi_processing", "direct_num_workers": "3"}
    assert choose("beam", 3) == BeamEngine(beam)
    assert [choose(name, 1).name for name in ("local", "beam", "spark")] == ["local", "beam", "spark"]


def test_options_are_taken_or_passed_on() -> None:
    assert choose("local", 1, ["stall_s=2.5", "attempts=1", "scratch=/x"]) == LocalEngine(1, 2.5, 1, "/x")
    spark = choose("spark", 1, ["master=spark://a:7077", "spark.cores.max=8", "wave=5", "spark.a=b=c", "stall_s=3"])
    conf = {"spark.master": "spark://a:7077", "spark.cores.max": "8", "spark.a": "b=c"}
    assert spark == SparkEngine(conf, Watch(stall_s=3), wave=5)
    beam = choose("beam", 1, ["direct_num_workers=4", "buckets=9", "job_name=night"])
    assert isinstance(beam, BeamEngine)
    assert beam.buckets == 9
    assert {"direct_num_workers": "4", "job_name": "night"}.items() <= beam.options.items()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("flink", [], "no engine called flink"),
        ("local", ["stall_s"], "KEY=VALUE"),
        ("local", ["stall_s=soon"], "a number is wanted"),
        ("local", ["attempts=0"], "above zero"),
        ("local", ["stall_s=nan"], "above zero"),
        ("local", ["attempts=1", "attempts=2"], "twice"),
        ("local", ["master=local"], "engine local knows attempts, scratch, stall_s"),
        ("spark", ["executor.memory=1g"], "spark.…"),
        ("spark", ["master=foo"], "no master foo: local"),
        ("beam", ["wave=-1"], "above zero"),
    ],
)
def test_what_is_wrong_is_said(name: str, options: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose(name, 1, options)


@pytest.mark.parametrize("name", ["beam", "spark"])
def test_what_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda package: None)
    with pytest.raises(MissingDependency, match=rf"pip install glyphmill\[{name}\]"):
        choose(name, 1)
