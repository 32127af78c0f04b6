"""Posters: one event, a large title, a slogan, and where and when."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page


def rings(page: Page, v: int) -> None:
    page.back("accent1", "accent1:70", 60)
    ratio = page.width / page.height
    for i, side in enumerate((0.9, 0.66, 0.42)):
        x = 0.62 - side / 2 if not page.tall else 0.75 - side / 2
        page.decor(
            "ellipse", (x + 0.12, 0.3 - side * ratio / 2, side, side * ratio), "bg1@9" if i != 2 else "accent2@75"
        )
    page.text("{date}", (0.08, 0.07, 0.6, 0.06), 20, "bg1", bold=True, anchor="ctr")
    page.place("title", (0.08, 0.42, 0.84, 0.24), 56 if page.tall else 60, "{title}", "bg1", anchor="b", bold=True)
    page.place("subtitle", (0.08, 0.68, 0.8, 0.08), 24, "{slogan}", "bg1", anchor="ctr")
    page.decor("line", (0.08, 0.79, 0.84, 0), line="bg1@60", width=1.5)
    page.text("{place}", (0.08, 0.82, 0.6, 0.06), 18, "bg1", anchor="ctr")
    page.text("{name}", (0.08, 0.89, 0.5, 0.05), 16, "bg1", anchor="ctr")
    page.text("{call}", (0.66, 0.86, 0.26, 0.07), 18, "tx1", "ctr", "ctr", True, "roundRect", "bg1", adjust=(50000,))


def blocks(page: Page, v: int) -> None:
    """Coloured blocks in a grid beside a plain field."""
    if page.tall:
        for i, (column, row) in enumerate(((0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (2, 1), (3, 1))):
            kind = ("rect", "ellipse", "rtTriangle", "rect", "pie", "rect", "ellipse", "rtTriangle")[(i + v) % 8]
            side = 0.25 * page.width / page.height
            box = (0.25 * column, side * row, 0.25, side)
            page.decor("rect", box, f"accent{(i * 2 + v) % 6 + 1}@35")
            page.decor(kind, box, f"accent{(i + v) % 6 + 1}")
        top = 2 * 0.25 * page.width / page.height + 0.05
        x, w = 0.08, 0.84
    else:
        columns = 3 if page.width > 1.5 * page.height else 2
        for i in range(3 * columns):
            side = 1 / 3
            width = side * page.height / page.width
            box = (1 - width * (columns - i % columns), side * (i // columns), width, side)
            kind = ("rect", "ellipse", "rtTriangle", "pie", "rect", "ellipse", "rtTriangle", "rect", "pie")[(i + v) % 9]
            page.decor("rect", box, f"accent{(i * 2 + v) % 6 + 1}@35")
            page.decor(kind, box, f"accent{(i + v) % 6 + 1}")
        top = 0.12
        x, w = 0.05, 1 - columns / 3 * page.height / page.width - 0.1
    page.text("{date}", (x, top, w, 0.06), 20, "tx2", bold=True, anchor="ctr")
    page.place("title", (x, top + 0.07, w, 0.27), 50 if page.tall else 40, "{title}", "tx1", anchor="ctr", bold=True)
    page.decor("rect", (x, top + 0.36, 0.12, 0.01), "accent2")
    page.place("subtitle", (x, top + 0.385, w, 0.09), 22 if page.tall else 19, "{subtitle}", "tx1@85", anchor="ctr")
    page.text("{place}", (x, 0.85 if page.tall else 0.72, w, 0.05), 18, "tx1", anchor="ctr")
    page.text("{name}", (x, 0.91 if page.tall else 0.8, w, 0.045), 16, "tx1@85", anchor="ctr")


def slanted(page: Page, v: int) -> None:
    """A bold slogan on a slanted band, facts below."""
    page.back("bg2")
    page.decor("parallelogram", (-0.12, 0.08, 1.0, 0.4), "accent1", adjust=(14000,))
    page.decor("parallelogram", (0.5, 0.44, 0.7, 0.07), "accent2", adjust=(60000,))
    page.place("title", (0.09, 0.13, 0.7, 0.24), 54 if page.tall else 52, "{title}", "bg1", anchor="ctr", bold=True)
    page.place("subtitle", (0.09, 0.385, 0.66, 0.07), 21, "{slogan}", "bg1", anchor="ctr")
    count = 3
    for i in range(count):
        if page.tall:
            y = 0.565 + i * 0.1
            page.text(
                (("{=When|时间}"), ("{=Where|地点}"), ("{=Who|嘉宾}"))[i],
                (0.1, y, 0.2, 0.075),
                18,
                "bg1",
                "ctr",
                "ctr",
                True,
                "roundRect",
                f"accent{(1, 3, 2)[i]}",
                adjust=(20000,),
            )
            page.text(("{date}", "{place}", "{name}")[i], (0.35, y, 0.58, 0.075), 20, "tx1", anchor="ctr")
        else:
            x = 0.08 + i * 0.29
            page.text(
                (("{=When|时间}"), ("{=Where|地点}"), ("{=Who|嘉宾}"))[i],
                (x, 0.6, 0.26, 0.08),
                18,
                "bg1",
                "ctr",
                "ctr",
                True,
                "rect",
                f"accent{(1, 3, 2)[i]}",
            )
            page.text(
                ("{date}", "{place}", "{name}")[i],
                (x, 0.69, 0.26, 0.13),
                18,
                "tx1",
                "ctr",
                "ctr",
                False,
                "rect",
                "bg1",
                inset=(6, 4, 6, 4),
            )
    page.text("{call}", (0.3, 0.89, 0.4, 0.065), 18, "bg1", "ctr", "ctr", True, "roundRect", "accent1", adjust=(50000,))


def framed(page: Page, v: int) -> None:
    """Quiet: much paper, a thin frame, a passage to read."""
    page.decor(
        "rect", (0.05, 0.05 * page.width / page.height, 0.9, 1 - 0.1 * page.width / page.height), "", "accent1", 2
    )
    page.text("{heading}", (0.15, 0.1 if page.tall else 0.125, 0.7, 0.06), 17, "tx2", "ctr", "ctr", spc=2)
    page.place("title", (0.12, 0.18, 0.76, 0.22), 50, "{title}", "tx1", "ctr", "ctr", bold=True)
    page.decor("diamond", (0.485, 0.425, 0.03, 0.03 * page.width / page.height), "accent2")
    page.decor("line", (0.2, 0.425 + 0.015 * page.width / page.height, 0.25, 0), line="accent2", width=1.25)
    page.decor("line", (0.55, 0.425 + 0.015 * page.width / page.height, 0.25, 0), line="accent2", width=1.25)
    page.place("body", (0.16, 0.5, 0.68, 0.22), 19, "{sentence:36-70}", "tx1", "ctr", "ctr", spacing=115)
    page.text("{date}", (0.15, 0.76, 0.7, 0.06), 22, "tx2", "ctr", "ctr", True)
    page.text("{place}", (0.15, 0.83, 0.7, 0.05), 17, "tx1", "ctr", "ctr")


def sale(page: Page, v: int) -> None:
    """A shop's offer: a starburst with a price."""
    page.back("accent1") if v != 1 else page.back("accent2")
    ratio = page.width / page.height
    side = 0.62 if page.tall else 0.3
    x, y = (0.19, 0.34) if page.tall else (0.6, 0.5 - side * ratio / 2)
    width, top, foot, align = (0.84, 0.08, 0.81, "ctr") if page.tall else (0.42, 0.26, 0.56, "l")
    page.decor("star8", (x - 0.07, y - 0.07 * ratio, side + 0.14, (side + 0.14) * ratio), "bg1@35")
    ink = "tx2" if v != 2 else "tx1"
    page.text("{price}", (x, y, side, side * ratio), 44, ink, "ctr", "ctr", True, "ellipse", "bg1")
    page.place("title", (0.08, top, width, 0.22), 50, "{slogan}", "bg1", align, "ctr", bold=True)
    page.text("{place}", (0.08, foot, width, 0.07), 22, "bg1", align, "ctr")
    page.text("{date}", (0.08, foot + 0.08, width, 0.055), 18, "bg1", align, "ctr")


PAGES = (("rings", rings), ("blocks", blocks), ("slanted", slanted), ("framed", framed), ("sale", sale))
