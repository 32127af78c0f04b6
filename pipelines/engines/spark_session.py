"""Spark's session: one in a process, started quietly; and jobs on it that are cancelled when nobody waits for them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from warehouse.errors import EngineError, MissingDependency

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

P = ParamSpec("P")
T = TypeVar("T")

#: What is asked of Spark where the user asks for nothing else.
DEFAULTS = {
    "spark.app.name": "glyphmill",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    # A unit is minutes of work or less and a row of bytes: each is a task of its own, so that none waits for another.
    "spark.sql.execution.arrow.localRelationThreshold": "0",
    "spark.sql.execution.arrow.useLargeVarTypes": "true",
}

#: And where Java is this machine's own, to share its cores with the workers: it has little to do itself, and compiling
#: that as far as it can would take it longer than doing it, some 10 s of every start.
JAVA_ASIDE = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

_session: tuple[dict[str, str], SparkSession] | None = None


def session(conf: Mapping[str, str], log: str | None = None) -> SparkSession:
    """The session of this process, started by `conf` unless one of the same conf is there.

    A session that the caller's program has started itself is taken as it is, unless `conf` names another master. Raises
    MissingDependency (no Java), EngineError (Spark does not start).
    """
    global _session
    from pyspark.sql import SparkSession

    wanted = {**DEFAULTS, **conf}
    if _session is not None:
        started, running = _session
        if started == wanted and not _stopped(running):
            return running
        stop()
    active = SparkSession.getActiveSession()
    if active is not None and conf.get("spark.master") in (None, active.sparkContext.master):
        return active
    _session = wanted, _start(wanted, log)
    return _session[1]


def stop() -> None:
    """End the session that this module started, if any."""
    global _session
    from py4j.protocol import Py4JError

    if _session is not None:
        with suppress(Py4JError, OSError):  # Java is gone already
            _session[1].stop()
        _session = None


def _stopped(running: SparkSession) -> bool:
    from py4j.protocol import Py4JError

    try:
        return bool(running.sparkContext._jsc.sc().isStopped())
    except (Py4JError, OSError, AttributeError):
        return True


def _start(conf: Mapping[str, str], log: str | None) -> SparkSession:
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    java = os.environ.get("JAVA_HOME")
    if shutil.which(Path(java, "bin", "java") if java else "java") is None:
        raise MissingDependency("engine spark needs Java 17 or later: install it (a JRE will do) or set JAVA_HOME")
    master = conf.get("spark.master", "local[*]")
    asked = SparkConf(loadDefaults=False).setMaster(master)
    asked.set("spark.executorEnv.PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    if _local(master):
        asked.set("spark.driver.extraJavaOptions", JAVA_ASIDE)
    for key, value in conf.items():
        asked.set(key, value)
    here = {"PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable)}
    if master.startswith("local"):
        here["SPARK_LOCAL_IP"] = os.environ.get("SPARK_LOCAL_IP", "127.0.0.1")
    with open(log, "ab") if log else tempfile.TemporaryFile() as said, _environment(here):
        try:
            gateway = SparkContext._gateway or launch_gateway(asked, popen_kwargs={"stdout": said, "stderr": said})
            started = SparkSession(SparkContext(conf=asked, gateway=gateway))
        except (PySparkException, Py4JError, OSError) as error:
            said.seek(0)
            last = said.read().decode("utf-8", "replace").strip().split("\n")[-1] if not log else f"see {log}"
            raise EngineError(f"Spark does not start on {master}: {_line(error)}; {last}") from error
    atexit.register(stop)
    return started


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextmanager
def jobs_of(conf: Mapping[str, str], log: str | None, patience_s: float) -> Iterator[Jobs]:
    """Jobs on the session of `conf`; what still runs at the end is cancelled."""
    jobs = Jobs(session(conf, log), patience_s)
    try:
        yield jobs
    finally:
        jobs.end()


class Jobs:
    """Jobs of one map or group: several run at once, none outlives it."""

    def __init__(self, spark: SparkSession, patience_s: float) -> None:
        self.spark, self.patience_s = spark, patience_s
        self.tag = f"glyphmill-{uuid.uuid4().hex}"
        self.threads = ThreadPoolExecutor(thread_name_prefix=self.tag)
        self.started: list[Future[object]] = []

    @property
    def cores(self) -> int:
        """Tasks that can run at once, as far as Spark knows by now."""
        return self.spark.sparkContext.defaultParallelism

    def start(self, job: Callable[Concatenate[SparkSession, P], T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `job(session, *args)` on a thread of its own."""

        def run() -> T:
            self.spark.sparkContext.addJobTag(self.tag)
            self.spark.sparkContext.setInterruptOnCancel(True)
            return job(self.spark, *args, **kwargs)

        return self.threads.submit(run)

    def wait(self, job: Future[T]) -> T:
        """What `job` returns. Raises EngineError where the cluster has had no executor for `patience_s`."""
        seen = time.monotonic()
        while True:
            try:
                return job.result(timeout=min(5.0, self.patience_s / 4))
            except NotYet:
                if job.done():
                    return job.result()  # the job's own TimeoutError
            if self._executors():
                seen = time.monotonic()
            elif time.monotonic() - seen > self.patience_s:
                master = self.spark.sparkContext.master
                raise EngineError(
                    f"no executor at {master} for {self.patience_s:g} s; what is done is not lost, run again"
                )

    def _executors(self) -> int:
        context = self.spark.sparkContext
        driver = 0 if _local(str(context.master)) else 1  # it is listed beside them
        return int(context._jsc.sc().getExecutorMemoryStatus().size()) - driver

    def end(self) -> None:
        from py4j.protocol import Py4JError

        with suppress(Py4JError, OSError):  # Java is gone, and the jobs with it
            self.spark.sparkContext.cancelJobsWithTag(self.tag)
        self.threads.shutdown(wait=True, cancel_futures=True)


def _local(master: str) -> bool:
    """Whether tasks run in the driver's own Java."""
    return master.startswith("local") and not master.startswith("local-cluster")


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
