"""The DAG in a real Airflow, for two dates on a tiny corpus: `make airflow-test`. Not collected by pytest.

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
SHAKY, PARTIAL = "2026-11-20", "2026-11-21"
SQL = (
    "SELECT batch, count(*) AS delivered, count(s.image_id) AS stored, any_value(n.status) AS status "
    "FROM inputs LEFT JOIN shard_index AS s USING (image_id) JOIN nights AS n ON n.night = batch "
    "GROUP BY batch ORDER BY batch"
)
# Stands before the command: tells each pass that is begun, and fails or spoils what the date is to show.
WRAPPER = """#!/bin/bash
pass=$3; day=$8
echo "$day $pass" >> "$CALLS"
if [ "$day $pass" = "{shaky} near" ] && [ ! -e "$CALLS.fell" ]; then touch "$CALLS.fell"; exit 8; fi
if [ "$day $pass" = "{partial} export" ]; then printf x > "$SPOILED"; fi
exec "{glyphmill}" "$@"
"""


def main(airflow: str, glyphmill: str) -> None:
    """Run the DAG for a date whose cluster is gone for a while, and for one that ends partial.

    The second looks at the first one's folder again, as late data might be there, and reads none of it twice.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calls, wrapper, lake = folder / "calls", folder / "glyphmill.sh", folder / "a lake"
        _deliver(folder / "drop" / SHAKY, range(4))
        _deliver(folder / "drop" / PARTIAL, range(4, 5))
        wrapper.write_text(WRAPPER.format(shaky=SHAKY, partial=PARTIAL, glyphmill=glyphmill))
        wrapper.chmod(0o755)
        env = {
            **os.environ,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "pipelines" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "CALLS": str(calls),
            "SPOILED": str(folder / "drop" / PARTIAL / "4.jpg"),
            "GLYPHMILL": str(wrapper),
            "GLYPHMILL_LAKE": str(lake),
            "GLYPHMILL_SOURCE": str(folder / "drop" / "{date}"),
            "GLYPHMILL_RECIPE": "basic",
            "GLYPHMILL_RETRY_S": "1",
        }
        _run([airflow, "db", "migrate"], env)
        test = [airflow, "dags", "test", "glyphmill_nightly"]
        said = _run([*test, SHAKY], env)
        done = {"batch": SHAKY, "delivered": 4, "stored": 4, "status": "done"}
        _expect([done], glyphmill, lake, env, said)
        said = _run([*test, PARTIAL], env, failing=True)
        spoiled = {"batch": PARTIAL, "delivered": 1, "stored": 0, "status": "done"}
        _expect([done, spoiled], glyphmill, lake, env, said)
        begun = calls.read_text().splitlines()
        tries = {what: begun.count(what) for what in (f"{SHAKY} near", f"{SHAKY} views", f"{PARTIAL} views")}
        assert tries == {f"{SHAKY} near": 2, f"{SHAKY} views": 1, f"{PARTIAL} views": 1}, f"{tries}\n{said[-4000:]}"
    print(
        "exit code 8 was tried again and the night done: 4 delivered, 4 stored; "
        "a partial night failed at its last task, in one try\n1 passed"
    )


def _deliver(drop: Path, numbers: range) -> None:
    from pictures import encoded, photo

    drop.mkdir(parents=True)
    for number in numbers:
        (drop / f"{number}.jpg").write_bytes(encoded(photo(300, 280, seed=number)))


def _expect(wanted: list[dict[str, object]], glyphmill: str, lake: Path, env: dict[str, str], said: str) -> None:
    found = _run([glyphmill, "query", SQL, "--lake", str(lake), "--format", "json"], env)
    got = json.loads(found)
    assert got == wanted, f"{got}\n{said[-4000:]}"


def _run(command: list[str], env: dict[str, str], *, failing: bool = False) -> str:
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=3000)
    except subprocess.TimeoutExpired as late:  # a task that fails waits for its next try
        raise SystemExit(f"{command} took too long\n{(late.stdout or b'')[-6000:].decode()}") from late
    assert (done.returncode != 0) == failing, (
        f"{command}: exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    )
    return done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
