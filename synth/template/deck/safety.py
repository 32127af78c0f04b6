"""Opening a deck that anyone may have sent: what is no deck, or would cost too much to read, is refused at the door.

Everything is checked from the zip's directory before a part is inflated, and once more while inflating, as a directory
may lie. XML is looked at as bytes, before a parser sees it.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import Path

from synth.template.deck.errors import DeckError
from synth.template.deck.xml import etree

LARGEST_FILE = 200 << 20
LARGEST_TOTAL = 400 << 20  # bytes of all parts, inflated
LARGEST_XML = 8 << 20  # bytes of one XML part
LARGEST_XMLS = 64 << 20  # bytes of all of them
LARGEST_RATIO = 200  # inflated over deflated, of a part that is not small
SMALL = 1 << 20
MOST_PARTS = 5000
MOST_SHAPES = 800  # on one slide; a slide that a person made has some tens
DEEPEST = 200  # elements within elements

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SHAPE = re.compile(rb"<(?:[A-Za-z0-9]+:)?(?:sp|pic|cxnSp|graphicFrame|grpSp|tc)[ >/]")
_XML = (".xml", ".rels")
_SLIDE = re.compile(r"ppt/(slides|slideLayouts|slideMasters)/[^/]+\.xml$")


def read_deck(path: str) -> bytes:
    """The bytes of a deck that is safe to parse. Raises DeckError."""
    try:
        size = Path(path).stat().st_size
        if size > LARGEST_FILE:
            raise DeckError("too large", f"{size >> 20} MB, at most {LARGEST_FILE >> 20}")
        data = Path(path).read_bytes()
    except OSError as error:
        raise DeckError("unreadable file", error.strerror or str(error)) from error
    check(data)
    return data


#: What zipfile raises on a broken archive; NotImplementedError for an unknown compression, RuntimeError for a locked
#: part.
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)


def check(data: bytes) -> None:
    """Raises DeckError where the bytes are no .pptx, or one that is not safe to parse."""
    if data.startswith(_OLE):
        sealed = "EncryptedPackage".encode("utf-16-le") in data
        raise DeckError("password protected") if sealed else DeckError("not a pptx", "an old .ppt: save it as .pptx")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_directory(archive)
            for info in archive.infolist():
                _check_part(archive, info)
            names = set(archive.namelist())
    except _BROKEN_ZIP as error:
        raise DeckError("broken zip", str(error)) from error
    if "[Content_Types].xml" not in names or not any(name.startswith("ppt/") for name in names):
        raise DeckError("not a pptx", "a zip without a presentation")


def _check_directory(archive: zipfile.ZipFile) -> None:
    infos = archive.infolist()
    if len(infos) > MOST_PARTS:
        raise DeckError("zip bomb", f"{len(infos)} parts")
    if len({info.filename for info in infos}) < len(infos):
        raise DeckError("broken zip", "two parts of one name")
    total = sum(info.file_size for info in infos)
    if total > LARGEST_TOTAL:
        raise DeckError("zip bomb", f"{total >> 20} MB inflated")
    if (xml := sum(info.file_size for info in infos if info.filename.endswith(_XML))) > LARGEST_XMLS:
        raise DeckError("too large", f"{xml >> 20} MB of XML")
    for info in infos:
        if info.flag_bits & 1:
            raise DeckError("password protected")
        if info.file_size > SMALL and info.file_size > LARGEST_RATIO * max(info.compress_size, 1):
            raise DeckError(
                "zip bomb", f"{info.filename} inflates {info.file_size // max(info.compress_size, 1)} times"
            )


def _check_part(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Inflates one part in pieces, no further than its directory entry allows, and looks at it if it is XML."""
    is_xml = info.filename.endswith(_XML)
    if is_xml and info.file_size > LARGEST_XML:
        raise DeckError("too large", f"{info.filename}: {info.file_size >> 20} MB of XML")
    read, pieces = 0, []
    with archive.open(info) as part:
        while piece := part.read(1 << 20):
            read += len(piece)
            if read > info.file_size:
                raise DeckError("zip bomb", f"{info.filename} is larger than it says")
            if is_xml:
                pieces.append(piece)
    if is_xml:
        _check_xml(info.filename, b"".join(pieces))


def _check_xml(name: str, xml: bytes) -> None:
    plain = xml
    if xml[:2] in (b"\xff\xfe", b"\xfe\xff"):
        plain = xml.decode("utf-16", "replace").encode()
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise DeckError("unsafe XML", f"{name} declares entities")
    if _SLIDE.search(name):
        count = sum(1 for _ in _SHAPE.finditer(plain))
        if count > MOST_SHAPES:
            raise DeckError("too many shapes", f"{name}: {count}, at most {MOST_SHAPES}")
    depth = 0
    try:
        for event, element in etree.iterparse(
            io.BytesIO(xml), events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=False
        ):
            depth += 1 if event == "start" else -1
            if depth > DEEPEST:
                raise DeckError("unsafe XML", f"{name}: elements {DEEPEST} deep")
            if event == "end":
                element.clear()
    except etree.XMLSyntaxError as error:
        raise DeckError("broken XML", f"{name}: {error.msg}") from error
