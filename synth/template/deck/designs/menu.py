"""Menus: sections of dishes with dotted lines to their prices."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page


def _dishes(
    page: Page, x: float, y: float, width: float, count: int, pitch: float, size: float, ink: str, mark: str
) -> None:
    for i in range(count):
        top = y + i * pitch
        page.text("{dish}", (x, top, width * 0.66, pitch * 0.86), size, ink, anchor="ctr")
        page.text("{cost}", (x + width * 0.74, top, width * 0.26, pitch * 0.86), size, mark, "r", "ctr", True)
        page.decor("line", (x, top + pitch * 0.93, width, 0), line=f"{ink}@35", width=1, dash="sysDot")


def classic(page: Page, v: int) -> None:
    ratio = page.width / page.height
    if v == 1:
        page.back("bg2")
    page.decor("rect", (0.035, 0.035 * ratio, 0.93, 1 - 0.07 * ratio), "", "accent1", 2)
    page.decor("rect", (0.047, 0.047 * ratio, 0.906, 1 - 0.094 * ratio), "", "accent1", 0.75)
    down = 0.0 if page.tall else 0.03  # the frame is nearer to the words where the page is low
    name = "{=Menu|菜单}" if v != 2 else "{=Our Kitchen|家常小馆}"
    page.place("title", (0.15, 0.07 + down, 0.7, 0.1), 40, name, "tx2", "ctr", "ctr", bold=True, spc=3)
    page.place("subtitle", (0.15, 0.17 + down, 0.7, 0.05), 16, "{slogan}", "tx1@85", "ctr", "ctr")
    columns, halves, count, pitch = (1, 2, 4, 0.066) if page.tall else (2, 1, 5, 0.102)
    width = 0.8 if page.tall else 0.385
    for c in range(columns):
        x = 0.1 + c * (width + 0.03)
        for half in range(halves):
            top = 0.25 + down + half * 0.35
            page.text("{course}", (x, top, width, 0.06), 21, "accent1" if v == 0 else "tx2", "ctr", "ctr", True)
            _dishes(page, x, top + (0.065 if page.tall else 0.08), width, count, pitch, 17, "tx1", "tx2")


def sided(page: Page, v: int) -> None:
    """A coloured side with the house's name, the dishes beside it."""
    side = 0.36 if not page.tall else 0.3
    page.decor("rect", (0, 0, side, 1), "accent1", to="accent1:85", angle=90)
    page.decor("rect", (side * 0.1, 0.07, side * 0.8, 0.86), "", "bg1@60", 1.25)
    page.place("title", (side * 0.16, 0.28, side * 0.68, 0.24), 36, "{=Menu|菜谱}", "bg1", "ctr", "b", bold=True)
    page.decor("line", (side * 0.32, 0.55, side * 0.36, 0), line="bg1", width=1.5)
    page.place("subtitle", (side * 0.16, 0.57, side * 0.68, 0.16), 16, "{slogan}", "bg1", "ctr")
    x = side + 0.06
    width = 1 - x - 0.06
    page.text("{course}", (x, 0.08, width, 0.07), 24, "tx2", bold=True, anchor="ctr")
    page.decor("rect", (x, 0.155, width, 0.006), "accent2")
    count = 9 if page.tall else 6
    _dishes(page, x, 0.19, width, count, 0.73 / count, 18, "tx1", "accent1" if v == 0 else "tx2")


def chalk(page: Page, v: int) -> None:
    """A board: light on dark, dishes in boxes."""
    page.back("tx2") if v != 1 else page.back("accent1")
    page.place("title", (0.1, 0.05, 0.8, 0.12), 40, "{=Today's Specials|今日推荐}", "bg1", "ctr", "ctr", bold=True)
    page.decor("line", (0.3, 0.18, 0.4, 0), line="bg1@60", width=1.5, dash="dash")
    across = 2 if page.tall else 3
    down = 3 if page.tall else 2
    width, height = (0.84 - 0.04 * (across - 1)) / across, (0.68 - 0.04 * (down - 1)) / down
    for i in range(across * down):
        x, y = 0.08 + (i % across) * (width + 0.04), 0.23 + (i // across) * (height + 0.04)
        page.decor("roundRect", (x, y, width, height), "bg1@10", "bg1@60", 1.25, adjust=(6000,))
        page.text("{dish}", (x + 0.015, y + height * 0.1, width - 0.03, height * 0.38), 20, "bg1", "ctr", "ctr", True)
        page.text("{course}", (x + 0.015, y + height * 0.48, width - 0.03, height * 0.22), 14, "bg1", "ctr", "ctr")
        page.text("{cost}", (x + 0.015, y + height * 0.71, width - 0.03, height * 0.22), 20, "bg1", "ctr", "ctr", True)


PAGES = (("classic", classic), ("sided", sided), ("chalk", chalk))
