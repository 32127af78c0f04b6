"""What balance asks for: deficits as rows of `actions`, which synthesis and mining read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipelines.balancing.quota import Plan
from warehouse.parts import key

ASKER = "balance"
Row = dict[str, object]


def requests(
    recipe: str,
    plan: Plan,
    supply: Mapping[str, int],
    track_deficits: Mapping[str, tuple[int, int]],
    rare: Mapping[int, tuple[tuple[str, int], ...]],
    minimum: int,
) -> list[Row]:
    """Augmentation requests of one recipe, leaves first by how much they lack, then tracks, then characters.

    `track_deficits`: (wanted, there) of each track that lacks images. `rare`: characters of each level with the images
    that show them, all below `minimum`. An action's id says what was asked for and what was there: the same question is
    never asked twice, and a deficit that shrank but stayed is asked anew.
    """
    found: list[Row] = []
    for leaf, lacking in sorted(plan.deficits.items(), key=lambda item: (-item[1], item[0])):
        reason = f"{leaf} has {supply.get(leaf, 0):,} images of a quota of {plan.quotas[leaf]:,}"
        found.append(_row(recipe, reason, lacking, category=leaf, there=supply.get(leaf, 0)))
    for track, (wanted, there) in sorted(track_deficits.items()):
        reason = f"the {track} track has {there:,} images of at least {wanted:,}"
        found.append(_row(recipe, reason, wanted - there, track=track, there=there))
    for level, characters in sorted(rare.items()):
        if characters:
            listed = [c for c, _ in sorted(characters, key=lambda item: (item[1], item[0]))]
            there = sum(images for _, images in characters)
            reason = f"{len(listed):,} characters of level {level} are in fewer than {minimum:,} images each"
            lacking = len(listed) * minimum - there
            found.append(_row(recipe, reason, lacking, track="text", characters=listed, there=there))
    return found


def _row(
    recipe: str,
    reason: str,
    wanted: int,
    *,
    there: int,
    category: str | None = None,
    track: str | None = None,
    characters: Iterable[str] = (),
) -> Row:
    characters = list(characters)
    return {
        "action_id": key("augment", recipe, category, track, characters, wanted, there)[:16],
        "kind": "augment",
        "category": category,
        "track": track,
        "characters": characters,
        "wanted": wanted,
        "reason": reason,
        "recipe": recipe,
        "created_by": ASKER,
        "status": "open",
    }
