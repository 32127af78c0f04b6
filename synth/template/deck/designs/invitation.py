"""Invitations: frames, centred lines, an occasion, a host, a place and a date."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page


def _frame(page: Page, v: int) -> None:
    ratio = page.width / page.height
    if v == 0:
        for inset, width in ((0.035, 2.5), (0.048, 0.75)):
            page.decor("rect", (inset, inset * ratio, 1 - 2 * inset, 1 - 2 * inset * ratio), "", "accent1", width)
        side = 0.06
        for x, y in ((0.035, 0.035), (0.965 - side, 0.035), (0.035, 0), (0.965 - side, 0)):
            top = y * ratio if y else 1 - (0.035 + side) * ratio
            page.decor(
                "diamond", (x + side / 2 - 0.012, top + (side / 2 - 0.012) * ratio, 0.024, 0.024 * ratio), "accent2"
            )
    elif v == 1:
        page.decor(
            "snip2DiagRect", (0.05, 0.05 * ratio, 0.9, 1 - 0.1 * ratio), "bg1", "accent1", 2, adjust=(9000, 9000)
        )
        page.decor(
            "snip2DiagRect", (0.065, 0.065 * ratio, 0.87, 1 - 0.13 * ratio), "", "accent1@60", 0.75, adjust=(8800, 8800)
        )
    else:
        page.decor("ellipse", (-0.18, -0.18 * ratio, 0.42, 0.42 * ratio), "accent1@22")
        page.decor("ellipse", (0.76, 1 - 0.24 * ratio, 0.42, 0.42 * ratio), "accent2@22")
        page.decor("ellipse", (0.88, -0.08 * ratio, 0.2, 0.2 * ratio), "accent2@16")
        page.decor("ellipse", (-0.07, 1 - 0.12 * ratio, 0.2, 0.2 * ratio), "accent1@16")


def _rule(page: Page, y: float) -> None:
    ratio = page.width / page.height
    page.decor("line", (0.3, y, 0.17, 0), line="accent2", width=1.25)
    page.decor("line", (0.53, y, 0.17, 0), line="accent2", width=1.25)
    page.decor("diamond", (0.488, y - 0.012 * ratio, 0.024, 0.024 * ratio), "accent2")


def formal(page: Page, v: int) -> None:
    page.back("bg2") if v == 1 else None
    _frame(page, v)
    page.text(
        "{=You are cordially invited to|诚挚邀请您出席}", (0.15, 0.13, 0.7, 0.08), 18, "tx1", "ctr", "ctr", spc=1.5
    )
    page.place("title", (0.12, 0.23, 0.76, 0.22), 44, "{title}", "tx2", "ctr", "ctr", bold=True)
    _rule(page, 0.49)
    page.place("subtitle", (0.16, 0.525, 0.68, 0.09), 19, "{subtitle}", "tx1", "ctr", "ctr")
    page.text("{day}", (0.15, 0.65, 0.7, 0.075), 22, "tx2", "ctr", "ctr", True)
    page.text("{place}", (0.15, 0.735, 0.7, 0.065), 17, "tx1", "ctr", "ctr")
    page.text("{=Hosted by|主办人}  {name}", (0.2, 0.82, 0.6, 0.06), 15, "tx1@85", "ctr", "ctr")


def letter(page: Page, v: int) -> None:
    """Addressed to a guest, with a passage."""
    _frame(page, v)
    page.place("title", (0.12, 0.12, 0.76, 0.14), 40, "{=Invitation|邀请函}", "tx2", "ctr", "ctr", bold=True, spc=4)
    _rule(page, 0.29)
    page.text("{=Dear|尊敬的} {name}{=,|：}", (0.14, 0.335, 0.7, 0.07), 19, "tx1", anchor="ctr", bold=True)
    page.place("body", (0.14, 0.42, 0.72, 0.27), 18, ["{passage:50-90}"], "tx1", spacing=120)
    page.text(
        ["{=Date|时间}{=: |：}{day}", "{=Venue|地点}{=: |：}{place}"],
        (0.14, 0.71, 0.5, 0.16),
        16,
        "tx2",
        anchor="ctr",
        after=6,
    )
    page.text("{name}", (0.6, 0.78, 0.26, 0.08), 18, "tx1", "r", "ctr")


def band(page: Page, v: int) -> None:
    """A dark card with a light band across."""
    page.back("accent1", "accent1:80", 90)
    page.decor("rect", (0, 0.26, 1, 0.34), "bg1")
    page.decor("rect", (0, 0.245, 1, 0.006), "bg1@70")
    page.decor("rect", (0, 0.609, 1, 0.006), "bg1@70")
    page.text("{=Save the Date|敬请光临}", (0.1, 0.1, 0.8, 0.09), 24, "bg1", "ctr", "ctr", spc=3)
    page.place("title", (0.08, 0.29, 0.84, 0.18), 42, "{title}", "tx2", "ctr", "ctr", bold=True)
    page.place("subtitle", (0.12, 0.48, 0.76, 0.085), 18, "{subtitle}", "tx1", "ctr", "ctr")
    page.text("{day}", (0.1, 0.67, 0.8, 0.08), 24, "bg1", "ctr", "ctr", True)
    page.text("{place}", (0.1, 0.76, 0.8, 0.065), 18, "bg1", "ctr", "ctr")
    page.text("{=RSVP|回复请联系}  {phone}", (0.1, 0.86, 0.8, 0.055), 15, "bg1", "ctr", "ctr")


def upright(page: Page, v: int) -> None:
    """Columns from the right, as on a Chinese card; lines in English are set across by the filler's own choice."""
    _frame(page, v)
    page.place("title", (0.68, 0.14, 0.16, 0.72), 44, "{title}", "tx2", "l", "ctr", bold=True, vertical=True)
    page.decor("line", (0.655, 0.16, 0, 0.68), line="accent2", width=1.25)
    page.place(
        "body", (0.26, 0.16, 0.36, 0.68), 22, ["{sentence:10-24*2-3}"], "tx1", "l", "ctr", spacing=125, vertical=True
    )
    page.text("{name}", (0.13, 0.42, 0.08, 0.42), 18, "tx1@90", "r", "ctr", vertical=True)


PAGES = (("formal", formal), ("letter", letter), ("band", band), ("upright", upright))
