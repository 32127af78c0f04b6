"""A user's pages, and the browser: what is not to be trusted is contained, what fails is bounded."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from html_redrawn import overlaps

from synth.chance import chance
from synth.sample import Rejected, Sample
from synth.template.html import browser as browsers
from synth.template.html.browser import Browser, BrowserError, Document, Session, executable
from synth.template.html.html import Html
from synth.template.html.pages import LARGEST, user_page, user_pages
from warehouse.errors import MissingDependency, UsageError

REPO = Path(__file__).resolve().parent.parent.parent
HEAD = '<!doctype html><html><head><meta charset="utf-8"><meta name="sizes" content="600x400">'
STYLE = "<style>body{margin:40px;background:#fff;color:#123} h1{font-size:40px} p{font-size:22px}</style>"


def page(folder: Path, body: str, head: str = STYLE) -> str:
    file = folder / "index.html"
    file.write_text(f"{HEAD}{head}</head><body>{body}</body></html>", encoding="utf-8")
    return str(file)


def draw(path: str, index: int = 0) -> Sample | Rejected:
    strategy = Html(pages=(path,), longest=(600, 1000))
    strategy.check()
    return strategy.draw(1, index)


def test_a_page_of_a_user_is_filled(tmp_path: Path) -> None:
    (tmp_path / "dot.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><rect width="99" height="99" fill="#f00"/></svg>'
    )
    body = '<h1 data-role="title"></h1><p data-role="body">old</p><img src="dot.svg" width="50" height="50">'
    sample = draw(page(tmp_path, body))
    assert isinstance(sample, Sample), sample
    assert [t.role for t in sample.texts] == ["title", "body"]
    assert sample.template == f"page:user/{tmp_path.name}"
    assert "old" not in sample.texts[1].text
    assert (sample.image.reshape(-1, 3) == (255, 0, 0)).all(axis=1).any(), "its own picture is shown"


@pytest.mark.parametrize(
    "transform",
    ["rotate(-8deg)", "skewX(12deg)", "scale(1.2) translateX(20px)", "perspective(500px) rotateY(24deg)"],
)
def test_transforms_carry_the_boxes(tmp_path: Path, transform: str) -> None:
    body = f'<div style="transform:{transform};margin:60px"><h1 data-role="title"></h1></div>'
    path = page(tmp_path, body)
    strategy = Html(pages=(path,), longest=(900, 1000))
    composed = strategy.compose(user_page(path), chance(1, "x", 0))
    assert not isinstance(composed, Rejected)
    texts, agreed = overlaps(composed, np.random.default_rng(0), 10)
    assert not isinstance(texts, Rejected), texts
    assert not np.allclose(texts[0].to_image, np.eye(3))
    assert np.mean(agreed) >= 0.9, agreed


def test_scripts_do_not_run_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "evil.js").write_text("while (true) {}")
    secret = tmp_path.parent / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><rect width="99" height="99" fill="#00f"/></svg>')
    body = (
        '<h1 data-role="title" onclick="while(1){}"></h1><script>while (true) {}</script>'
        '<script src="evil.js"></script><img src="http://example.com/x.png"><img src="x" onerror="for(;;);">'
        '<img src="../secret.svg" width=50 height=50>'
        '<img src="/%2e%2e/secret.svg" width=50 height=50><iframe src="file:///etc/passwd"></iframe>'
        '<meta http-equiv="refresh" content="0;url=http://example.com">'
    )
    began = time.monotonic()
    sample = draw(page(tmp_path, body))
    assert isinstance(sample, Sample), sample
    assert not (sample.image.reshape(-1, 3) == (0, 0, 255)).all(axis=1).any(), "files outside of the folder stay unread"
    assert time.monotonic() - began < browsers.SECONDS


TOO_SMALL = "width:60px;height:20px"
TOO_WIDE = "width:900px;white-space:nowrap;margin-left:500px"
BEHIND = "position:absolute;top:70px;pointer-events:none;z-index:-1"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f'<div data-box style="{TOO_SMALL}"><p data-role="body" data-text="passage 60 90"></p></div>', "overflow"),
        (f'<p data-role="body" data-text="passage 20 30" style="{TOO_WIDE}"></p>', "overflow"),
        ('<h1 data-role="title"></h1><div style="position:fixed;inset:0;background:#eee"></div>', "hidden"),
        ('<h1 data-role="title" style="color:#fefefe"></h1>', "faint"),
        (
            '<h1 data-role="title" style="position:absolute;top:60px"></h1>'
            f'<h1 data-role="heading" style="{BEHIND}"></h1>',
            "overlap|hidden",
        ),
    ],
)
def test_what_cannot_be_read_is_rejected(tmp_path: Path, body: str, reason: str) -> None:
    sample = draw(page(tmp_path, body))
    assert isinstance(sample, Rejected)
    assert re.fullmatch(reason, sample.reason), sample


def test_too_large_a_text_is_set_smaller(tmp_path: Path) -> None:
    body = '<h1 data-role="title" data-lines="1" data-least="14" style="width:420px;font-size:90px"></h1>'
    sizes = [s.texts[0].size for i in range(4) if isinstance(s := draw(page(tmp_path, body), i), Sample)]
    assert sizes
    assert min(sizes) < 90


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<h1>nothing to fill</h1>", "data-role"),
        ('<h1 data-role="motto"></h1>', "no known role"),
        ('<h1 data-role="title" data-text="limerick"></h1>', "no such text"),
        ('<div data-role="body"><h1 data-role="title"></h1></div>', "nested"),
        ('<h1 data-role="title"></h1><i data-art="unicorn"></i>', "no such drawing"),
        ('<h1 data-role="title" data-repeat="many"></h1>', "number"),
    ],
)
def test_a_wrong_page_is_told_of(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        draw(page(tmp_path, body))


def test_a_folder_of_pages(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no HTML file"):
        Html(pages=(str(tmp_path),)).check()
    for name in ("b", "a"):
        (tmp_path / f"{name}.html").write_text(f"{HEAD}{STYLE}</head><h1 data-role='title'></h1>", encoding="utf-8")
    assert [page.name for page in user_pages(str(tmp_path))] == ["user/a", "user/b"]


def test_bad_files_are_refused_at_once(tmp_path: Path) -> None:
    huge = tmp_path / "huge.html"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    latin = tmp_path / "latin.html"
    latin.write_bytes("<p data-role=title>é</p>".encode("latin-1"))
    empty = tmp_path / "empty.html"
    empty.write_text("  ")
    for file, told in ((huge, "at most"), (latin, "UTF-8"), (empty, "empty"), (tmp_path / "none.html", "no such page")):
        with pytest.raises(UsageError, match=told):
            Html(pages=(str(file),)).check()


def test_a_real_template_of_others(shared_data: Path, tmp_path: Path) -> None:
    """Someone's dashboard, its card titles made places."""
    found = sorted(shared_data.glob("ui_templates/html_sb_admin2/**/index.html"))
    if not found:
        pytest.skip("no ui_templates in the test data")
    text = found[0].read_text(encoding="utf-8")
    marked, count = re.subn(
        r'<h6 class="([^"]*)font-weight-bold', r'<h6 data-role="heading" class="\1font-weight-bold', text
    )
    assert count
    for file in found[0].parent.rglob("*.css"):
        target = tmp_path / file.relative_to(found[0].parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (tmp_path / "index.html").write_text(marked, encoding="utf-8")
    drawn = [Html(pages=(str(tmp_path),), longest=(1280, 1664)).draw(1, i) for i in range(3)]
    assert all(isinstance(s, Sample) or s.reason in ("overflow", "hidden", "faint") for s in drawn), drawn


def test_a_crash_is_survived_and_a_hang_is_ended() -> None:
    own = Browser(executable())
    pids: list[int] = []

    def remember(session: Session) -> str:
        pids.append(session.pid)
        session.show(Document("<p>here</p>", 300, 200, 1.0))
        return str(session.evaluate("() => document.body.textContent"))

    def crash_once(session: Session) -> str:
        if len(pids) == 1:
            os.kill(session.pid, signal.SIGKILL)
        return remember(session)

    assert own.run(remember) == "here"
    assert own.run(crash_once) == "here"
    assert len(set(pids)) == 2
    with pytest.raises(BrowserError, match="no answer"):
        own.run(lambda session: session.evaluate("() => { for (;;); }"), seconds=2, attempts=1)
    assert own.run(remember) == "here"
    own.close()
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)
    own.close()


def test_no_browser_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHMILL_CHROMIUM", "/no/such/chromium")
    with pytest.raises(MissingDependency, match="GLYPHMILL_CHROMIUM"):
        executable()
    monkeypatch.delenv("GLYPHMILL_CHROMIUM")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependency, match="apt-get install chromium"):
        executable()


CHILD = """
import hashlib, os, sys
from multiprocessing import get_context
from synth.template.html.browser import browser
from synth.template.html.html import Html

def digest(index):
    sample = Html(kinds=("poster", "comic", "ui")).draw(11, index)
    if hasattr(sample, "reason"):
        return index, sample.reason
    return index, hashlib.sha256(sample.image.tobytes() + repr([t.row() for t in sample.texts]).encode()).hexdigest()

if __name__ == "__main__":
    workers, order = int(sys.argv[1]), [int(n) for n in sys.argv[2].split(",")]
    if workers == 0:
        print(browser().run(lambda session: session.pid), flush=True)
        sys.stdin.read()
    elif workers == 1:
        print(sorted(map(digest, order)))
    else:
        with get_context("spawn").Pool(workers) as pool:
            print(sorted(pool.imap_unordered(digest, order)))
            pool.close()
            pool.join()
"""


def digests(workers: int, order: str, script: Path) -> str:
    script.write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, str(script), str(workers), order]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout


def test_workers_and_order_change_nothing(tmp_path: Path) -> None:
    """Here, after many other pages in one browser; and in two fresh processes, backwards."""
    spaced: dict[str, Any] = {"__name__": "child"}
    exec(CHILD, spaced)
    here = f"{sorted(map(spaced['digest'], range(5)))}\n"
    assert here == digests(2, "4,3,2,1,0", tmp_path / "child.py")
    assert len(set(re.findall("[0-9a-f]{64}", here))) >= 3


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="set GLYPHMILL_SOAK=1 for the full size")
def test_many_workers_change_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    told = {digests(n, ",".join(map(str, rng.permutation(60))), tmp_path / "child.py") for n in (1, 2, 4, 4)}
    assert len(told) == 1


def test_a_killed_process_leaves_no_browser(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    child = subprocess.Popen(
        [sys.executable, str(script), "0", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    assert psutil.pid_exists(pid)
    child.kill()
    child.wait()
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie":
            break
        time.sleep(0.1)
    else:
        pytest.fail("Chromium outlived the process that started it by ten seconds")
