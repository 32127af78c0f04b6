"""`glyphmill train serve`, `produce`, `feed-status`, `change`: what they say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import here
from feed_plans import plain_plan
from feed_rig import rig


def test_status_in_words_and_as_json(tmp_path: Path) -> None:
    plan = plain_plan(tmp_path / "plan")
    with rig(tmp_path, plan) as made:
        made.consume().batch(1)
        for store in (made.url, tmp_path / "run", tmp_path / "run" / "feed"):
            done = here("train", "feed-status", store)
            assert done.returncode == 0, done.stderr
            assert "step 1: " in done.stdout
            assert f"plan       from step 0: {plan.digest[:12]}" in done.stdout
            assert "consumer   rank 0 at step 1" in done.stdout
        told = json.loads(here("train", "feed-status", made.url, "--json").stdout)
        assert told["floor"] == 1
        assert told["encoding"]["vae"] == made.encoders.encoding.vae


def test_change_of_recipe_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, other = plain_plan(tmp_path / "plan"), plain_plan(tmp_path / "other", phase="two", seed=5)
    with rig(tmp_path, plan) as made:
        made.consume(prefetch=2).batch(1)
        done = here("train", "change", made.url, "--plan", other.folder, "--at", 2)
        assert done.returncode == 2
        assert done.stderr == "glyphmill: step 2 is planned already: a change can take effect from step 4 on\n"
        done = here("train", "change", made.url, "--plan", other.folder, "--why", "more text")
        assert done.stdout == f"from step 4 on: plan {other.digest[:12]} in {other.folder}\n"
        logged = (tmp_path / "run/feed/recipe.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(one)["why"] for one in logged] == ["the run begins", "more text"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("feed-status", "nowhere"), "no feed is served in nowhere: start one with `glyphmill train serve"),
        (("feed-status", "http://127.0.0.1:9"), "the feed at http://127.0.0.1:9 does not answer"),
        (("produce", "--store", "http://127.0.0.1:9", "--vae", ".", "--text", "."), "no config.json in ."),
        (("serve", "--run", "run", "--plan", "."), "no plan at ."),
        (("serve", "--run", "run", "--plan", ".", "--missing-caption", "maybe"), "--missing-caption is error or skip"),
    ],
)
def test_refusals_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = here("train", *arguments)
    assert done.returncode in (2, 3)
    assert done.stderr.startswith(f"glyphmill: {told}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
