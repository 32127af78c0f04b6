"""A feed's status in words."""

from __future__ import annotations

from model.feed.messages import Status
from model.feed.plans import at


def line(status: Status) -> str:
    """One line: where the run stands and what is ready."""
    if status.failure is not None:
        return f"stopped: {status.failure}"
    if status.floor is None:
        waiting = "nobody trains yet" if status.encoding is not None else "no producer yet"
        return f"{waiting}; {_held(status)}; {_count(len(status.producers), 'producer')}"
    return (
        f"step {status.floor}: {status.ready} ready of {status.window_end - status.floor + 1} ahead, "
        f"{status.missing} entries missing ({status.leased} being made); {_held(status)}; "
        f"{_count(len(status.producers), 'producer')}"
    )


def report(status: Status) -> list[str]:
    """Everything, a line each."""
    lines = [line(status)]
    encoding = status.encoding
    if encoding is not None:
        lines.append(
            f"encoding   VAE {encoding.vae} ({encoding.channels} channels, 1/{encoding.factor}, "
            f"{encoding.latent_dtype}), text {encoding.text} ({encoding.text_dtype})"
        )
    for chapter in status.chapters:
        lines.append(f"plan       from step {chapter.first}: {chapter.digest[:12]} in {chapter.folder}")
    if status.floor is not None and status.chapters:
        lines.append(f"now        plan {at(status.chapters, status.floor).digest[:12]}, planned to {status.horizon}")
    lines.append(
        f"encoded    {status.encoded} entries, {status.twice} twice, {status.lost} lost and encoded again, "
        f"{status.evicted} shards let go, {status.absent} entries that cannot be made (audit.jsonl)"
    )
    for name, step in sorted(status.consumers.items()):
        lines.append(f"consumer   {name} at step {step}")
    for one in status.producers:
        lines.append(
            f"producer   {one.name}: {one.entries} entries, {one.leased} in work, heard {one.silent_s:.0f} s ago"
        )
    return lines


def _held(status: Status) -> str:
    most = "" if status.budget is None else f" of {_size(status.budget)}"
    return f"{status.entries} entries in {_count(status.shards, 'shard')}, {_size(status.bytes)}{most}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
