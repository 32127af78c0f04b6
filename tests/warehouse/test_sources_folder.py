"""A folder of images: sidecars, caption tables, and that nothing in it disappears."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from deliveries import by_name, deliver, fill, picture, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.sources import Unit, folder, open_source, read


def test_sidecars(tmp_path: Path) -> None:
    record = {"caption": "fields", "fused_caption": "both", "url": "http://a/b", "licence": "CC0", "opt_out": "false",
              "date": "2024-05-01", "n": 3, "deep": {"list": [1, None, "x"]}}  # fmt: skip
    fill(
        tmp_path,
        {
            "a.png": picture(1),
            "a.txt": "a line\nand another\n",
            "a.json": json.dumps(record),
            "b.jpg": picture(2, "JPEG"),
            "b.jpg.txt": "the whole name",
            "b.zh.txt": "一只猫",
            "b.recaption.txt": "long",
            "deep/er/c.webp": picture(3, "WEBP"),
            "deep/er/c.caption": "from a .caption",
        },
    )
    got = by_name(deliver(tmp_path))
    a, b, c = got["a.png"], got["b.jpg"], got["c.webp"]
    assert len(got) == 3
    assert texts(a) == [("raw", "fields", "und"), ("fused", "both", "und"), ("raw", "a line\nand another", "und")]
    assert (a.source_url, a.license, a.opt_out, a.collected_at) == ("http://a/b", "CC0", False, "2024-05-01")
    assert a.extra == {"n": 3, "deep": {"list": [1, None, "x"]}}
    assert sorted(texts(b)) == [("raw", "the whole name", "und"), ("raw", "一只猫", "zh"), ("recaption", "long", "und")]
    assert texts(c) == [("raw", "from a .caption", "und")]
    assert (a.row, a.offset, a.length, a.data) == (0, 0, len(picture(1)), picture(1))


@pytest.mark.parametrize("name", ["captions.csv", "metadata.csv", "captions.tsv", "captions.jsonl", "metadata.jsonl"])
def test_caption_tables(tmp_path: Path, name: str) -> None:
    rows = [
        {"file_name": "a.png", "text": 'one, "two"\nthree', "license": "CC-BY", "score": "0.5"},
        {"file_name": "sub/b.png", "text": "第二张图片", "license": "", "score": ""},
        {"file_name": "gone.png", "text": "never came", "license": "", "score": ""},
    ]
    if name.endswith("jsonl"):
        table = "".join(json.dumps(r) + "\n" for r in rows)
    else:
        import csv
        import io

        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]), delimiter="\t" if name.endswith("tsv") else ",")
        writer.writeheader()
        writer.writerows(rows)
        table = out.getvalue()
    fill(tmp_path, {"a.png": picture(1), "sub/b.png": picture(2), "sub/c.png": picture(3), name: table})
    got = by_name(deliver(tmp_path))
    assert got.keys() == {"a.png", "b.png", "c.png", "gone.png"}
    assert texts(got["a.png"]) == [("raw", 'one, "two"\nthree', "und")]
    assert got["a.png"].captions[0].origin == f"{name}:text"
    assert got["a.png"].license == "CC-BY"
    assert got["a.png"].extra == {"file_name": "a.png", "score": "0.5"}
    assert texts(got["b.png"]) == [("raw", "第二张图片", "zh")]
    assert got["c.png"].captions == ()
    gone = got["gone.png"]
    assert (gone.data, gone.length, gone.error) == (None, None, f"missing: {name} names it")
    assert texts(gone) == [("raw", "never came", "und")]


def test_a_table_in_a_sub_folder_and_one_above_it(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "x/a.png": picture(1),
            "captions.csv": "file,caption\nx/a.png,above\n",
            "x/metadata.jsonl": '{"file_name": "./a.png", "caption": "beside"}\n',
        },
    )
    (sample,) = deliver(tmp_path)
    assert sorted(texts(sample)) == [("raw", "above", "und"), ("raw", "beside", "und")]


def test_several_rows_of_one_image_are_several_captions(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": picture(1), "captions.csv": "file_name,caption\na.png,one\na.png,two\n"})
    (sample,) = deliver(tmp_path)
    assert [t for _, t, _ in texts(sample)] == ["one", "two"]


def test_broken_rows_are_told_and_the_others_read(tmp_path: Path) -> None:
    lines = ['{"file_name": "a.png", "text": "fine"}', '{"file_name": "b.png"', '{"text": "whose?"}', "[1]"]
    fill(tmp_path, {"a.png": picture(1), "b.png": picture(2), "captions.jsonl": "\n".join(lines)})
    samples = deliver(tmp_path)
    assert [s.error for s in samples if s.data is not None] == [None, None]
    broken = [s for s in samples if s.data is None]
    assert [s.row for s in broken] == [1, 2, 3]
    assert all(s.error is not None and s.error.startswith(f"caption table: row {s.row} of captions") for s in broken)


def test_an_open_quote_does_not_swallow_the_table(tmp_path: Path) -> None:
    table = 'file_name,caption\na.png,6" ruler\nb.png,"fine, ""quoted"""\n'
    fill(tmp_path, {"a.png": picture(1), "b.png": picture(2), "captions.csv": table})
    got = by_name(deliver(tmp_path))
    assert texts(got["a.png"]) == [("raw", '6" ruler', "und")]
    assert texts(got["b.png"]) == [("raw", 'fine, "quoted"', "und")]


def test_bad_sidecars_never_cost_the_image(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "gbk.png": picture(1),
            "gbk.txt": "红色的花在桌子上".encode("gbk"),
            "bom.png": picture(2),
            "bom.txt": "\ufeffmarked",
            "latin.png": picture(3),
            "latin.txt": "un café".encode("latin-1"),
            "broken.png": picture(4),
            "broken.json": '{"caption": "cut',
            "empty.png": picture(5),
            "empty.txt": "",
        },
    )
    got = by_name(deliver(tmp_path))
    assert all(s.error is None and s.data is not None for s in got.values())
    assert texts(got["gbk.png"]) == [("raw", "红色的花在桌子上", "zh")]
    assert got["gbk.png"].extra == {"sidecar_encoding": "gb18030"}
    assert texts(got["bom.png"]) == [("raw", "marked", "und")]
    assert got["latin.png"].captions == ()
    assert "latin.txt: neither UTF-8" in str(got["latin.png"].extra["sidecar_error"])
    assert got["latin.png"].extra["sidecar_latin1"] == "un café"
    assert "broken.json: not JSON" in str(got["broken.png"].extra["sidecar_error"])
    assert got["broken.png"].extra["sidecar_text"] == '{"caption": "cut'
    assert got["empty.png"].captions == ()


def test_what_is_no_image_is_a_row_and_litter_is_not(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "a.png": picture(1),
            "empty.png": b"",
            "README.md": "read me",
            "no_suffix": b"\1\2",
            "orphan.txt": "whose caption is this",
            "scores.csv": "a,b\n1,2\n",
            ".DS_Store": "x",
            "Thumbs.db": "x",
            "__MACOSX/a.png": picture(1),
            ".git/config": "x",
        },
    )
    got = by_name(deliver(tmp_path))
    assert got.keys() == {"a.png", "empty.png", "README.md", "no_suffix", "orphan.txt", "scores.csv"}
    assert got["empty.png"].data == b""
    assert got["orphan.txt"].error == "unsupported: a .txt with no image beside it"
    assert got["README.md"].data == b"read me"


def test_links_pipes_and_vanished_files(tmp_path: Path) -> None:
    target = fill(tmp_path / "elsewhere", {"t.png": picture(9)})
    root = fill(tmp_path / "root", {"a.png": picture(1), "gone.png": picture(2), "later.png": picture(3)})
    (root / "loop").symlink_to(root)
    (root / "linked").symlink_to(target)
    (root / "broken.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(root / "pipe.png")
    units = list(open_source(str(root)).units())
    (root / "gone.png").unlink()
    (root / "later.png").write_bytes(picture(4))
    got = by_name(s for u in units for s in read(u))
    assert got.keys() == {"a.png", "gone.png", "later.png", "t.png", "broken.png", "pipe.png"}
    errors = {name: s.error.split(":")[0] for name, s in got.items() if s.error}
    assert errors == {"gone.png": "read", "later.png": "changed", "broken.png": "read", "pipe.png": "unsupported"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": picture(1), "b.png": picture(2), "sub/c.png": picture(3)})
    (tmp_path / "b.png").chmod(0)
    (tmp_path / "sub").chmod(0)
    try:
        got = by_name(deliver(tmp_path))
    finally:
        (tmp_path / "sub").chmod(0o755)
    assert got["b.png"].error == got["sub"].error == "read: permission denied"
    assert got["a.png"].error is None


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(path, "wb") as file:
        file.write(picture(1))
    (sample,) = deliver(tmp_path)
    assert sample.data == picture(1)
    assert sample.uri.encode().startswith(b"file:///")


def test_rows_may_name_files_by_number(tmp_path: Path) -> None:
    fill(tmp_path, {"007.png": picture(7), "8.png": picture(8)})
    fill(
        tmp_path, {"captions.csv": "ID,Caption\n007,seven\n9,nine\n", "metadata.jsonl": '{"id": 8, "text": "eight"}\n'}
    )
    got = by_name(deliver(tmp_path))
    assert {name: [t for _, t, _ in texts(s)] for name, s in got.items()} == {
        "007.png": ["seven"],
        "8.png": ["eight"],
        "9": ["nine"],
    }


def test_odd_names_in_a_table(tmp_path: Path) -> None:
    odd = ["http://a/b.jpg", "/etc/passwd", "../../x.png", "a\0b", "\ud800", "x" * 5000, ".", "", " "]
    lines = "\n".join(json.dumps({"file_name": name, "text": "t"}) for name in odd)
    fill(tmp_path, {"a.png": picture(1), "captions.jsonl": lines})
    samples = deliver(tmp_path)
    assert len(samples) == 1 + len(odd)
    assert all(s.uri.encode() and (s.data is None) == (s.error is not None) for s in samples)


def test_a_table_that_names_no_files_is_one_error_row(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": picture(1), "labels.csv": "class;count\n1;2\n3;4\n"})
    got = by_name(deliver(tmp_path))
    assert got["a.png"].error is None
    assert (got["labels.csv"].error or "").startswith("caption table: no column names the files; looked for file_name")


def test_one_file(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": picture(1), "b.png": picture(2), "a.txt": "one", "a.x.y.txt": "?", "b.txt": "two"})
    (sample,) = deliver(tmp_path / "a.png")
    assert sample.data == picture(1)
    assert sample.uri == str(tmp_path / "a.png")
    assert texts(sample) == [("raw", "one", "und")]
    assert deliver(f"file://{tmp_path}/a.png") == [sample]


def _units(root: Path, max_samples: int = 64) -> list[Unit]:
    return list(open_source(str(root)).units(max_samples))


def test_a_new_file_alters_one_unit(tmp_path: Path) -> None:
    names = [f"{i:04}.png" for i in range(1000)]
    table = "file_name,caption\n" + "".join(f"{n},caption of {n}\n" for n in names)
    fill(tmp_path, dict.fromkeys(names, b"x") | {"captions.csv": table})
    before = {u.key for u in _units(tmp_path)}
    assert len(before) >= 1000 / 64
    fill(tmp_path, {"0500a.png": b"y", "captions.csv": table + "0500a.png,new\n"})
    after = {u.key for u in _units(tmp_path)}
    assert len(after - before) <= 2  # the one it fell in, perhaps cut in two
    fill(tmp_path, {"captions.csv": table.replace("caption of 0900", "Caption of 0900") + "0500a.png,new\n"})
    assert len({u.key for u in _units(tmp_path)} - after) == 1


@settings(max_examples=25, deadline=None)
@given(st.sets(st.text("abcdef/", min_size=1, max_size=6), min_size=1, max_size=60), st.integers(1, 20))
def test_samples_do_not_depend_on_units(tmp_path_factory: pytest.TempPathFactory, names: set[str], size: int) -> None:
    root = tmp_path_factory.mktemp("root")
    paths = sorted({"/".join(f"d{p}" for p in n.split("/") if p) or "d" for n in names})
    fill(root, {f"{p}/i.png": p for p in paths} | {f"{p}/i.txt": p for p in paths[::2]})
    whole = deliver(root)
    assert deliver(root, size) == whole
    assert {s.uri[len(str(root)) + 1 :] for s in whole} == {f"{p}/i.png" for p in paths}
    assert all(u.stop - u.start <= size for u in _units(root, size))


def test_listing_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"a.png": picture(1), "a.txt": "x"})
    monkeypatch.setattr(folder, "read_file", lambda _: pytest.fail("an image was read"))
    assert len(_units(tmp_path)) == 1


def test_real_photographs(shared_data: Path) -> None:
    root = shared_data / "photos_captioned"
    told = [json.loads(line) for line in (root / "captions.jsonl").read_text().splitlines()]
    got = {s.uri[len(str(root)) + 1 :]: s for s in deliver(root)}
    assert {r["file"] for r in told} <= got.keys()
    for record in told:
        sample = got[record["file"]]
        assert sample.data == (root / record["file"]).read_bytes()
        delivered = {(c.text, c.lang) for c in sample.captions}
        assert delivered == {(t, "en") for t in record["captions_en"]} | {(t, "zh") for t in record["captions_zh"]}
        fields = {k: v for k, v in record.items() if k not in ("captions_en", "captions_zh", "license") and v != []}
        assert sample.license == record["license"]
        assert sample.extra.items() >= fields.items()


def test_every_broken_file_is_one_row(shared_data: Path) -> None:
    root = shared_data / "broken"
    files = {str(p) for p in root.rglob("*") if p.is_file() and p.name != "manifest.jsonl"}
    got = deliver(root)
    assert {s.uri for s in got} == files
    assert all("verdict" in s.extra for s in got)
