"""One night of one source as an Airflow DAG: a task a pass, each a `glyphmill nightly --only PASS`.

Put this file, or a link to it, into Airflow's folder of DAGs. What to run is told by the environment of the workers or
by the parameters of a run:

    GLYPHMILL           the command, `glyphmill` on the workers' PATH if not given
    GLYPHMILL_LAKE      folder of the lake
    GLYPHMILL_SOURCE    what is delivered; {date} in it stands for the night's date
    GLYPHMILL_RECIPE    the recipe, `starter` if not given
    GLYPHMILL_OPTIONS   further options of `glyphmill nightly`, as one line
    GLYPHMILL_RETRY_S   seconds until a task that failed is tried again, 300 if not given

A task that was killed is started again and goes on where it was; so is one whose lake was busy or whose cluster was
gone. Units that fail do not stop a night: they are rows of `errors`, and the last task ends with exit code 7, so that
somebody looks; the next night tries these units again. It fails at once, as does wrong use: see HOPELESS.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PASSES = (
    "freeze",
    "scan",
    "near",
    "decide",
    "inspect",
    "annotate",
    "inspect-again",
    "categorize",
    "decide-again",
    "balance",
    "export",
    "views",
)


HOPELESS = frozenset({2, 5, 7})  # wrong use, something not installed, a partial night: no new try mends them


class Pass(BashOperator):  # type: ignore[misc]  # mypy sees no Airflow
    """A pass of the night: an exit code that a new try may mend is tried again, another fails at once."""

    def execute(self, context: Any) -> Any:
        try:
            return super().execute(context)
        except AirflowException as error:
            process = self.subprocess_hook.sub_process
            if process is not None and process.returncode in HOPELESS:
                raise AirflowFailException(str(error)) from error
            raise


def _param(name: str, default: str, description: str) -> Param:
    return Param(os.environ.get(name, default), type="string", description=description)


with DAG(
    dag_id="glyphmill_nightly",
    description="Curate what was delivered since the last night",
    schedule="0 1 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # a backfill does its dates in order
    tags=["glyphmill"],
    params={
        "lake": _param("GLYPHMILL_LAKE", "lake", "folder of the lake"),
        "source": _param("GLYPHMILL_SOURCE", "drop/{date}", "what is delivered; {date} is the night's date"),
        "recipe": _param("GLYPHMILL_RECIPE", "starter", "recipe, by name or file"),
        "options": _param("GLYPHMILL_OPTIONS", "", "further options of glyphmill nightly"),
    },
    default_args={"retries": 3, "retry_delay": timedelta(seconds=float(os.environ.get("GLYPHMILL_RETRY_S", "300")))},
) as dag:
    before: Pass | None = None
    for name in PASSES:
        task = Pass(
            task_id=name,
            bash_command=(
                f"${{GLYPHMILL:-glyphmill}} nightly --only {name} --quiet --wait 2h --date {{{{ ds }}}} "
                '--lake "$LAKE" --source "$SOURCE" --recipe "$RECIPE" {{ params.options }}'
            ),
            env={  # by the environment, so that no quote in a path can end a word of the command
                "LAKE": "{{ params.lake }}",
                "SOURCE": "{{ params.source }}",
                "RECIPE": "{{ params.recipe }}",
            },
            append_env=True,
        )
        if before is not None:
            before >> task
        before = task
