"""A real standalone Spark on loopback: a master and workers of the installed pyspark, each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pyspark

JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # six of them start at once here: half the time of each
CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Cluster:
    """Started by `start`; `kill` ends all of it at once, `kill_worker` one worker with its executors."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder, self.count, self.port = folder, workers, 0
        self.master: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def options(self) -> list[str]:
        """What a driver on this machine is to be told."""
        told = {
            "master": f"spark://127.0.0.1:{self.port}",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": "512m",
            "spark.executor.extraJavaOptions": JAVA,
            "spark.driver.extraJavaOptions": JAVA,
        }
        return [word for key, value in told.items() for word in ("--engine-opt", f"{key}={value}")]

    def start(self) -> None:
        """Start what does not run; returns when every worker is registered."""
        if self.master is None:
            self.port = free_port()
            where = ("--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0")
            self.master = self._run("master", "org.apache.spark.deploy.master.Master", *where)
            self._wait_for("master", "I have been elected leader", 1)
        while len(self.workers) < self.count:
            where = ("--host", "127.0.0.1", "--cores", "1", "--memory", "768m", "--webui-port", "0")
            work = ("--work-dir", str(self.folder / "work"), f"spark://127.0.0.1:{self.port}")
            name = f"worker-{time.monotonic_ns()}"
            self.workers.append(self._run(name, "org.apache.spark.deploy.worker.Worker", *where, *work))
            self._wait_for(name, "Successfully registered with master", 1)

    def kill_worker(self) -> None:
        _kill(self.workers.pop())

    def kill(self) -> None:
        for process in (*self.workers, *([self.master] if self.master else [])):
            _kill(process)
        self.workers, self.master = [], None

    def _run(self, name: str, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [str(CLASS), main, *arguments],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "SPARK_LOCAL_IP": "127.0.0.1",
                    "SPARK_DAEMON_MEMORY": "256m",
                    "SPARK_DAEMON_JAVA_OPTS": JAVA,
                },
            )

    def _wait_for(self, name: str, words: str, times: int) -> None:
        log, end = self.folder / f"{name}.log", time.monotonic() + 120
        while log.read_text(errors="replace").count(words) < times:
            assert time.monotonic() < end, log.read_text(errors="replace")[-2000:]
            time.sleep(0.1)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
