"""Timetables: a school week, a day's programme, departures."""

from __future__ import annotations

from synth.template.deck.designs.builder import Page

DAYS = ("{=Monday|星期一}", "{=Tuesday|星期二}", "{=Wednesday|星期三}", "{=Thursday|星期四}", "{=Friday|星期五}")
SHORT_DAYS = ("{=Mon|周一}", "{=Tue|周二}", "{=Wed|周三}", "{=Thu|周四}", "{=Fri|周五}")
CLOCKS = ("08:00", "08:55", "10:00", "10:55", "14:00", "14:55", "16:00")


def week(page: Page, v: int) -> None:
    if v == 1:
        page.decor("rect", (0, 0, 1, 0.16), "accent1")
        page.place("title", (0.06, 0.02, 0.88, 0.12), 32, "{=Weekly Timetable|课程表}", "bg1", "ctr", "ctr", bold=True)
    else:
        page.place("title", (0.06, 0.04, 0.6, 0.12), 32, "{=Class Timetable|班级课程表}", "tx2", "l", "ctr", bold=True)
        page.text("{=Term|学期} {span}", (0.62, 0.06, 0.32, 0.08), 16, "tx1@85", "r", "ctr")
    rows = 7 if page.tall else 6
    body = [[f"{{={CLOCKS[r]}|{CLOCKS[r]}}}", *(["{subject}"] * 5)] for r in range(rows)]
    page.table(
        (0.06, 0.2, 0.88, 0.72),
        (1.1, 1, 1, 1, 1, 1),
        [["{=Time|时间}", *(SHORT_DAYS if page.tall else DAYS)], *body],
        15,
        head=f"accent{1 if v != 2 else 3}",
        band="bg2" if v != 1 else "",
        side="" if v != 2 else "bg2",
        line="tx1@30",
        across=v != 0,
    )


def programme(page: Page, v: int) -> None:
    """A day's programme, hour by hour."""
    page.place("title", (0.08, 0.05, 0.84, 0.11), 34, "{title}", "tx2", anchor="ctr", bold=True)
    page.text("{date}  {place}", (0.08, 0.16, 0.84, 0.055), 16, "tx1@85", anchor="ctr")
    count = 7 if page.tall else 5
    pitch = 0.7 / count
    page.decor("line", (0.295, 0.25, 0, 0.7 - pitch * 0.2), line="accent1@50", width=2)
    for i in range(count):
        y = 0.24 + i * pitch
        clock = f"{9 + i:02d}:{(0, 30)[i % 2]:02d}"
        page.text(
            f"{{={clock}|{clock}}}", (0.08, y, 0.17, pitch * 0.8), 22, "accent1" if v == 0 else "tx2", "r", "ctr", True
        )
        side = 0.022
        ratio = page.width / page.height
        page.decor(
            "ellipse",
            (0.295 - side / 2, y + pitch * 0.4 - side * ratio / 2, side, side * ratio),
            f"accent{1 + i % 3 if v == 2 else 2}",
        )
        page.text("{title}", (0.35, y, 0.57, pitch * 0.46), 19, "tx1", "l", "b", True)
        page.text("{name} · {place}", (0.35, y + pitch * 0.47, 0.57, pitch * 0.36), 14, "tx1@80", "l", "t")


def departures(page: Page, v: int) -> None:
    """A board of departures, light on dark."""
    page.back("tx2") if v != 1 else page.back("bg2")
    ink, mark = ("bg1", "bg1") if v != 1 else ("tx1", "tx2")
    page.place("title", (0.06, 0.04, 0.6, 0.12), 32, "{=Departures|出发时刻表}", ink, "l", "ctr", bold=True)
    page.text("{=7:45|7:45}", (0.7, 0.04, 0.24, 0.12), 32, ink, "r", "ctr", True)
    times = [f"{8 + i}:{(5, 20, 35, 50)[(i * 3 + v) % 4]:02d}" for i in range(10 if page.tall else 6)]
    rows = [[f"{{={t}|{t}}}", "{place}", "{code}", "{=On time|准点}"] for t in times]
    head = [["{=Time|时间}", "{=Destination|目的地}", "{=No.|车次}", "{=Status|状态}"]]
    page.table(
        (0.06, 0.2, 0.88, 0.72),
        (1, 2.6, 1, 1.2),
        head + rows,
        17,
        head="accent1",
        head_text="bg1",
        line=f"{ink}@30",
        colour=mark,
        across=False,
        band=f"{ink}@8",
    )


PAGES = (("week", week), ("programme", programme), ("departures", departures))
