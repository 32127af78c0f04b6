"""A business report: cover, agenda, section, points, columns, figures, table, timeline, quotation, closing."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page

FOOT = (0.06, 0.925, 0.6, 0.045)


def _title(page: Page, v: int, size: float = 30) -> None:
    """The running head of an inner page, in one of three manners."""
    if v == 0:
        page.decor("rect", (0.06, 0.085, 0.012, 0.09), "accent1")
        page.place("title", (0.085, 0.07, 0.84, 0.12), size, "{title}", "tx2", anchor="ctr", bold=True)
    elif v == 1:
        page.decor("rect", (0, 0, 1, 0.165), "accent1")
        page.place("title", (0.06, 0.02, 0.88, 0.125), size, "{title}", "bg1", anchor="ctr", bold=True)
    else:
        page.place("title", (0.06, 0.06, 0.88, 0.11), size, "{title}", "tx1", anchor="ctr", bold=True)
        page.decor("rect", (0.06, 0.175, 0.1, 0.008), "accent2")
        page.decor("line", (0.06, 0.183, 0.88, 0), line="tx1@25", width=1)


def _foot(page: Page) -> None:
    page.text("{name} · {day}", FOOT, 12, "tx1@75", anchor="ctr")
    page.text("{page}", (0.84, 0.925, 0.1, 0.045), 12, "tx1@75", "r", "ctr")


def cover(page: Page, v: int) -> None:
    if v == 0:
        page.decor("rect", (0, 0, 0.38, 1), "accent1", to="accent1:85", angle=60)
        page.decor("ellipse", (-0.1, 0.55, 0.38, 0.38 * page.width / page.height), "bg1@12")
        page.decor("ellipse", (0.16, -0.12, 0.26, 0.26 * page.width / page.height), "bg1@10")
        page.place("title", (0.44, 0.22, 0.5, 0.3), 40, "{title}", "tx2", anchor="b", bold=True)
        page.decor("rect", (0.44, 0.555, 0.09, 0.012), "accent2")
        page.place("subtitle", (0.44, 0.6, 0.5, 0.14), 20, "{subtitle}", "tx1@85")
        page.text("{name}  |  {day}", (0.44, 0.84, 0.5, 0.06), 14, "tx1@80")
    elif v == 1:
        page.back("accent1", "accent1:75", 45)
        page.decor("rect", (0.06, 0.1, 0.88, 0.8), line="bg1@55", width=1.5)
        page.place("title", (0.12, 0.24, 0.76, 0.26), 44, "{title}", "bg1", "ctr", "b", bold=True)
        page.decor("line", (0.4, 0.54, 0.2, 0), line="bg1", width=2)
        page.place("subtitle", (0.15, 0.57, 0.7, 0.12), 20, "{subtitle}", "bg1", "ctr")
        page.text("{place}   {day}", (0.15, 0.76, 0.7, 0.07), 14, "bg1", "ctr")
    else:
        page.decor("rtTriangle", (0, 0.42, 0.55, 0.58), "bg2")
        page.decor("rtTriangle", (0, 0.66, 0.3, 0.34), "accent1")
        page.decor("rect", (0.9, 0, 0.1, 0.24), "accent2")
        page.place("title", (0.09, 0.13, 0.76, 0.26), 44, "{title}", "tx1", anchor="b", bold=True)
        page.place("subtitle", (0.09, 0.42, 0.62, 0.1), 20, "{subtitle}", "accent1" if not page.tall else "tx1")
        page.text("{name}", (0.55, 0.8, 0.39, 0.06), 15, "tx1", "r")
        page.text("{day}", (0.55, 0.87, 0.39, 0.06), 14, "tx1@80", "r")


def agenda(page: Page, v: int) -> None:
    if v == 1:
        page.decor("rect", (0, 0, 0.34, 1), "accent1")
        page.place("title", (0.05, 0.36, 0.25, 0.28), 34, "{=Contents|目录}", "bg1", "ctr", "ctr", bold=True)
        left, width = 0.42, 0.5
    else:
        page.place("title", (0.07, 0.08, 0.6, 0.13), 34, "{=Agenda|议程}", "tx2", anchor="ctr", bold=True)
        page.decor("rect", (0.07, 0.22, 0.86, 0.006), "accent1")
        left, width = 0.09, 0.82
    for i in range(4):
        y = 0.29 + i * 0.155 if v != 1 else 0.17 + i * 0.17
        side = 0.1 * page.height / page.width
        page.text(
            f"{{={i + 1}|{i + 1}}}",
            (left, y, side, 0.1),
            20,
            "bg1",
            "ctr",
            "ctr",
            True,
            "ellipse" if v == 0 else "roundRect",
            f"accent{1 if v != 2 else i % 4 + 1}",
        )
        page.text(
            "{heading}", (left + side + 0.03, y - 0.005, width - side - 0.03, 0.06), 20, "tx1", anchor="ctr", bold=True
        )
        page.text("{subtitle}", (left + side + 0.03, y + 0.055, width - side - 0.03, 0.05), 13, "tx1@75", anchor="ctr")


def section(page: Page, v: int) -> None:
    if v == 0:
        page.back("accent1")
        page.text("{number}", (0.08, 0.2, 0.3, 0.25), 80, "bg1@70", bold=True, anchor="b")
        page.place("title", (0.08, 0.48, 0.8, 0.16), 40, "{heading}", "bg1", bold=True, anchor="ctr")
        page.place("subtitle", (0.08, 0.66, 0.7, 0.1), 18, "{subtitle}", "bg1")
        page.decor("rect", (0.86, 0, 0.02, 1), "bg1@30")
        page.decor("rect", (0.9, 0, 0.02, 1), "bg1@20")
    elif v == 1:
        page.back("bg2")
        page.decor("homePlate", (0, 0.33, 0.8, 0.34), "accent1", adjust=(30000,))
        page.place("title", (0.08, 0.36, 0.58, 0.16), 38, "{heading}", "bg1", bold=True, anchor="ctr")
        page.place("subtitle", (0.08, 0.53, 0.58, 0.1), 18, "{subtitle}", "bg1", anchor="ctr")
    else:
        page.decor("ellipse", (0.52, 0.1, 0.8 * page.height / page.width, 0.8), "accent1@14")
        page.decor("ellipse", (0.6, 0.24, 0.52 * page.height / page.width, 0.52), "accent1@18")
        page.place("title", (0.08, 0.34, 0.6, 0.18), 42, "{heading}", "tx2", bold=True, anchor="b")
        page.decor("rect", (0.08, 0.545, 0.12, 0.012), "accent2")
        page.place("subtitle", (0.08, 0.58, 0.5, 0.12), 18, "{subtitle}", "tx1@85")


def points(page: Page, v: int) -> None:
    _title(page, v)
    page.place("body", (0.075, 0.25, 0.85, 0.64), 23, ["{point:14-46*4-5}"], bullet="•" if v != 2 else "1.", after=16)
    _foot(page)


def prose(page: Page, v: int) -> None:
    _title(page, v)
    page.text(
        "{sentence:14-34}",
        (0.07, 0.25, 0.3, 0.58),
        20,
        "bg1",
        "l",
        "ctr",
        True,
        "roundRect",
        "accent1",
        inset=(18, 14, 18, 14),
        adjust=(6000,),
    )
    page.place("body", (0.41, 0.25, 0.53, 0.6), 18, ["{passage:60-110}", "{passage:50-90}"], spacing=115, after=12)
    _foot(page)


def columns(page: Page, v: int) -> None:
    _title(page, v)
    for i in range(2):
        x = 0.07 + i * 0.445
        page.decor("rect", (x, 0.25, 0.415, 0.62), "bg2")
        page.decor("rect", (x, 0.25, 0.415, 0.012), f"accent{i + 1}")
        page.text(
            "{heading}",
            (x + 0.025, 0.285, 0.365, 0.07),
            20,
            f"accent{i + 1}" if v != 1 else "tx2",
            anchor="ctr",
            bold=True,
        )
        page.place("body", (x + 0.025, 0.38, 0.365, 0.46), 16, ["{point:10-40*3-4}"], bullet="•", after=9)
    _foot(page)


def figures(page: Page, v: int) -> None:
    _title(page, v)
    count = 3 if v != 2 else 4
    gap = 0.03
    width = (0.86 - gap * (count - 1)) / count
    for i in range(count):
        x = 0.07 + i * (width + gap)
        filled = v == 0
        page.decor("roundRect", (x, 0.28, width, 0.46), f"accent{i + 1}" if filled else "bg2", adjust=(5000,))
        ink = "bg1" if filled else "tx1"
        page.text(
            "{figure}",
            (x + 0.012, 0.33, width - 0.024, 0.16),
            40 if count == 3 else 34,
            "bg1" if filled else "tx2",
            "ctr",
            "ctr",
            True,
        )
        page.text("{heading}", (x + 0.012, 0.5, width - 0.024, 0.08), 17, ink, "ctr", "ctr", True)
        page.text("{subtitle}", (x + 0.018, 0.585, width - 0.036, 0.13), 13, ink, "ctr")
    page.text("{sentence:16-50}", (0.07, 0.79, 0.86, 0.09), 15, "tx1@85", "ctr", "ctr")
    _foot(page)


def table(page: Page, v: int) -> None:
    _title(page, v)
    heads = ["{heading}"] * 4
    kinds = (
        ["{heading}", "{figure}", "{figure}", "{price}"],
        ["{name}", "{date}", "{figure}", "{price}"],
        ["{place}", "{date}", "{figure}", "{figure}"],
    )[v]
    page.table(
        (0.07, 0.26, 0.86, 0.58),
        (3, 2.4, 2, 2.4),
        [heads, *([kinds] * 5)],
        15,
        head="accent1",
        band="bg2",
        line="tx1@25",
        across=v == 1,
    )
    _foot(page)


def timeline(page: Page, v: int) -> None:
    _title(page, v)
    page.decor("line", (0.07, 0.47, 0.86, 0), line="accent1", width=3)
    for i in range(4):
        x = 0.07 + i * 0.22
        side = 0.045 * page.height / page.width
        page.decor("ellipse", (x + 0.09 - side / 2, 0.4475, side, 0.045), "bg1", "accent1", 3)
        page.text(f"{{=Phase {i + 1}|第{'一二三四'[i]}阶段}}", (x, 0.34, 0.195, 0.08), 19, "tx2", "ctr", "b", True)
        page.text("{heading}", (x, 0.52, 0.195, 0.08), 18, "tx1", "ctr", "ctr", True)
        page.text("{subtitle}", (x + 0.005, 0.61, 0.185, 0.24), 15, "tx1@85", "ctr")
    _foot(page)


def quote(page: Page, v: int) -> None:
    if v == 1:
        page.back("accent1")
    ink = "bg1" if v == 1 else "tx1"
    panel = "bg1@12" if v == 1 else "bg2"
    page.decor("rect" if v == 2 else "roundRect", (0.1, 0.16, 0.8, 0.66), panel, adjust=() if v == 2 else (4000,))
    if v == 2:
        page.decor("rect", (0.1, 0.16, 0.012, 0.66), "accent2")
    page.text("{sentence:20-60}", (0.16, 0.25, 0.68, 0.34), 28, ink, "ctr", "ctr", True, spacing=110)
    page.decor("line", (0.44, 0.63, 0.12, 0), line=ink, width=1.5)
    page.text("{name}", (0.2, 0.66, 0.6, 0.07), 16, ink, "ctr", "ctr")


def closing(page: Page, v: int) -> None:
    page.back("accent1", "accent1:80", 30) if v == 0 else page.back("bg2")
    ink, strong = ("bg1", "bg1") if v == 0 else ("tx1", "tx2")
    page.place("title", (0.1, 0.3, 0.8, 0.2), 54, "{=Thank You|谢谢观看}", strong, "ctr", "b", bold=True, spc=3)
    page.place("subtitle", (0.15, 0.53, 0.7, 0.09), 20, "{slogan}", ink, "ctr", "ctr")
    page.decor("line", (0.42, 0.66, 0.16, 0), line=ink, width=1.5)
    page.text("{name}  ·  {phone}", (0.15, 0.7, 0.7, 0.07), 15, ink, "ctr", "ctr")


PAGES = (
    ("cover", cover),
    ("agenda", agenda),
    ("section", section),
    ("points", points),
    ("prose", prose),
    ("columns", columns),
    ("figures", figures),
    ("table", table),
    ("timeline", timeline),
    ("quote", quote),
    ("closing", closing),
)
