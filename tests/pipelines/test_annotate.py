"""Annotate over real HTTP: one status an image, nothing answered is asked again, no cap is passed, whatever dies."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from answering_server import STATUS, TOKENS, WAYS, Answering, answering
from commands import command, here
from decision_lakes import recipe
from picture_lakes import picture_lake

from annotate import store
from annotate.backends.base import Status
from annotate.backends.openai import OpenAIBackend, Retry, Server
from annotate.backends.rules import RulesBackend
from annotate.schema import Annotation, parse
from pipelines.annotating.annotate import Cap, Wish, annotate, plan
from pipelines.annotating.flow import ServerDownError
from pipelines.decide import decide
from warehouse.errors import UsageError
from warehouse.lake import Lake

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
FAST = Retry(sends=4, base_s=0.01, cap_s=0.05)
#: Most answer well, as servers do; the rest go through every way but those that take many retries.
MIXED = ["good"] * 30 + [way for way in WAYS if way not in ("down", "bad-request", "whitespace-for-ever")]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    lake, ids = picture_lake(tmp_path_factory.mktemp("pictures") / "lake", 120)
    return lake.root, ids


@pytest.fixture
def pictures(template: tuple[Path, list[str]], tmp_path: Path) -> tuple[Lake, list[str]]:
    """A lake of 120 pictures, and their ids by number."""
    shutil.copytree(template[0], tmp_path / "lake")
    return Lake.open(tmp_path / "lake"), template[1]


@pytest.fixture
def server() -> Iterator[Callable[..., Answering]]:
    """Starts servers with a plan."""
    running: list[Any] = []

    def start(plan: dict[str, Any]) -> Answering:
        context = answering(plan)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        return list(con.execute(sql).to_arrow_table().to_pylist())


def backend(server: Answering, model: str = "m", **settings: Any) -> OpenAIBackend:
    return OpenAIBackend(Server(server.url, model, retry=FAST, **settings))


def arguments(lake: Lake, server: Answering, *more: object) -> list[object]:
    return ["annotate", "--backend", "openai", "--model", "m", "--base-url", server.url, "--lake", lake.root, *more]


def finished(lake: Lake, server: Answering, *more: object) -> str:
    done = here(*arguments(lake, server, *more))
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_after(lake: Lake, server: Answering, *more: object, requests: int) -> None:
    """Start a run, and kill -9 it once the server has seen that many requests."""
    line = command(*arguments(lake, server, *more))
    run = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while server.stats()["requests"] < requests:
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()


def answered(lake: Lake) -> Counter[str]:
    """Answers in the cache by image."""
    with closing(sqlite3.connect(lake.root / store.FILE)) as db:
        return Counter(image_id for (image_id,) in db.execute("SELECT image_id FROM answers"))


@pytest.mark.parametrize(
    ("count", "kills"),
    [(200, 1), pytest.param(5000, 3, marks=[pytest.mark.soak, pytest.mark.skipif(not SOAK, reason="make soak")])],
)
def test_one_status_an_image_and_nothing_answered_is_asked_again(
    count: int, kills: int, tmp_path: Path, server: Callable[..., Answering]
) -> None:
    lake, ids = picture_lake(tmp_path / "lake", count)
    for_ever = {str(n): "whitespace-for-ever" for n in range(7, count, count // 5)}
    way = {n: for_ever.get(str(n), MIXED[n % len(MIXED)]) for n in range(count)}
    busy = server({"*": MIXED, **for_ever})
    limits = ("--concurrency", 8, "--answer-tokens", 512)
    before: list[Counter[str]] = []
    for kill in range(kills):
        kill_after(lake, busy, *limits, requests=(kill + 1) * count // (kills + 2))
        before.append(answered(lake))
        assert 0 < len(before[-1]) < count
        busy.next_phase()
    finished(lake, busy, *limits)

    for phase, known in enumerate(before, 1):
        arrived = busy.arrived(phase)
        assert arrived
        for number, image_id in enumerate(ids):
            for turn in range(1, known[image_id] + 1):
                assert arrived[f"{number}/{turn}"] == 0, way[number]
    found = rows(lake, "SELECT image_id, status, error, raw, annotation FROM annotations")
    assert len(found) == count
    by_id = {row["image_id"]: row for row in found}
    for number, image_id in enumerate(ids):
        assert by_id[image_id]["status"] == STATUS.get(way[number], "success"), way[number]
    kept = [row for row in found if row["status"] == "success"]
    for row in kept:
        parse(row["raw"], ["en"])
        Annotation.model_validate(row["annotation"])
    assert all((row["annotation"] is None) == (row["status"] != "success") for row in found)
    assert all((row["error"] is None) == (row["status"] == "success") for row in found)
    assert 1 < busy.stats()["most_open"] <= 8
    captions = rows(lake, "SELECT image_id, text, lang, origin FROM captions WHERE kind = 'recaption'")
    assert {c["image_id"] for c in captions} == {row["image_id"] for row in kept}
    assert {(c["lang"], c["origin"]) for c in captions} == {("en", "annotation:m")}
    total = busy.stats()["requests"]
    assert finished(lake, busy).startswith("nothing to annotate")
    assert busy.stats()["requests"] == total


def test_a_run_without_any_answer_has_an_exit_code(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    run = here(*arguments(lake, server({"*": "bad-request"}), "--limit", 3))
    assert "3 error" in run.stdout
    assert run.stderr.strip().endswith("no request was answered: see the column `error` of the table annotations")
    assert run.returncode == 1


def test_a_cap_of_requests_counts_retries_repairs_and_the_killed_run(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    busy = server({"*": ["500", "not-json", "cut", "good", "429"]})
    cap = ("--max-requests", 90, "--budget", "night", "--concurrency", 6)
    kill_after(lake, busy, *cap, requests=40)
    said = finished(lake, busy, *cap)
    assert "left: the budget night is spent" in said
    assert busy.stats()["requests"] <= 90
    done = len(rows(lake, "FROM annotations"))
    assert 0 < done < 90
    asked = busy.stats()["requests"]
    again = annotate(lake, backend(busy), cap=Cap(max_requests=90, budget="night"))
    assert (again.requests, busy.stats()["requests"]) == (0, asked)
    annotate(lake, backend(busy), cap=Cap(budget="another night"))
    assert len(rows(lake, "FROM annotations")) == 120


def test_a_cap_of_tokens_holds_for_what_is_billed(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    busy = server({"*": ["good", "cut", "not-json", "no-usage", "500", "good", "good"]})
    one = 10_000  # about what is reserved for a request at most
    cap = ("--max-tokens", 6 * one, "--answer-tokens", 64, "--concurrency", 4)
    kill_after(lake, busy, *cap, requests=8)
    finished(lake, busy, *cap)
    billed = busy.stats()["billed"]
    assert billed <= 6 * one
    assert 0 < len(rows(lake, "FROM annotations")) < 120
    # Answers that came are counted at what they cost, not at what was reserved for them.
    roomy = server({"*": "good"})
    annotate(lake, backend(roomy, "roomy"), cap=Cap(max_tokens=6 * one, budget="roomy"), wish=Wish(answer_tokens=64))
    assert len(rows(lake, "FROM annotations WHERE model = 'roomy'")) == 120
    assert roomy.stats()["billed"] == 120 * sum(TOKENS)


def test_a_bill_above_what_was_reserved_stops_the_run(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    tight = backend(server({"*": "good"}), image_tokens=1)
    tight.most_tokens = lambda request: 100  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="--image-tokens"):
        annotate(lake, tight, cap=Cap(max_tokens=10_000))


def test_a_server_that_is_down_ends_the_run_and_the_next_one_asks_again(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    down = server({"*": "down"})
    with pytest.raises(ServerDownError, match="out of cheese"):
        annotate(lake, backend(down))
    assert {row["status"] for row in rows(lake, "FROM annotations")} == {"error"}
    assert down.stats()["requests"] < 120 * FAST.sends
    done = annotate(lake, backend(server({"*": "good"})))
    assert done.statuses == {"success": 120}
    assert {row["status"] for row in rows(lake, "FROM annotations")} == {"success"}


def test_a_wrong_key_or_address_is_told_in_one_line(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    with pytest.raises(UsageError, match="begins with http"):
        OpenAIBackend(Server("localhost:8000/v1", "m"))
    nobody = OpenAIBackend(Server("http://127.0.0.1:9/v1", "m", retry=Retry(sends=2, base_s=0.01)))
    with pytest.raises(ServerDownError, match="no connection to"):
        annotate(lake, nobody)


def test_a_new_answer_takes_the_old_ones_place_and_an_error_takes_none(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, ids = pictures
    good = server({"*": "good"})
    annotate(lake, backend(good), wish=Wish(limit=10))
    first = {row["image_id"] for row in rows(lake, "FROM annotations")}
    assert first == set(sorted(ids)[:10])
    old = rows(lake, "SELECT image_id, prompt_version FROM annotations ORDER BY 1")
    # another language is another prompt: what fails of it replaces nothing
    bad = server({"*": "bad-request"})
    done = annotate(lake, backend(bad), wish=Wish(languages=("zh",), limit=10))
    assert done.statuses == {"error": 10}
    assert rows(lake, "SELECT image_id, prompt_version FROM annotations ORDER BY 1") == old
    # what is answered in it does, and here it is invalid: captions in the wrong language
    done = annotate(lake, backend(good), wish=Wish(languages=("zh",), limit=10))
    assert done.statuses == {"invalid": 10}
    found = rows(lake, "FROM annotations")
    assert {(row["status"], row["prompt_version"].split("-")[0], row["attempts"]) for row in found} == {
        ("invalid", "zh", 2)
    }
    assert all("one in each of zh" in row["error"] for row in found)
    # asked again on demand, it comes from the cache
    asked = good.stats()["requests"]
    again = Wish(languages=("zh",), limit=10, again=frozenset({Status.INVALID}))
    assert str(plan(lake, "openai", "m", wish=again)).startswith("would annotate 10 images, 10 of them with an answer")
    done = annotate(lake, backend(good), wish=again)
    assert (done.cached, done.requests, good.stats()["requests"]) == (10, 0, asked)


def test_images_that_cannot_be_read_again_are_errors_and_cost_nothing(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, _ = pictures
    file = Path(rows(lake, "SELECT uri FROM inputs LIMIT 1")[0]["uri"])
    copy = lake.root.parent / "cut.images"
    data = file.read_bytes()
    copy.write_bytes(data[:2000] + b"\0" * 50 + data[2050:])
    with lake.connect() as con:
        con.execute(f"UPDATE lake.inputs SET uri = '{copy}'")
    good = server({"*": "good"})
    done = annotate(lake, backend(good))
    assert done.statuses["error"] in (1, 2)
    assert done.statuses["success"] == 120 - done.statuses["error"]
    assert good.stats()["requests"] == done.statuses["success"]
    (error,) = {row["error"].split(" at ")[0] for row in rows(lake, "FROM annotations WHERE status = 'error'")}
    assert error == "image: changed: the bytes"


def test_what_the_recipe_drops_is_not_asked_about(tmp_path: Path, server: Callable[..., Answering]) -> None:
    lake, ids = picture_lake(tmp_path / "lake", 9, {n: {"luma": 5.0} for n in range(3)})
    chosen = recipe(
        'name = "annotated"\nstore_from = 1\nscales = [256]\n[[stage]]\nnumber = 1\nname = "one"\nrules = [\n'
        '  { name = "lit", when = "luma > 20" },\n'
        '  { name = "unmarked", when = "NOT annotated_watermark" },\n'
        '  { name = "sure", when = "annotation_confidence > 0.5 AND image_type = \'photograph\'" },\n]\n'
    )
    assert decide(lake, chosen).counts["pending"] == 6
    good = server({"*": "good"})
    done = annotate(lake, backend(good))
    assert done.due == good.stats()["requests"] == 6
    counts = decide(lake, chosen).counts
    assert (counts["dropped"], counts["kept"], counts["pending"]) == (3 + 3, 3, 0)  # odd numbers bear a watermark
    found = {
        row["image_id"]: row
        for row in rows(lake, "SELECT image_id, annotated, annotated_watermark, outcome FROM samples")
    }
    assert [found[i]["annotated"] for i in ids] == [False] * 3 + [True] * 6
    assert [found[i]["annotated_watermark"] for i in ids] == [None] * 3 + [True, False] * 3


def test_the_rules_need_no_server_and_make_no_captions(
    pictures: tuple[Lake, list[str]], server: Callable[..., Answering]
) -> None:
    lake, ids = pictures
    done = annotate(lake, RulesBackend(), wish=Wish(languages=("en", "zh")))
    assert done.statuses == {"success": 120}
    assert done.requests == 0
    found = {row["image_id"]: row for row in rows(lake, "FROM annotated")}
    assert found[ids[7]]["annotation"]["captions"][0]["long"] == "a small coloured square, picture 7"
    assert found[ids[7]]["annotation"]["category"] == []
    assert rows(lake, "FROM captions WHERE kind <> 'raw'") == []
    # a model's annotation counts before theirs
    annotate(lake, backend(server({"*": "good"})), wish=Wish(limit=20))
    counted = Counter(row["annotator"] for row in rows(lake, "FROM annotated"))
    assert counted == {"openai": 20, "rules": 100}


def test_an_empty_lake_has_nothing_to_annotate(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    assert str(annotate(lake, RulesBackend())).startswith("nothing to annotate")
    assert str(plan(lake, "rules", "rules", cap=Cap(budget="b"))) == (
        "would annotate 0 images, 0 of them with an answer in the cache; "
        "0 requests and 0 tokens are spent of the budget b"
    )


def test_languages_are_known_and_given_once() -> None:
    for wrong in ((), ("de",), ("en", "en")):
        with pytest.raises(UsageError):
            Wish(languages=wrong)
