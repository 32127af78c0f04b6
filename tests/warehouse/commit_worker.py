"""A run to be killed: two nights scanned and decided. Says `go` once it has imported everything."""

from __future__ import annotations

import sys
from pathlib import Path

import lakes

from warehouse.lake import Lake

NIGHTS = {
    "b1": [(f"/n1/{unit}", range(unit * 10, unit * 10 + 12)) for unit in range(6)],
    "b2": [(f"/n2/{unit}", range(100 + unit * 10, 110 + unit * 10)) for unit in range(4)],
}


def run(root: Path) -> None:
    lake = Lake.open_or_create(root)
    with lake.connect() as con:
        for batch, units in NIGHTS.items():
            lakes.scan(lake, con, units, batch=batch)
            lakes.decide(lake, con)


if __name__ == "__main__":
    sys.stdout.write("go\n")
    sys.stdout.flush()
    run(Path(sys.argv[1]))
