"""A real PostgreSQL on loopback, in a temporary folder: started, killed and started again by the tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
USER = "glyphmill"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "fsync": "off",  # kill -9 of the server loses nothing that the kernel has; only a power cut would
}


def binaries() -> Path | None:
    """The folder of initdb and postgres; None where this machine has none."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """One server. `folder` must be where an unprivileged user can reach it: initdb refuses to run as root."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.data, self.bin = folder / "pg", bin_folder
        self.port = _free_port()
        self._as = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.data.mkdir()
        if self._as:
            shutil.chown(self.data, "nobody")
        self._run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._log = folder / "pg.log"

    def start(self) -> None:
        options = [part for key, value in OPTIONS.items() for part in ("-c", f"{key}={value}")]
        command = [*self._as, str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        with open(self._log, "ab") as log:
            # a session of its own, so that all of its processes can be killed at once
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(600):
            if self._ready():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """kill -9 of the server and of every process of its own."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            # the kernel may take a moment for the children, whom nobody waits for
            while not _can_bind(self.port):
                time.sleep(0.02)
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def database(self, name: str) -> str:
        """Make a database; its libpq connection string."""
        self.sql(f'CREATE DATABASE "{name}"', "postgres")
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={name}"

    def sql(self, statement: str, database: str) -> str:
        """Run a statement by psql; what it printed."""
        line = [str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database, "-XAtc"]
        return subprocess.run([*line, statement], check=True, capture_output=True, text=True, cwd="/").stdout.strip()

    def _ready(self) -> bool:
        asked = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False, cwd="/").returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self.bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")


def _unprivileged() -> list[str]:
    return ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
