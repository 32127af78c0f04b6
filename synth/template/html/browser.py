"""One headless Chromium a process, driven from a thread of its own; what hangs is ended by its process id.

A page's own scripts never run and nothing is fetched from anywhere: a document is given as a string, and files that it
asks for come from its own folder or not at all.
"""

from __future__ import annotations

import base64
import contextlib
import mimetypes
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from warehouse.errors import GlyphmillError, MissingDependency, UsageError

T = TypeVar("T")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: The same pixels on every machine: no hinting, no coloured fringes, no GPU, one colour space.
SWITCHES = (
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--force-color-profile=srgb",
    "--disable-gpu",
    "--disable-skia-runtime-opts",
    "--disable-partial-raster",
    "--max-untiled-layer-width=16384",  # in one piece: a curve that crosses two comes out this way or that
    "--max-untiled-layer-height=16384",
    "--disable-extensions",
)
HOST = "http://page.invalid"
ATTEMPTS = 3
SECONDS = 60.0  # one page; an own page takes a tenth of a second


class BrowserError(GlyphmillError):
    """Chromium crashed or hung again and again over one page."""


@dataclass(frozen=True)
class Document:
    """A page: its markup, its size in CSS pixels, image pixels to a CSS pixel, and the folder its files lie in."""

    markup: str
    width: int
    height: int
    scale: float
    folder: str | None = None


def executable() -> str:
    """Path of Chromium: GLYPHMILL_CHROMIUM, or the first known name in PATH. Raises MissingDependency."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        raise MissingDependency(f"pages need playwright: pip install 'glyphmill[html]' ({error})") from error
    told = os.environ.get("GLYPHMILL_CHROMIUM")
    if told:
        found = shutil.which(told)
        if found is None:
            raise MissingDependency(f"GLYPHMILL_CHROMIUM names {told}, which is no program that can be run")
        return found
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise MissingDependency("pages need Chromium: apt-get install chromium, or set GLYPHMILL_CHROMIUM to its path")
    return found


class Session:
    """A started Chromium with one page. Lives in the thread that made it."""

    def __init__(self, program: str, fonts: tuple[str, ...]) -> None:
        from playwright.sync_api import Error, sync_playwright

        self._playwright = sync_playwright().start()
        self.trusted: set[str] = set()  #: PostScript names of fonts that were seen to be drawn with
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()
        self._settings = _font_settings(fonts)
        told: dict[str, str | float | bool] = {**os.environ, "FONTCONFIG_FILE": self._settings.name}
        try:
            self._browser = self._playwright.chromium.launch(executable_path=program, args=[*SWITCHES, *root], env=told)
        except Error as error:
            self._playwright.stop()
            said = next((line for line in str(error).splitlines() if line.strip()), "")
            raise UsageError(f"{program} does not start as a headless browser: {said}") from error
        processes = self._browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        self.pid: int = next(p["id"] for p in processes if p["type"] == "browser")
        self.version: str = self._browser.version
        context = self._browser.new_context(
            no_viewport=True, java_script_enabled=False, service_workers="block", accept_downloads=False, locale="en-US"
        )
        self.page = context.new_page()
        self.page.set_default_timeout(1000 * SECONDS)
        self.page.route("**/*", self._answer)
        self.devtools = context.new_cdp_session(self.page)
        self._document: Document | None = None

    def show(self, document: Document) -> None:
        """Loads the page at its size; returns when all of its files are there."""
        self._document = document
        self.devtools.send(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": document.width,
                "height": document.height,
                "deviceScaleFactor": document.scale,
                "mobile": False,
            },
        )
        if document.folder is None:
            self.page.set_content(document.markup)
        else:
            self.page.goto(f"{HOST}/", wait_until="load")

    def evaluate(self, script: str, argument: object = None) -> Any:
        return self.page.evaluate(script, argument)

    def fonts(self) -> dict[str, int]:
        """Glyphs drawn on the page by each font, by PostScript name: what Chromium really took."""
        self.devtools.send("DOM.enable")
        self.devtools.send("CSS.enable")
        root = self.devtools.send("DOM.getDocument", {"depth": 1})["root"]["nodeId"]
        counted: dict[str, int] = {}
        for selector in ("[data-role]", "[data-role] *"):
            for node in self.devtools.send("DOM.querySelectorAll", {"nodeId": root, "selector": selector})["nodeIds"]:
                for font in self.devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]:
                    name = font["postScriptName"]
                    counted[name] = counted.get(name, 0) + int(font["glyphCount"])
        self.devtools.send("CSS.disable")
        self.devtools.send("DOM.disable")
        return counted

    def picture(self) -> NDArray[np.uint8]:
        """The page as drawn, (height, width, 3) uint8 RGB."""
        taken = self.devtools.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        encoded = np.frombuffer(base64.b64decode(taken["data"]), dtype=np.uint8)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return np.ascontiguousarray(decoded[:, :, ::-1])

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()
        self._settings.close()

    def _answer(self, route: Any) -> None:
        """Everything that a page asks for: itself and the files of its folder are given, all else is refused."""
        document, asked = self._document, urlsplit(route.request.url)
        if document is None or document.folder is None or f"{asked.scheme}://{asked.netloc}" != HOST:
            route.abort()
            return
        if asked.path == "/":
            policy = "default-src 'self' data: 'unsafe-inline'; script-src 'none'; object-src 'none'; frame-src 'none'"
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
            route.fulfill(status=200, headers=headers, body=document.markup)
            return
        folder = Path(document.folder).resolve()
        file = (folder / unquote(asked.path).lstrip("/")).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            route.abort()
            return
        kind = mimetypes.guess_type(file.name)[0] or "text/plain"
        route.fulfill(status=200, content_type=kind, body=file.read_bytes())


class Browser:
    """Runs jobs on a Session, one after another, in a thread: Playwright's objects belong to the thread of their
    birth, and a job that hangs must be ended from outside."""

    def __init__(self, program: str, fonts: tuple[str, ...] = ()) -> None:
        self._program, self._fonts = program, fonts
        self._jobs: SimpleQueue[tuple[Callable[[Session], Any], Future[Any]] | None] = SimpleQueue()
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._work, name="glyphmill-browser", daemon=True)
        self._thread.start()
        Finalize(None, self.close, exitpriority=100)

    def run(self, job: Callable[[Session], T], seconds: float = SECONDS, attempts: int = ATTEMPTS) -> T:
        """The job's result. After a crash or a hang it is run again on a new browser, `attempts` times in all.

        Raises BrowserError when the last attempt failed too, and whatever else the job raises.
        """
        said = ""
        for _ in range(attempts):
            asked: Future[T] = Future()
            self._jobs.put((job, asked))
            try:
                return asked.result(timeout=seconds)
            except TimeoutError:
                said = f"no answer in {seconds:.0f} s"
                self._kill()
                with contextlib.suppress(TimeoutError, _Crashed):
                    asked.result(timeout=10)
            except _Crashed as error:
                said = str(error)
        raise BrowserError(f"Chromium failed {attempts} times over one page: {said}")

    def close(self) -> None:
        """Ends the browser; again is no harm."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(timeout=10)
            if self._thread.is_alive():
                self._kill()

    def _kill(self) -> None:
        if self._session is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._session.pid, signal.SIGKILL)

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, asked = given
            try:
                if self._session is None:
                    self._session = Session(self._program, self._fonts)
                asked.set_result(job(self._session))
            except BaseException as error:  # noqa: BLE001 - handed to whoever asked
                asked.set_exception(self._judged(error))
        self._end()

    def _judged(self, error: BaseException) -> BaseException:
        """A failure of the browser itself becomes _Crashed, and the browser is given up."""
        from playwright.sync_api import Error

        if not isinstance(error, Error):
            return error
        said = str(error).splitlines()[0]
        self._end()
        return _Crashed(said)

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            session.close()
        except Exception:  # noqa: BLE001 - a dead browser cannot be closed politely
            with contextlib.suppress(ProcessLookupError):
                os.kill(session.pid, signal.SIGKILL)


class _Crashed(Exception):  # noqa: N818 - said to Browser.run alone
    """The browser died or was killed under a job."""


def _font_settings(fonts: tuple[str, ...]) -> tempfile._TemporaryFileWrapper[str]:
    """A file that tells fontconfig of these folders besides the system's, and to draw outlines as they are: Chromium
    with a window's code heeds no --font-render-hinting. Gone when it is closed."""
    folders = [str((p if p.is_dir() else p.parent).resolve()) for p in map(Path, fonts)]
    listed = "".join(f"<dir>{escape(folder)}</dir>" for folder in folders)
    system = os.environ.get("FONTCONFIG_FILE", "/etc/fonts/fonts.conf")
    plain = {
        "hinting": "<bool>false</bool>",
        "autohint": "<bool>false</bool>",
        "hintstyle": "<const>hintnone</const>",
        "antialias": "<bool>true</bool>",
        "embeddedbitmap": "<bool>false</bool>",
        "rgba": "<const>none</const>",
    }
    edits = "".join(f'<edit name="{name}" mode="assign">{value}</edit>' for name, value in plain.items())
    rules = "".join(f'<match target="{target}">{edits}</match>' for target in ("pattern", "font"))
    file = tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8")  # noqa: SIM115 - closed with the session
    file.write(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f'<include ignore_missing="yes">{escape(system)}</include>{listed}{rules}</fontconfig>'
    )
    file.flush()
    return file


def browser(fonts: tuple[str, ...] = ()) -> Browser:
    """This process's browser. `fonts`: folders that it shall know besides the system's."""
    return _browser(os.getpid(), executable(), fonts)


@cache
def _browser(process: int, program: str, fonts: tuple[str, ...]) -> Browser:
    return Browser(program, fonts)
