"""Resumes: a name, how to reach, experience, education, skills."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page

_EXPERIENCE, _EDUCATION = "{=Work Experience|工作经历}", "{=Education|教育背景}"
_SKILLS, _CONTACT, _ABOUT = "{=Skills|专业技能}", "{=Contact|联系方式}", "{=Profile|自我评价}"


def _head(page: Page, words: str, x: float, y: float, width: float, v: int) -> None:
    page.text(words, (x, y, width, 0.04), 18, "accent1" if v == 0 else "tx2", bold=True, anchor="ctr")
    page.decor("rect", (x, y + 0.043, width, 0.0025), "accent1" if v != 2 else "accent2")


def _entry(page: Page, x: float, y: float, width: float, height: float, n: int) -> None:
    page.text("{job}", (x, y, width * 0.6, 0.032), 15, "tx1", bold=True, anchor="ctr")
    page.text(f"{{era:{n}-{n}}}", (x + width * 0.62, y, width * 0.38, 0.032), 13, "tx1@80", "r", "ctr")
    page.text("{company}", (x, y + 0.032, width, 0.028), 13, "tx1@90", anchor="ctr")
    page.text(["{point:10-34*2-2}"], (x, y + 0.063, width, height - 0.066), 13, "tx1", bullet="•", after=2)


def _skills(page: Page, x: float, y: float, width: float, count: int, ink: str, bar: str, ground: str) -> None:
    for i in range(count):
        top = y + i * 0.056
        page.text("{skill}", (x, top, width, 0.03), 13, ink, anchor="ctr")
        page.decor("rect", (x, top + 0.034, width, 0.007), ground)
        page.decor("rect", (x, top + 0.034, width * (0.9, 0.72, 0.83, 0.6, 0.78)[i % 5], 0.007), bar)


def sided(page: Page, v: int) -> None:
    page.decor("rect", (0, 0, 0.34, 1), "accent1" if v != 1 else "tx2")
    ratio = page.width / page.height
    page.decor("ellipse", (0.085, 0.05, 0.17, 0.17 * ratio), "bg1@20")
    page.decor("ellipse", (0.145, 0.05 + 0.025 * ratio, 0.05, 0.06 * ratio), "bg1@85")
    page.decor("round2SameRect", (0.12, 0.05 + 0.095 * ratio, 0.1, 0.055 * ratio), "bg1@85", adjust=(50000, 0))
    page.text(_CONTACT, (0.04, 0.23, 0.26, 0.04), 17, "bg1", bold=True, anchor="ctr")
    page.decor("rect", (0.04, 0.273, 0.26, 0.002), "bg1@70")
    page.text(["{phone}", "{place}", "{mail}"], (0.04, 0.285, 0.27, 0.16), 13, "bg1", after=5)
    page.text(_SKILLS, (0.04, 0.47, 0.26, 0.04), 17, "bg1", bold=True, anchor="ctr")
    page.decor("rect", (0.04, 0.513, 0.26, 0.002), "bg1@70")
    _skills(page, 0.04, 0.53, 0.26, 5, "bg1", "bg1", "bg1@30")
    page.place("title", (0.4, 0.05, 0.54, 0.075), 36, "{name}", "tx1", anchor="ctr", bold=True)
    page.place("subtitle", (0.4, 0.127, 0.54, 0.045), 18, "{job}", "accent1" if v == 0 else "tx2", anchor="ctr")
    page.place("body", (0.4, 0.185, 0.54, 0.085), 13, "{sentence:20-44}", "tx1@90", spacing=105)
    _head(page, _EXPERIENCE, 0.4, 0.29, 0.54, v)
    for i in range(3):
        _entry(page, 0.4, 0.35 + i * 0.152, 0.54, 0.148, i + 1)
    _head(page, _EDUCATION, 0.4, 0.82, 0.54, v)
    page.text("{school}", (0.4, 0.875, 0.33, 0.035), 15, "tx1", bold=True, anchor="ctr")
    page.text("{era:5-5}", (0.73, 0.875, 0.21, 0.035), 13, "tx1@80", "r", "ctr")
    page.text("{subject}", (0.4, 0.912, 0.54, 0.035), 13, "tx1@90", anchor="ctr")


def banded(page: Page, v: int) -> None:
    page.decor("rect", (0, 0, 1, 0.18), "accent1" if v != 2 else "tx2")
    page.decor("rect", (0, 0.18, 1, 0.008), "accent2")
    page.place("title", (0.07, 0.03, 0.5, 0.075), 38, "{name}", "bg1", anchor="ctr", bold=True)
    page.place("subtitle", (0.07, 0.105, 0.5, 0.045), 18, "{job}", "bg1", anchor="ctr")
    page.text(["{phone}", "{mail}", "{place}"], (0.56, 0.035, 0.37, 0.12), 14, "bg1", "r", "ctr", after=3)
    _head(page, _ABOUT, 0.07, 0.215, 0.86, v)
    page.place("body", (0.07, 0.27, 0.86, 0.085), 14, "{passage:40-72}", "tx1", spacing=105)
    _head(page, _EXPERIENCE, 0.07, 0.37, 0.54, v)
    for i in range(3):
        _entry(page, 0.07, 0.43 + i * 0.165, 0.54, 0.16, i + 1)
    _head(page, _SKILLS, 0.67, 0.37, 0.26, v)
    _skills(page, 0.67, 0.43, 0.26, 4, "tx1", "accent1", "tx1@15")
    _head(page, _EDUCATION, 0.67, 0.69, 0.26, v)
    for i in range(2):
        y = 0.745 + i * 0.1
        page.text("{school}", (0.67, y, 0.26, 0.035), 14, "tx1", bold=True, anchor="ctr")
        page.text(f"{{era:{i + 5}-{i + 5}}}", (0.67, y + 0.036, 0.26, 0.03), 13, "tx1@80", anchor="ctr")


PAGES = (("sided", sided), ("banded", banded))
