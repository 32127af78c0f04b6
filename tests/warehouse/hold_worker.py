"""A run that holds the lake's lock and commits when it is told to: `hold_worker.py ROOT`, a line in, a line out."""

from __future__ import annotations

import sys
from pathlib import Path

import lakes

from warehouse.errors import GlyphmillError
from warehouse.lake import Lake


def main(root: Path) -> None:
    lake = Lake.open(root)
    with lake.connect() as con, lake.lock("a slow run"):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.readline()
        try:
            lakes.scan(lake, con, [("/slow", [50, 51])])
        except GlyphmillError as error:
            sys.stdout.write(f"{type(error).__name__}: {error}\n")
        else:
            sys.stdout.write("committed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
