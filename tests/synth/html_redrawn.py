"""Draws single characters of a page again, alone, to see where their ink is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.geometry import apply
from synth.placed import Placed
from synth.sample import Rejected
from synth.template.html.browser import Session, browser
from synth.template.html.drawing import Composed, drawn
from synth.template.html.judging import judged

#: All texts become invisible; one character is shown as a highlight, which changes neither DOM nor layout.
HIDE = """() => {
  const s = document.createElement('style');
  s.textContent = `html *, html *::before, html *::after {
      background: none !important; border-color: transparent !important; box-shadow: none !important;
      text-shadow: none !important; outline-color: transparent !important; opacity: 1 !important;
      filter: none !important; color: transparent !important; }
    html, body { background: #fff !important; }
    svg, img { visibility: hidden !important; }
    ::highlight(one) { color: #000 !important; }`;
  document.head.append(s);
}"""
SHOW = """([slot, number]) => {
  const slots = [...document.querySelectorAll('[data-role]')].filter((e) => e.textContent.trim());
  const walker = document.createTreeWalker(slots[slot], NodeFilter.SHOW_TEXT);
  let n = -1;
  CSS.highlights.clear();
  while (walker.nextNode()) {
    for (const { segment, index } of new Intl.Segmenter('und').segment(walker.currentNode.data)) {
      if (!segment.trim() || ++n !== number) continue;
      const range = document.createRange();
      range.setStart(walker.currentNode, index);
      range.setEnd(walker.currentNode, index + segment.length);
      CSS.highlights.set('one', new Highlight(range));
      return segment;
    }
  }
  return null;
}"""


def overlaps(made: Composed, rng: np.random.Generator, most: int) -> tuple[Rejected | tuple[Placed, ...], list[float]]:
    """The page's truth, and of up to `most` characters how well their boxes agree with their ink (IoU of bounds)."""

    def job(session: Session) -> tuple[Rejected | tuple[Placed, ...], list[float]]:
        told, image = drawn(session, made)
        texts = judged(told, image, made.faces, made.document.scale)
        if isinstance(texts, Rejected):
            return texts, []
        session.evaluate(HIDE)
        found = []
        everything = [(i, k) for i, text in enumerate(texts) for k in range(len(text.starts))]
        for chosen in rng.permutation(len(everything))[:most]:
            slot, k = everything[chosen]
            text = texts[slot]
            number = len("".join(text.text[: text.starts[k]].split()))  # every cluster here is one code point
            shown = session.evaluate(SHOW, [slot, number])
            assert shown == text.text[text.starts[k] : text.ends[k]]
            found.append(_iou(session.picture(), text, k))
        return texts, found

    return browser().run(job)


def _iou(image: NDArray[np.uint8], text: Placed, k: int) -> float:
    """Of the box with the bounds of the ink, in the plane of the boxes: where nothing is turned, the image's pixels."""
    rows, columns = np.nonzero(image.min(axis=2) < 245)
    if not len(rows):
        return 0.0
    back = np.linalg.inv(text.to_image)
    middles = apply(back, np.stack([columns + 0.5, rows + 0.5], axis=1))
    at = middles.mean(axis=0)
    beside = apply(text.to_image, at + np.array([[0, 0], [1, 0], [0, 1]]))
    half = 0.5 / np.sqrt(abs(np.linalg.det(beside[1:] - beside[0])))
    ink = np.array([*middles.min(axis=0) - half, *middles.max(axis=0) + half])
    box = text.boxes[k].astype(float)
    low, high = np.maximum(ink[:2], box[:2]), np.minimum(ink[2:], box[2:])
    common = np.prod(np.maximum(high - low, 0))
    return float(common / (np.prod(ink[2:] - ink[:2]) + np.prod(box[2:] - box[:2]) - common))
