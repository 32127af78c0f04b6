"""Pages: every one of ours is drawn, told of truly, in the chosen fonts; what cannot be drawn is refused."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from html_redrawn import overlaps
from hypothesis import given
from hypothesis import strategies as st

from annotate.captions.quotes import quoted
from synth.chance import chance
from synth.fonts.book import open_book
from synth.palettes import contrast
from synth.quoting import quotable
from synth.sample import Rejected, Sample
from synth.template.html.browser import browser
from synth.template.html.drawing import drawn
from synth.template.html.html import Html
from synth.template.html.judging import SMALLEST
from synth.template.html.pages import KINDS, Page, own_pages
from synth.template.html.palette import BODY, derived, palettes
from warehouse.errors import UsageError

PAGES = own_pages()


def made(page: Page, seed: int) -> Sample:
    """The first sample of the page that is not rejected, of five."""
    for index in range(5):
        sample = Html().draw_page(page, chance(seed, page.name, index))
        if isinstance(sample, Sample):
            return sample
    pytest.fail(f"{page.name}: five rejections, the last {sample}")


def test_there_are_pages_of_every_kind() -> None:
    counts = Counter(page.kind for page in PAGES)
    assert counts["ui"] >= 8
    assert counts["poster"] >= 6
    assert counts["infographic"] >= 4
    assert counts["comic"] >= 3
    assert counts["print"] >= 5
    with pytest.raises(UsageError, match="kinds are"):
        own_pages(("cartoon",))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_drawn_and_told_of(page: Page) -> None:
    sample = made(page, 1)
    height, width = sample.image.shape[:2]
    assert 512 <= max(height, width) <= 1664
    assert sample.template == f"page:{page.name}"
    assert sample.image.std() > 5
    book = open_book()
    for text in sample.texts:
        assert text.size >= SMALLEST - 0.01
        quads = text.character_quads()
        assert quads.min() >= 0
        assert (quads.max(axis=(0, 1)) <= (width, height)).all()
        marked = "".join(text.text[a:b] for a, b in zip(text.starts, text.ends, strict=True))
        assert marked == re.sub(r"\s", "", text.text), "every character that is no blank has its box"
        names = {info.name: info for info in book.fonts}
        assert any(not book.missing(names[name].key, text.text) for name in text.fonts)
        row = text.row()
        assert row["lines"][0]["start"] == 0
        assert row["lines"][-1]["end"] == len(text.text)
    for language in ("en", "zh"):
        found = quoted(sample.captions[language])
        assert found, sample.captions[language]
        title = next((t for t in sample.texts if t.role in ("title", "quote")), None)
        assert title is None or quotable(title.text)[0] in found


def test_chromium_draws_with_the_chosen_faces_alone() -> None:
    """What it took for every text of a page, asked of Chromium itself: no silent fall-back."""
    for page in PAGES[::3]:
        composed = Html().compose(page, chance(7, page.name, 0))
        assert not isinstance(composed, Rejected)

        def fonts(session: object, composed: object = composed) -> dict[str, int]:
            drawn(session, composed)  # type: ignore[arg-type]
            return session.fonts()  # type: ignore[attr-defined, no-any-return]

        counted = browser().run(fonts)
        assert counted, page.name
        assert set(counted) <= {face.face for face in composed.faces.all()}, page.name


@pytest.mark.parametrize("name", ["ui/settings", "poster/ink", "poster/sale", "print/menu", "comic/strip", "ui/chat"])
def test_boxes_agree_with_the_ink(name: str) -> None:
    """Single characters drawn again: horizontal, vertical, rotated, at fractional scales."""
    page = next(p for p in PAGES if p.name == name)
    agreed: list[float] = []
    for index in range(4):
        composed = Html(longest=(512, 1100)).compose(page, chance(3, name, index))
        assert not isinstance(composed, Rejected)
        _, found = overlaps(composed, np.random.default_rng(index), 8)
        agreed += found
        if len(agreed) >= 8:
            break
    assert len(agreed) >= 8
    assert np.mean(agreed) >= 0.9, (name, sorted(agreed))


def test_the_same_index_gives_the_same_sample() -> None:
    strategy = Html(kinds=("poster",))
    first, again = strategy.draw(5, 3), strategy.draw(5, 3)
    assert type(first) is type(again)
    if isinstance(first, Sample) and isinstance(again, Sample):
        assert np.array_equal(first.image, again.image)
        assert [t.row() for t in first.texts] == [t.row() for t in again.texts]
        assert first.captions == again.captions


def test_settings_are_checked() -> None:
    for wrong, told in (
        (Html(languages=("fr",)), "zh and en"), (Html(mixed=2), "share"), (Html(longest=(900, 300)), "least first"),
        (Html(kinds=("comics",)), "kinds are"), (Html(longest=(256, 400)), "smallest text"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            wrong.check()
    Html().check()
    assert Html().fingerprint() != Html(kinds=("ui",)).fingerprint()
    assert set(KINDS) == {page.kind for page in PAGES}


def test_every_palette_can_be_read() -> None:
    for palette in palettes():
        c = palette.colours
        for ground in ("ground", "surface"):
            for ink in ("ink", "muted", "strong"):
                assert contrast(c[ink], c[ground]) >= BODY, (palette.english, ink, ground)
        assert contrast(c["ink"], c["soft"]) >= BODY
        for suffix in ("", "2", "3"):
            assert contrast(c[f"on-accent{suffix}"], c[f"accent{suffix}"]) >= BODY


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=3, max_size=3))
def test_any_accents_can_be_read(accents: list[tuple[int, int, int]]) -> None:
    palette = derived("any", "任意", (250, 250, 246), (255, 255, 255), (24, 24, 30), *accents)
    assert contrast(palette.colours["strong"], palette.colours["ground"]) >= BODY
    for suffix in ("", "2", "3"):
        assert contrast(palette.colours[f"on-accent{suffix}"], palette.colours[f"accent{suffix}"]) >= BODY
