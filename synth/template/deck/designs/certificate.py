"""Certificates: a frame, an award, a name, a date, a seal."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page

_AWARDS = ("{=Certificate|荣誉证书}", "{=Certificate of Merit|奖状}", "{=Diploma|结业证书}")


def _seal(page: Page, x: float, y: float, side: float, colour: str) -> None:
    ratio = page.width / page.height
    page.decor(
        "parallelogram",
        (x + side * 0.08, y + side * ratio * 0.7, side * 0.4, side * ratio * 0.75),
        colour,
        adjust=(40000,),
    )
    page.decor("rect", (x + side * 0.46, y + side * ratio * 0.7, side * 0.3, side * ratio * 0.75), f"{colour}@80")
    page.decor("star8", (x, y, side, side * ratio), colour)
    page.decor("ellipse", (x + side * 0.2, y + side * ratio * 0.2, side * 0.6, side * ratio * 0.6), "bg1@85")
    page.decor("star5", (x + side * 0.33, y + side * ratio * 0.32, side * 0.34, side * ratio * 0.34), colour)


def _lines(page: Page, v: int, left: float, width: float, align: str) -> None:
    page.place("title", (left, 0.14, width, 0.15), 46, _AWARDS[v], "tx2", align, "ctr", bold=True, spc=3)
    page.text("{=This certificate is presented to|兹 授 予}", (left, 0.31, width, 0.065), 17, "tx1", align, "ctr")
    page.text("{name}", (left, 0.385, width, 0.115), 34, "accent1" if v != 1 else "tx1", align, "ctr", True)
    page.place(
        "body",
        (left + (0.06 if align == "ctr" else 0), 0.54, width - (0.12 if align == "ctr" else 0), 0.17),
        17,
        "{citation}",
        "tx1",
        align,
        "ctr",
        spacing=110,
    )


def framed(page: Page, v: int) -> None:
    ratio = page.width / page.height
    page.back("bg2") if v == 1 else None
    page.decor("rect", (0.025, 0.025 * ratio, 0.95, 1 - 0.05 * ratio), "bg1" if v == 1 else "", "accent1", 6)
    page.decor("rect", (0.042, 0.042 * ratio, 0.916, 1 - 0.084 * ratio), "", "accent2", 1.5)
    for x in (0.042, 0.958 - 0.05):
        for y in (0.042 * ratio, 1 - 0.092 * ratio):
            page.decor("rect", (x, y, 0.05, 0.05 * ratio), "accent1@30")
    _lines(page, v, 0.14, 0.72, "ctr")
    page.text("{day}", (0.12, 0.78, 0.24, 0.06), 16, "tx1", "ctr", "b")
    page.decor("line", (0.12, 0.85, 0.24, 0), line="tx1@60", width=1)
    page.text("{=Date|日期}", (0.12, 0.86, 0.24, 0.05), 13, "tx1@80", "ctr", "ctr")
    page.text("{name}", (0.64, 0.78, 0.24, 0.06), 16, "tx1", "ctr", "b")
    page.decor("line", (0.64, 0.85, 0.24, 0), line="tx1@60", width=1)
    page.text("{=Signature|签发人}", (0.64, 0.86, 0.24, 0.05), 13, "tx1@80", "ctr", "ctr")
    _seal(page, 0.455, 0.755, 0.09, "accent2")


def ribboned(page: Page, v: int) -> None:
    """A coloured side with the seal, the words beside it."""
    page.decor("rect", (0, 0, 0.2, 1), "accent1", to="accent1:80", angle=90)
    page.decor("rect", (0.205, 0, 0.008, 1), "accent2")
    page.decor("rect", (0.985, 0, 0.015, 1), "accent1")
    _seal(page, 0.03, 0.3, 0.14, "accent2")
    _lines(page, v, 0.27, 0.66, "l")
    page.text("{day}", (0.27, 0.8, 0.28, 0.07), 16, "tx1", anchor="ctr")
    page.text("{name}", (0.63, 0.8, 0.3, 0.07), 16, "tx1", "r", "ctr")
    page.decor("line", (0.27, 0.78, 0.66, 0), line="accent2", width=1.25)


def arched(page: Page, v: int) -> None:
    """Coloured corners."""
    page.decor("rtTriangle", (0, 0.62, 0.34, 0.38), "accent1")
    page.decor("rtTriangle", (0, 0.72, 0.25, 0.28), "accent2")
    page.decor("rtTriangle", (0.66, 0, 0.34, 0.38), "accent1", turn=180)
    page.decor("rtTriangle", (0.75, 0, 0.25, 0.28), "accent2", turn=180)
    _lines(page, v, 0.14, 0.72, "ctr")
    page.text("{day}", (0.36, 0.78, 0.28, 0.06), 16, "tx1", "ctr", "ctr")
    page.text("{name}", (0.36, 0.845, 0.28, 0.06), 16, "tx1", "ctr", "ctr")


PAGES = (("framed", framed), ("ribboned", ribboned), ("arched", arched))
