"""The DAG in a real Airflow, for one date on a tiny corpus: `make airflow-test`. Not collected by pytest.

Usage: dag_run.py AIRFLOW GLYPHMILL, the two commands.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tests" / "pipelines"), str(REPO)]
DAY = "2026-11-20"
SQL = (
    "SELECT (SELECT count(*) FROM inputs WHERE batch = '2026-11-20') AS delivered, "
    "(SELECT count(*) FROM shard_index) AS stored, (SELECT status FROM nights) AS status"
)


def main(airflow: str, glyphmill: str) -> None:
    """Run the DAG twice for the same date, the second time with nothing left to do; check the lake after each."""
    from pictures import encoded, photo

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drop, lake = folder / "drop" / DAY, folder / "a lake"
        drop.mkdir(parents=True)
        for number in range(4):
            (drop / f"{number}.jpg").write_bytes(encoded(photo(300, 280, seed=number)))
        env = {
            **os.environ,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "pipelines" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "GLYPHMILL": glyphmill,
            "GLYPHMILL_LAKE": str(lake),
            "GLYPHMILL_SOURCE": str(folder / "drop" / "{date}"),
            "GLYPHMILL_RECIPE": "basic",
        }
        _run([airflow, "db", "migrate"], env)
        for _ in range(2):
            said = _run([airflow, "dags", "test", "glyphmill_nightly", DAY], env)
            found = _run([glyphmill, "query", SQL, "--lake", str(lake), "--format", "json"], env)
            got = json.loads(found)
            assert got == [{"delivered": 4, "stored": 4, "status": "done"}], f"{got}\n{said[-4000:]}"
    print("the DAG ran twice for one date: 4 delivered, 4 stored\n1 passed")


def _run(command: list[str], env: dict[str, str]) -> str:
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired as late:  # a task that fails waits for its next try
        raise SystemExit(f"{command} took too long\n{(late.stdout or b'')[-6000:].decode()}") from late
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
