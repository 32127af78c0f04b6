"""Card: a dataset version as a page of Markdown with the YAML head that dataset cards on the Hugging Face hub have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from pipelines.keeping.card_facts import CardFacts, Row, gather
from pipelines.keeping.diff import find_version, versions
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources.base import words

LICENSES = words(
    "apache-2.0 mit cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 "
    "cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-nc-nd-4.0 "
    "odbl pddl odc-by unlicense"
)
SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
UNSURE = 0.8  # precision of a rule's drops whose lower bound is below this is a weak point
MOST = 40  # rows of a table


def card(lake: Lake, *, dataset: str = "main", version: str | None = None) -> str:
    """The card of a version, the last one if none is named. Raises UsageError for one that the lake does not have."""
    with lake.connect(read_only=True) as con:
        con.execute("BEGIN")
        if version is None:
            known = versions(con, dataset)
            if not known:
                raise UsageError(f"no dataset {dataset} in this lake: run glyphmill export first")
            chosen = known[-1]
        else:
            chosen = find_version(con, version, dataset)
        return render(gather(con, chosen))


def render(facts: CardFacts) -> str:
    """The page. No path of a machine is on it."""
    sections = (
        ("", _summary(facts)),
        ("Categories", _table(("category", "images", "share", "copies"), _shared(facts.categories, facts.images))),
        ("Scales", _table(("scale", "images", "copies an epoch"), facts.scales)),
        ("Aspect buckets", _table(("bucket", "images", "share", "copies"), _shared(facts.buckets, facts.images))),
        ("Captions", _captions(facts)),
        ("Licences and rights", _rights(facts)),
        ("Sources", _table(("source", "images", "first batch", "last batch", "with a URL"), facts.sources)),
        ("How it was chosen", _chosen(facts)),
        ("How it was measured", _table(("extractor", "version", "images"), facts.versions)),
        ("Known weak points", _listed(weak_points(facts))),
    )
    body = [head(facts)]
    for title, lines in sections:
        body += ([f"## {title}", ""] if title else []) + [*lines, ""]
    return "\n".join(body)


def head(facts: CardFacts) -> str:
    """The YAML head."""
    languages = [
        str(lang) for lang, *_ in facts.languages if lang and re.fullmatch(r"[a-z]{2,3}", lang) and lang != "und"
    ]
    lines = ["---", f"pretty_name: {_quoted(facts.version.dataset)}", f"license: {license_id(facts.licenses)}"]
    if languages:
        lines += ["language:", *(f"- {_quoted(lang)}" for lang in languages)]
    lines += ["task_categories:", "- text-to-image", "size_categories:", f"- {size_category(facts.images)}"]
    lines += ["tags:", "- image-text", "- glyphmill", "---", ""]
    return "\n".join(lines)


def license_id(licenses: Sequence[Row]) -> str:
    """The hub's word for the licences: one it knows, `other` for several or another, `unknown` where none is told."""
    told = {str(name).strip().lower().replace(" ", "-") for name, *_ in licenses if name}
    if not told:
        return "unknown"
    (first, *more) = sorted(told)
    return first if not more and first in LICENSES and all(name for name, *_ in licenses) else "other"


def size_category(images: int) -> str:
    """The hub's word for a number of samples."""
    if images < 1000:
        return "n<1K"
    for n, (low, high) in enumerate(pairwise(SIZES)):
        if images < 1000 * 10 ** (n + 1):
            return f"{low}<n<{high}"
    return "n>1T"


def weak_points(facts: CardFacts) -> Iterator[str]:
    """What a user should know before trusting the data, as far as the lake can tell."""
    whole = max(1, facts.images)

    def told(images: int, what: str) -> Iterator[str]:
        if images:
            yield f"{images:,} images ({images / whole:.1%}) {what}"

    yield from told(_of(facts.licenses, None), "come without a licence")
    yield from told(facts.opted_out, "are of rights holders who opted out: no rule of the recipe drops these")
    yield from told(facts.without_caption, "have no caption")
    yield from told(_of(facts.categories, None), "have no category")
    yield from told(_of(facts.languages, "und"), "have a caption whose language is not known")
    pending = _of(facts.outcomes, "pending")
    if pending:
        yield f"{pending:,} images of the lake wait for a signal that a rule needs, and are not judged yet"
    mixed = sorted({e for e, *_ in facts.versions if sum(e == other for other, *_ in facts.versions) > 1})
    if mixed:
        yield f"measured by more than one version: {', '.join(mixed)}; thresholds were set for one"
    audited = {rule for rule, *_ in facts.precision}
    for rule, judged, right, _, low, _ in facts.precision:
        if low < UNSURE:
            yield f"rule {rule}: of {judged} drops that people looked at {right} are right"
    unaudited = [rule.name for rule in facts.rules if rule.name not in audited]
    if unaudited:
        yield f"{len(unaudited)} of {len(facts.rules)} rules were never audited by a person"
    if facts.breached:
        more = f" and {len(facts.breached) - 5} more" if len(facts.breached) > 5 else ""
        yield f"drifted past a limit in the last batch that was watched: {', '.join(facts.breached[:5])}{more}"


def _summary(facts: CardFacts) -> list[str]:
    formats = ", ".join(f"{count:,} {kind or 'unknown'}" for kind, count in facts.formats)
    return [
        f"# {facts.version.dataset}",
        "",
        f"{facts.images:,} images with captions for text-to-image training, {facts.bytes:,} bytes ({formats}). "
        f"Version `{facts.version.version}`, chosen by recipe {facts.recipe or 'unknown'} "
        f"(`{facts.version.recipe or 'unknown'}`). Every figure on this page was counted by `glyphmill card`.",
    ]


def _captions(facts: CardFacts) -> list[str]:
    return [
        *_table(("language", "images", "captions"), facts.languages),
        "",
        *_table(("kind", "images", "captions"), facts.kinds),
    ]


def _rights(facts: CardFacts) -> list[str]:
    return [
        *_table(("licence", "images", "share"), ((n, c, f"{c / max(1, facts.images):.1%}") for n, c in facts.licenses)),
        "",
        f"Opted out: {facts.opted_out_in_lake:,} images of the lake, {facts.opted_out:,} of them in this version. "
        f"Taken down: {facts.forgotten:,} images, never admitted again.",
    ]


def _chosen(facts: CardFacts) -> list[str]:
    names: dict[int, str] = dict(facts.stages)
    rules = (
        (f"{rule.stage} {names.get(rule.stage, '')}", rule.name, f"`{rule.predicate}`", rule.doc, rule.applies_to)
        for rule in facts.rules
    )
    told = _table(("stage", "rule", "keeps where", "about", "applies to"), rules, most=None)
    if facts.funnel:
        steps = ((stage if stage is not None else "", *rest) for stage, *rest in facts.funnel)
        return [*told, "", *_table(("stage", "step", "in", "dropped", "pending", "out"), steps)]
    return [*told, "", *_table(("outcome", "images"), facts.outcomes)]


def _shared(rows: Sequence[Row], whole: int) -> Iterator[Row]:
    return ((name, count, f"{count / max(1, whole):.1%}", copies) for name, count, copies in rows)


def _table(heads: Sequence[str], rows: Iterable[Row], most: int | None = MOST) -> list[str]:
    listed = list(rows)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in listed[:most]]
    if most is not None and len(listed) > most:
        lines += ["", f"and {len(listed) - most} more"]
    return lines


def _cell(value: object) -> str:
    if value is None:
        return "not told"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}"
    return " ".join(str(value).split()).replace("|", "\\|")


def _listed(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines] or ["None that the lake knows of."]


def _of(rows: Sequence[Row], name: object) -> int:
    return int(next((count for found, count, *_ in rows if found == name), 0))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
