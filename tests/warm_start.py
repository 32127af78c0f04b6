"""A `glyphmill` that starts warm: forked from a process that has imported the libraries, which takes most of a second.

`python warm_start.py SOCKET` serves; `WarmStart(folder)` starts that and writes `folder/glyphmill`, a script that asks
for a process with its own arguments, folder, environment and streams, and ends as that process does. What is
Glyphmill's is imported by each process anew, as by the command itself; so is DuckDB, whose threads no fork survives.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
LIBRARIES = ("typer.main", "rich.console", "rich.table", "numpy", "pyarrow.parquet", "pyarrow.compute", "pandas",
             "pydantic")  # fmt: skip
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    streams = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
    wanted = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    server.sendmsg([len(wanted).to_bytes(4, "big")], streams)
    server.sendall(wanted)
    code = server.recv(4)
sys.exit(int.from_bytes(code, "big") if code else 1)
"""


class WarmStart:
    """Serves from now until `stop`."""

    def __init__(self, folder: Path) -> None:
        address = folder / "socket"
        self._server = subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE, cwd=REPO)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"
        script = folder / "glyphmill"
        script.write_text(CLIENT.format(python=sys.executable, address=str(address)), encoding="utf-8")
        script.chmod(0o755)

    def stop(self) -> None:
        self._server.kill()
        self._server.communicate()


def serve(address: str) -> None:
    """Fork a process for each that asks, in which alone this returns. Ends when killed."""
    for name in LIBRARIES:
        with suppress(ImportError):  # pandas is no library of ours, but DuckDB and Arrow import it where it is
            importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while True:
            asking, _ = server.accept()
            if os.fork() == 0:
                server.close()
                return _answer(asking)
            asking.close()
            with suppress(ChildProcessError):  # there is none
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _answer(asking: socket.socket) -> None:
    """In a process of its own: start another as the one that asks, in which alone this returns, and tell its end."""
    streams = array.array("i", [0, 0, 0])
    size, ancillary, _, _ = asking.recvmsg(4, socket.CMSG_SPACE(len(streams) * streams.itemsize))
    streams = array.array("i")
    streams.frombytes(ancillary[0][2])
    wanted = b""
    while len(wanted) < int.from_bytes(size, "big"):
        wanted += asking.recv(65536)
    arguments, folder, environment = json.loads(wanted)
    command = os.fork()
    if command == 0:
        asking.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, max(streams) + 1)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        return
    _, status = os.waitpid(command, 0)
    code = os.waitstatus_to_exitcode(status)
    asking.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
    sys.path[0] = str(REPO)
    import glyphmill

    glyphmill.main()
