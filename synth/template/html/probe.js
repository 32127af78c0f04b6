// Runs once in a laid-out page: waits for its faces, makes texts fit, and tells where each character stands.
// Boxes are CSS pixels of the page as laid out without transforms; each slot's matrix takes them to the page as drawn.
async ({ families, smallest }) => {
  const absent = [];
  for (const family of families) {
    const got = await document.fonts.load(`20px "${family}"`);
    if (!got.length || got.some((face) => face.status !== "loaded")) absent.push(family);
  }
  await document.fonts.ready;
  if (absent.length) return { absent };

  const root = document.documentElement;
  const slots = [...document.querySelectorAll("[data-role]")].filter((e) => e.textContent.trim());
  const chains = slots.map((slot) => {
    const chain = [];
    for (let e = slot; e; e = e.parentElement) chain.unshift(e);
    return chain;
  });

  // Transforms are set aside, not taken away: an identity keeps what they contain where it was.
  const turned = new Map();
  for (const e of new Set(chains.flat())) {
    const style = getComputedStyle(e);
    const own = style.transform !== "none";
    const perspective = style.perspective !== "none";
    if (own || perspective) turned.set(e, { style: e.getAttribute("style"), own, transform: style.transform, perspective:
      perspective ? parseFloat(style.perspective) : null, origin: style.transformOrigin, eye: style.perspectiveOrigin,
      deep: style.transformStyle === "preserve-3d" });
  }
  for (const [e, held] of turned) if (held.own) e.style.setProperty("transform", "translate(0px)", "important");

  const upright = (slot) => getComputedStyle(slot).writingMode.startsWith("vertical");
  const textRects = (slot) => {
    const range = document.createRange();
    const out = [];
    const walker = document.createTreeWalker(slot, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      if (!walker.currentNode.data.trim()) continue;
      range.selectNodeContents(walker.currentNode);
      for (const q of range.getClientRects()) if (q.width > 0 && q.height > 0) out.push(q);
    }
    return out;
  };
  // A face's ascent and descent are more than its ink: a seventh of the line on either side may leave the box.
  const inked = (q, vertical) => vertical
    ? [q.left + q.width / 7, q.top, q.right - q.width / 7, q.bottom]
    : [q.left, q.top + q.height / 7, q.right, q.bottom - q.height / 7];
  const room = (e) => {
    if (e === root || e === document.body) return [0, 0, root.clientWidth, root.clientHeight];
    const q = e.getBoundingClientRect();
    const s = getComputedStyle(e);
    return [q.left + parseFloat(s.borderLeftWidth), q.top + parseFloat(s.borderTopWidth),
      q.right - parseFloat(s.borderRightWidth), q.bottom - parseFloat(s.borderBottomWidth)];
  };
  const lines = (rects, vertical) => {
    const at = rects.map((q) => (vertical ? -q.right : q.top)).sort((a, b) => a - b);
    const high = rects.map((q) => (vertical ? q.width : q.height));
    const gap = Math.max(...high) * 0.45;
    return at.reduce((n, v, i) => n + (i === 0 || v - at[i - 1] > gap ? 1 : 0), 0);
  };
  const within = (b, r, sides) => (!sides.includes("x") || (b[0] >= r[0] - 1 && b[2] <= r[2] + 1))
    && (!sides.includes("y") || (b[1] >= r[1] - 1 && b[3] <= r[3] + 1));

  const facts = slots.map((slot, i) => {
    const style = getComputedStyle(slot);
    const size = parseFloat(style.fontSize);
    const least = Math.max(smallest, parseFloat(slot.dataset.least || size * 0.62));
    const boxes = chains[i].filter((e) => e !== slot && (e.hasAttribute("data-box") || e === document.body
      || getComputedStyle(e).overflowX !== "visible"));
    const group = slot.closest("[data-box]");
    return { slot, size, least: Math.min(least, size), vertical: upright(slot), boxes, group: group || slot,
      inline: style.display === "inline", most: parseInt(slot.dataset.lines || "0", 10) };
  });
  const alone = (f) => {
    const rects = textRects(f.slot);
    if (f.most && lines(rects, f.vertical) > f.most) return false;
    const own = room(f.slot);
    const sides = getComputedStyle(f.slot).overflowX !== "visible" ? "xy" : f.vertical ? "y" : "x";
    return f.inline || rects.every((q) => within(inked(q, f.vertical), own, sides));
  };
  const housed = (f) => textRects(f.slot).every((q) => f.boxes.every((e) => within(inked(q, f.vertical), room(e), "xy")));
  const sized = (f, ratio) => {
    const size = Math.max(f.least, Math.floor(f.size * ratio * 4) / 4);
    f.slot.style.setProperty("font-size", `${size}px`, "important");
  };
  // The largest ratio at which `good` holds, to a thirty-second of the range; false where none does.
  const shrink = (members, good) => {
    if (good()) return true;
    let low = Math.min(...members.map((f) => f.least / f.size));
    let high = 1;
    members.forEach((f) => sized(f, low));
    if (!good()) return false;
    for (let n = 0; n < 5; n++) {
      const middle = (low + high) / 2;
      members.forEach((f) => sized(f, middle));
      if (good()) low = middle; else high = middle;
    }
    members.forEach((f) => sized(f, low));
    return true;
  };
  const overflowing = [];
  for (const f of facts) if (!shrink([f], () => alone(f))) overflowing.push(f.slot.dataset.role);
  for (const f of facts) f.size = parseFloat(getComputedStyle(f.slot).fontSize);
  const groups = new Map();
  for (const f of facts) groups.set(f.group, [...(groups.get(f.group) || []), f]);
  for (const members of groups.values())
    if (!shrink(members, () => members.every(housed))) overflowing.push(members[0].slot.dataset.role);
  for (const f of facts) if (!alone(f) || !housed(f)) overflowing.push(f.slot.dataset.role);
  if (overflowing.length) return { overflowing: [...new Set(overflowing)] };

  const centre = (origin, q) => origin.split(" ").slice(0, 2).map((v, i) => parseFloat(v) + (i ? q.top : q.left));
  const about = ([x, y], matrix) => new DOMMatrix().translate(x, y).multiply(matrix).translate(-x, -y);
  const flat = (m) => new DOMMatrix([m.m11, m.m12, 0, m.m14, m.m21, m.m22, 0, m.m24, 0, 0, 1, 0, m.m41, m.m42, 0, m.m44]);
  const matrixOf = (chain) => {
    let m = new DOMMatrix();
    chain.forEach((e, i) => {
      const held = turned.get(e);
      if (!held || !held.own) return;
      const parent = i > 0 ? turned.get(chain[i - 1]) : undefined;
      if (parent && parent.perspective !== null) {
        const eye = new DOMMatrix();
        eye.m34 = -1 / parent.perspective;
        m = m.multiply(about(centre(parent.eye, chain[i - 1].getBoundingClientRect()), eye));
      }
      m = m.multiply(about(centre(held.origin, e.getBoundingClientRect()), new DOMMatrix(held.transform)));
      if (!held.deep) m = flat(m);
    });
    m = flat(m);
    return [m.m11, m.m21, m.m41, m.m12, m.m22, m.m42, m.m14, m.m24, m.m44];
  };

  const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
  const range = document.createRange();
  const texts = facts.map((f, i) => {
    const styles = [];
    const clusters = [];
    let before = "";
    const walker = document.createTreeWalker(f.slot, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.nodeType === Node.ELEMENT_NODE) {
        if (node.tagName === "BR") before = "\n";
        continue;
      }
      const style = getComputedStyle(node.parentElement);
      let block = node.parentElement;
      while (getComputedStyle(block).display === "inline") block = block.parentElement;
      styles.push({ top: block.getBoundingClientRect().top, family: style.fontFamily, size: parseFloat(style.fontSize), colour: style.color,
        language: node.parentElement.closest("[lang]")?.lang || "", vertical: f.vertical });
      for (const { segment, index } of segmenter.segment(node.data)) {
        if (!segment.trim()) {
          if (clusters.length && !before) before = " ";
          continue;
        }
        range.setStart(node, index);
        range.setEnd(node, index + segment.length);
        const q = range.getBoundingClientRect();
        clusters.push([before, segment, q.left, q.top, q.width, q.height, styles.length - 1]);
        before = "";
      }
    }
    return { role: f.slot.dataset.role, vertical: f.vertical, matrix: matrixOf(chains[i]), styles, clusters };
  });

  for (const [e, held] of turned) if (held.own) {
    if (held.style === null) e.removeAttribute("style"); else e.setAttribute("style", held.style);
    if (facts.some((f) => f.slot === e)) sized(facts.find((f) => f.slot === e), 1);
  }
  // What stands in front of a text hides it: the topmost element at each character's middle must be the slot's own.
  const hidden = [];
  texts.forEach((text, i) => {
    const m = text.matrix;
    for (const [, , x, y, w, h] of text.clusters) {
      const [u, v] = [x + w / 2, y + h / 2];
      const d = m[6] * u + m[7] * v + m[8];
      const top = document.elementFromPoint((m[0] * u + m[1] * v + m[2]) / d, (m[3] * u + m[4] * v + m[5]) / d);
      if (!top || !facts[i].slot.contains(top)) {
        hidden.push(`${text.role} under ${top ? top.tagName.toLowerCase() : "nothing"}`);
        break;
      }
    }
  });
  return { texts, hidden: [...new Set(hidden)] };
}
