"""The DAG without Airflow: its tasks in their order, the commands that bash makes of them, and which exit codes are
tried again. Of Airflow there is here what the file calls; `make airflow-test` has the real one."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from pipelines.nights.nightly import NAMES
from pipelines.nights.summary import PARTIAL
from warehouse.errors import EngineError, LakeBusy, LakeError, MissingDependency, UsageError

FILE = Path(__file__).resolve().parents[2] / "pipelines" / "airflow" / "glyphmill_nightly.py"
DAY = "2026-11-20"


class AirflowError(Exception):
    """Tried again."""


class AirflowFailError(AirflowError):
    """Not tried again."""


class Dag:
    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def __enter__(self) -> Dag:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Bash:
    """A task that runs bash and raises where it fails, as Airflow's operator does."""

    all: ClassVar[list[Bash]] = []

    def __init__(self, *, task_id: str, bash_command: str, env: dict[str, str], append_env: bool) -> None:
        assert append_env
        self.task_id, self.command, self.env = task_id, bash_command, env
        self.subprocess_hook: Any = SimpleNamespace(sub_process=None)
        self.after: list[Bash] = []
        Bash.all.append(self)

    def __rshift__(self, other: Bash) -> None:
        self.after.append(other)

    def execute(self, context: dict[str, str]) -> str:
        def rendered(text: str) -> str:
            for name, value in context.items():
                text = text.replace("{{ " + name + " }}", value)
            return text

        env = os.environ | {name: rendered(value) for name, value in self.env.items()}
        process = subprocess.Popen(["bash", "-c", rendered(self.command)], env=env, stdout=subprocess.PIPE, text=True)
        self.subprocess_hook.sub_process = process
        said, _ = process.communicate()
        if process.returncode:
            raise AirflowError(f"exit {process.returncode}")
        return said


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the file makes, where the command prints its arguments and exits as CODE says."""
    parts = {
        "airflow.providers.standard.operators.bash": {"BashOperator": Bash},
        "airflow.sdk": {"DAG": Dag, "Param": lambda default, **_: default},
        "airflow.sdk.exceptions": {"AirflowException": AirflowError, "AirflowFailException": AirflowFailError},
    }
    for name, content in parts.items():
        for parent in [".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 2)]:
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent) or ModuleType(parent))
        vars(sys.modules[name]).update(content)
    command = tmp_path / "glyphmill"
    command.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\nexit ${CODE:-0}\n')
    command.chmod(0o755)
    monkeypatch.setenv("GLYPHMILL", str(command))
    monkeypatch.setenv("GLYPHMILL_RETRY_S", "7")
    return runpy.run_path(str(FILE))


def test_a_task_a_pass_and_what_bash_makes_of_it(made: dict[str, Any]) -> None:
    told = made["dag"].settings["default_args"]
    assert (told["retries"], told["retry_delay"].total_seconds()) == (3, 7)
    chain = Bash.all[-len(NAMES) :]
    assert tuple(task.task_id for task in chain) == NAMES
    assert [task.after for task in chain] == [[after] for after in chain[1:]] + [[]]
    context = {
        "ds": DAY, "params.lake": """/a lake's "home" $HOME""", "params.source": "/drop/{date}",
        "params.recipe": "starter", "params.options": "--workers 2 --late 3",
    }  # fmt: skip
    said = made["task"].execute(context).splitlines()
    assert said == [
        "nightly", "--only", "views", "--quiet", "--wait", "2h", "--date", DAY, "--lake", context["params.lake"],
        "--source", "/drop/{date}", "--recipe", "starter", "--workers", "2", "--late", "3",
    ]  # fmt: skip


def test_what_a_new_try_may_mend_is_tried_again(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tried_again = set()
    for code in (1, 2, 3, 4, 5, 6, 7, 8, 130):
        monkeypatch.setenv("CODE", str(code))
        with pytest.raises(AirflowError) as raised:
            made["task"].execute({})
        if not isinstance(raised.value, AirflowFailError):
            tried_again.add(code)
    assert tried_again == {1, 3, 4, 6, 8, 130}
    assert {LakeError.exit_code, LakeBusy.exit_code, EngineError.exit_code} <= tried_again
    assert not tried_again & {UsageError.exit_code, MissingDependency.exit_code, PARTIAL}
