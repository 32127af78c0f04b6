"""An engine by its name, with options as the command line gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TypeVar

from pipelines.engines import Engine
from pipelines.engines.pool import Watch
from warehouse.errors import MissingDependency, UsageError

PACKAGES = {"beam": "apache_beam", "spark": "pyspark"}
T = TypeVar("T", int, float, str)


def choose(name: str, workers: int, options: Sequence[str] = ()) -> Engine:
    """The engine `name` (local, beam, spark) for `workers` processes, with `options`, each KEY=VALUE.

    Raises UsageError (no such engine, an option that it does not know or cannot read), MissingDependency.
    """
    given = Given(name, options)
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise MissingDependency(f"engine {name} needs {PACKAGES[name]}: pip install glyphmill[{name}]")
    if name == "local":
        from pipelines.engines.local import LocalEngine

        engine = LocalEngine(
            workers=workers,
            stall_s=given.take("stall_s", float, 120.0),
            attempts=given.take("attempts", int, 3),
            scratch=given.take("scratch", str, "") or None,
        )
        given.no_more()
        return engine
    if name == "spark":
        return _spark(workers, given)
    if name == "beam":
        return _beam(workers, given)
    raise UsageError(f"no engine called {name}: local, beam or spark")


def _spark(workers: int, given: Given) -> Engine:
    from pipelines.engines.spark import SparkEngine

    engine = SparkEngine(
        conf={},
        watch=_watch(given),
        wave=given.take("wave", int, 0) or None,
        buckets=given.take("buckets", int, 64),
        patience_s=given.take("patience_s", float, 300.0),
        log=given.take("log", str, "") or None,
    )
    # A task of local mode has one try if not told otherwise.
    conf = {"spark.master": given.take("master", str, f"local[{workers},4]")}
    if not conf["spark.master"].startswith(("local", "spark://", "yarn", "k8s://")):
        raise UsageError(f"no master {conf['spark.master']}: local[N], spark://HOST:PORT, yarn or k8s://HOST:PORT")
    conf |= {key: given.take(key, str, "") for key in list(given.left) if key.startswith("spark.")}
    given.no_more("spark.… as Spark knows it")
    return replace(engine, conf=conf)


def _beam(workers: int, given: Given) -> Engine:
    from pipelines.engines.beam import BeamEngine

    engine = BeamEngine(
        options={},
        watch=_watch(given),
        wave=given.take("wave", int, 10_000),
        buckets=given.take("buckets", int, 64),
        scratch=given.take("scratch", str, "") or None,
    )
    runner = given.take("runner", str, "DirectRunner")
    options = {"runner": runner}
    if runner == "DirectRunner":
        options |= {"direct_running_mode": "multi_processing", "direct_num_workers": str(workers)}
    options |= {key: given.take(key, str, "") for key in list(given.left)}
    return replace(engine, options=options)


def _watch(given: Given) -> Watch:
    return Watch(given.take("stall_s", float, 120.0), given.take("attempts", int, 3))


class Given:
    """Options of the engine `name` as given, each taken once."""

    def __init__(self, name: str, options: Sequence[str]) -> None:
        self.name = name
        self.left: dict[str, str] = {}
        self.known: list[str] = []
        for option in options:
            key, equals, value = option.partition("=")
            if not key or not equals:
                raise UsageError(f"--engine-opt {option}: write KEY=VALUE")
            if key in self.left:
                raise UsageError(f"--engine-opt {key} is given twice")
            self.left[key] = value

    def take(self, key: str, kind: Callable[[str], T], default: T) -> T:
        """The value of `key`, above zero where it is a number; `default` if it is not given."""
        self.known.append(key)
        if key not in self.left:
            return default
        text = self.left.pop(key)
        try:
            value = kind(text)
        except ValueError:
            raise UsageError(f"--engine-opt {key}={text}: a number is wanted") from None
        if not isinstance(value, str) and not value > 0:
            raise UsageError(f"--engine-opt {key}={text}: must be above zero")
        return value

    def no_more(self, *more: str) -> None:
        """Raises UsageError where an option is left that nobody took. `more`: what else is known, in words."""
        for key in self.left:
            raise UsageError(f"--engine-opt {key}: engine {self.name} knows {', '.join([*sorted(self.known), *more])}")
