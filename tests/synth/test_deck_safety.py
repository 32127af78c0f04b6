"""Decks that nobody should open: refused with a reason, in bounded time and memory, and never a crash."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pptx")

from synth.template.deck.designs.catalogue import whole_deck
from synth.template.deck.errors import DeckError
from synth.template.deck.read import read_scene
from synth.template.deck.safety import check
from synth.template.deck.source import from_bytes

MEMORY, SECONDS = 700 << 20, 20
#: Opens decks one after the other in a process that may not have more memory, and prints the reason of each.
OPEN = """
import json, resource, sys
from synth.template.deck.source import from_file
from synth.template.deck.read import read_scene
from synth.template.deck.errors import DeckError
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
out = {}
for path in sys.argv[2:]:
    try:
        source = from_file(path, "deck")
        for page in range(source.pages):
            read_scene(source.sheets(page))
        out[path] = "opened"
    except DeckError as error:
        out[path] = error.reason
print(json.dumps(out))
"""


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(held: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    return out.getvalue()


def changed(name: str, change: Callable[[bytes], bytes]) -> bytes:
    held = parts(whole_deck(0, "16:9", 0, 0))
    held[name] = change(held[name])
    return zipped(held)


SLIDE = "ppt/slides/slide1.xml"
SHAPE = b'<p:sp><p:nvSpPr><p:cNvPr id="9" name="x"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/></p:sp>'


def many_shapes(xml: bytes) -> bytes:
    return xml.replace(b"</p:spTree>", SHAPE * 10_000 + b"</p:spTree>")


def entities(xml: bytes) -> bytes:
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 10))
    head, body = xml.split(b"?>", 1)
    return (
        head + b'?><!DOCTYPE x [<!ENTITY l0 "lol">' + laughs + b"]>" + body.replace(b"<p:spTree>", b"<p:spTree>&l9;", 1)
    )


def deep(xml: bytes) -> bytes:
    return xml.replace(b"</p:spTree>", b"<p:extLst>" * 5000 + b"</p:extLst>" * 5000 + b"</p:spTree>")


def bomb() -> bytes:
    held = parts(whole_deck(0, "16:9", 0, 0))
    held["ppt/media/image1.png"] = bytes(64 << 20)
    return zipped(held)


def lying_bomb() -> bytes:
    """The directory says that a part is small; inflating it says otherwise."""
    data = bytearray(zipped({**parts(whole_deck(0, "16:9", 0, 0)), "ppt/media/image1.png": bytes(30 << 20)}))
    size = (30 << 20).to_bytes(4, "little")
    at = data.rfind(size)
    data[at : at + 4] = (1000).to_bytes(4, "little")
    return bytes(data)


def without(name: str) -> bytes:
    held = parts(whole_deck(0, "16:9", 0, 0))
    del held[name]
    return zipped(held)


def missing_media() -> bytes:
    picture = (
        b'<p:pic><p:nvPicPr><p:cNvPr id="9" name="x"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill>'
        b'<a:blip r:embed="rId99"/><a:stretch/></p:blipFill><p:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/>'
        b'</a:xfrm></p:spPr></p:pic>'
    )  # fmt: skip
    return changed(SLIDE, lambda xml: xml.replace(b"</p:spTree>", picture + b"</p:spTree>"))


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
BAD: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "zip bomb": (bomb, {"zip bomb"}),
    "a directory that lies": (lying_bomb, {"zip bomb", "broken zip"}),
    "ten thousand shapes": (lambda: changed(SLIDE, many_shapes), {"too many shapes"}),
    "entities": (lambda: changed(SLIDE, entities), {"unsafe XML"}),
    "elements within elements": (lambda: changed(SLIDE, deep), {"unsafe XML", "broken XML"}),
    "broken XML": (lambda: changed(SLIDE, lambda xml: xml[: len(xml) // 2]), {"broken XML"}),
    "no theme's colours": (
        lambda: changed("ppt/theme/theme1.xml", lambda xml: xml.replace(b"a:dk1>", b"a:dk9>")),
        {"broken theme"},
    ),
    "missing media": (missing_media, {"missing media"}),
    "missing relations": (lambda: without("ppt/slides/_rels/slide1.xml.rels"), {"broken deck"}),
    "missing presentation": (lambda: without("ppt/presentation.xml"), {"broken deck", "not a pptx"}),
    "missing slide": (lambda: without(SLIDE), {"broken deck"}),
    "encrypted": (lambda: OLE + "EncryptedPackage".encode("utf-16-le") + bytes(99), {"password protected"}),
    "old ppt": (lambda: OLE, {"not a pptx"}),
    "another zip": (lambda: zipped({"word/document.xml": b"<x/>"}), {"not a pptx"}),
    "no zip": (lambda: b"hello", {"broken zip"}),
    "empty": (lambda: b"", {"broken zip"}),
    "cut short": (lambda: whole_deck(0, "16:9", 0, 0)[:9000], {"broken zip"}),
}  # fmt: skip


def test_bad_decks_are_refused_in_bounded_memory_and_time(tmp_path: Path) -> None:
    paths = {}
    for number, (make, _) in enumerate(BAD.values()):
        paths[str(number)] = tmp_path / f"{number}.pptx"
        paths[str(number)].write_bytes(make())
    told = subprocess.run(
        [sys.executable, "-c", OPEN, str(MEMORY), *map(str, paths.values())],
        capture_output=True, text=True, timeout=SECONDS * 3, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    reasons = json.loads(told.stdout)
    for number, (name, (_, wanted)) in enumerate(BAD.items()):
        assert reasons[str(paths[str(number)])] in wanted, name


def test_a_sound_deck_passes() -> None:
    data = whole_deck(0, "16:9", 0, 0)
    check(data)
    source = from_bytes(data, "report")
    assert source.pages == 11
    for page in range(source.pages):
        assert read_scene(source.sheets(page)).frames


@pytest.mark.parametrize("cut", [3, 7, 11, 19])
def test_bytes_changed_anywhere_never_crash(cut: int) -> None:
    """Every so many bytes of the slide's XML one is replaced: read, or refused with a reason."""
    held = parts(whole_deck(1, "4:3", 1, 1))
    xml = held[SLIDE]
    for at in range(cut, len(xml), max(len(xml) // 12, 1)):
        data = zipped({**held, SLIDE: xml[:at] + b"9" + xml[at + 1 :]})
        with contextlib.suppress(DeckError):
            read_scene(from_bytes(data, "deck").sheets(0))
