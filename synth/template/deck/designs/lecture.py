"""A lecture: cover, outline, a definition, points, a comparison, steps, a board, questions."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page


def _title(page: Page, v: int) -> None:
    if v == 0:
        page.decor("rect", (0, 0, 1, 0.02), "accent1")
        page.decor("rect", (0, 0.02, 0.3, 0.008), "accent2")
        page.place("title", (0.06, 0.06, 0.88, 0.13), 32, "{title}", "tx2", anchor="ctr", bold=True)
    elif v == 1:
        page.decor("rect", (0, 0, 0.05, 1), "accent1")
        page.place("title", (0.1, 0.06, 0.84, 0.13), 32, "{title}", "tx1", anchor="ctr", bold=True)
    else:
        page.decor("round2SameRect", (0.06, 0.06, 0.88, 0.13), "accent1", adjust=(20000, 0))
        page.place("title", (0.09, 0.06, 0.82, 0.13), 28, "{title}", "bg1", anchor="ctr", bold=True)


def _foot(page: Page) -> None:
    page.text("{heading}", (0.1, 0.93, 0.5, 0.045), 12, "tx1@75", anchor="ctr")
    page.text("{page}", (0.84, 0.93, 0.1, 0.045), 12, "tx1@75", "r", "ctr")


def cover(page: Page, v: int) -> None:
    if v == 0:
        page.decor("rect", (0, 0.68, 1, 0.32), "accent1")
        page.text("{=Lecture|第} {number} {= |讲}", (0.1, 0.12, 0.5, 0.08), 18, "accent1", bold=True)
        page.place("title", (0.1, 0.22, 0.8, 0.3), 42, "{title}", "tx1", anchor="ctr", bold=True)
        page.place("subtitle", (0.1, 0.54, 0.8, 0.1), 20, "{subtitle}", "tx1@85")
        page.text("{name}", (0.1, 0.75, 0.5, 0.07), 18, "bg1", bold=True)
        page.text("{place}", (0.1, 0.84, 0.6, 0.07), 15, "bg1")
    elif v == 1:
        page.back("bg2")
        page.decor("rect", (0.08, 0.12, 0.84, 0.76), "bg1", "accent1", 3)
        page.decor("rect", (0.095, 0.145, 0.81, 0.71), "", "accent1@60", 1)
        page.place("title", (0.14, 0.26, 0.72, 0.26), 40, "{title}", "tx2", "ctr", "b", bold=True)
        page.place("subtitle", (0.16, 0.56, 0.68, 0.09), 19, "{subtitle}", "tx1", "ctr", "ctr")
        page.text("{name}", (0.2, 0.7, 0.6, 0.07), 16, "tx1", "ctr", "ctr")
    else:
        page.decor("parallelogram", (0.6, 0, 0.5, 1), "accent1", adjust=(45000,))
        page.decor("parallelogram", (0.53, 0, 0.08, 1), "accent2", adjust=(90000,))
        page.place("title", (0.07, 0.24, 0.45, 0.32), 36, "{title}", "tx1", anchor="b", bold=True)
        page.place("subtitle", (0.07, 0.6, 0.4, 0.12), 18, "{subtitle}", "tx1@85")
        page.text("{name}", (0.07, 0.82, 0.4, 0.07), 15, "tx1")


def outline(page: Page, v: int) -> None:
    _title(page, v)
    for i in range(4):
        y = 0.26 + i * 0.155
        page.text(
            f"{{={i + 1:02d}|{i + 1:02d}}}",
            (0.12, y, 0.1, 0.11),
            30,
            f"accent{i % 4 + 1}" if v == 0 else "tx2",
            "l",
            "ctr",
            True,
        )
        page.text("{heading}", (0.24, y, 0.66, 0.11), 22, "tx1", "l", "ctr")
        page.decor("line", (0.12, y + 0.13, 0.78, 0), line="tx1@20", width=1)
    _foot(page)


def definition(page: Page, v: int) -> None:
    _title(page, v)
    page.decor("rect", (0.1, 0.25, 0.84, 0.25), "bg2")
    page.decor("rect", (0.1, 0.25, 0.01, 0.25), "accent2")
    page.text(
        "{=Definition|定义}", (0.135, 0.27, 0.5, 0.06), 15, "accent2" if v == 0 else "tx2", bold=True, anchor="ctr"
    )
    page.text("{sentence:20-56}", (0.135, 0.335, 0.78, 0.145), 20, "tx1", anchor="ctr", bold=True)
    page.place("body", (0.1, 0.55, 0.84, 0.33), 18, ["{point:14-40*3-3}"], bullet="•", after=8)
    _foot(page)


def points(page: Page, v: int) -> None:
    _title(page, v)
    page.place("body", (0.1, 0.26, 0.82, 0.63), 24, ["{point:14-44*4-4}"], bullet=("•", "–", "1.")[v], after=18)
    _foot(page)


def compare(page: Page, v: int) -> None:
    _title(page, v)
    page.text("{heading}", (0.1, 0.25, 0.4, 0.09), 20, "bg1", "ctr", "ctr", True, "rect", "accent1")
    page.text("{heading}", (0.54, 0.25, 0.4, 0.09), 20, "bg1", "ctr", "ctr", True, "rect", "accent3")
    for i in range(2):
        x = 0.1 + 0.44 * i
        page.decor("rect", (x, 0.34, 0.4, 0.52), "", f"accent{1 + 2 * i}", 1.5)
        page.place("body", (x + 0.025, 0.375, 0.35, 0.46), 17, ["{point:8-34*3-3}"], bullet="•", after=8)
    _foot(page)


def steps(page: Page, v: int) -> None:
    _title(page, v)
    kind = "chevron" if v != 1 else "roundRect"
    for i in range(3):
        x = 0.1 + i * 0.285
        page.text(
            "{=Step|第}" + f" {i + 1} " + "{= |步}",
            (x, 0.29, 0.27, 0.14),
            18,
            "bg1",
            "ctr",
            "ctr",
            True,
            kind,
            f"accent{i + 1}",
            adjust=(28000,) if kind == "chevron" else (14000,),
        )
        page.text("{heading}", (x, 0.47, 0.26, 0.08), 18, "tx2", "ctr", "ctr", True)
        page.text("{sentence:16-40}", (x + 0.005, 0.56, 0.25, 0.3), 17, "tx1", "ctr", spacing=105)
    _foot(page)


def board(page: Page, v: int) -> None:
    """A poem or passage in the middle, as on a blackboard; upright in Chinese manner in one variant."""
    page.back("tx2") if v != 2 else page.back("bg2")
    ink = "bg1" if v != 2 else "tx1"
    page.decor("rect", (0.04, 0.06, 0.92, 0.88), "", f"{ink}@50", 2)
    page.place("title", (0.1, 0.12, 0.8, 0.12), 30, "{title}", ink, "ctr", "ctr", bold=True)
    page.place("body", (0.16, 0.3, 0.68, 0.52), 22, ["{sentence:12-30*4-4}"], ink, "ctr", "ctr", after=10)


def questions(page: Page, v: int) -> None:
    _title(page, v)
    page.place("body", (0.1, 0.26, 0.82, 0.44), 20, ["{sentence:18-46*3-3}"], bullet="1.", after=12)
    page.text(
        "{=Due: |截止：}{day}",
        (0.1, 0.76, 0.4, 0.1),
        17,
        "bg1",
        "ctr",
        "ctr",
        True,
        "roundRect",
        "accent2",
        inset=(6, 2, 6, 2),
        adjust=(50000,),
    )
    _foot(page)


PAGES = (
    ("cover", cover),
    ("outline", outline),
    ("definition", definition),
    ("points", points),
    ("compare", compare),
    ("steps", steps),
    ("board", board),
    ("questions", questions),
)
