"""`glyphmill sample`: pictures, their metadata and the sheet; what is asked wrongly is told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import here
from PIL import Image
from tiny_checkpoint import tiny_components

from warehouse.errors import UsageError

torch = pytest.importorskip("torch")

from model.components import save  # noqa: E402
from model.contact import contact_sheet, numbered, read_picture, read_prompts, size_of  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save(tiny_components(), made)
    return made


def sampled(folder: Path, out: Path, *more: object) -> list[np.ndarray]:
    done = here("sample", "--model", folder, "--out", out, "--size", "32x48", "--steps", 2, *more)
    assert done.returncode == 0, done.stderr
    return [np.asarray(Image.open(path)) for path in sorted(out.glob("*-*.png"))]


def test_pictures_tell_what_they_are_of(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "prompts.txt"
    listed.write_text("A sign “永”.\n\nanother\n", encoding="utf-8")
    out = tmp_path / "out"
    found = sampled(folder, out, "--prompt", "a first", "--prompts", listed, "--count", 2, "--seed", 7)
    assert [p.name for p in sorted(out.iterdir())] == [
        *(f"{prompt:03d}-{number:03d}.png" for prompt in range(3) for number in range(2)), "sheet.png",
    ]  # fmt: skip
    assert {picture.shape for picture in found} == {(48, 32, 3)}
    assert len({picture.tobytes() for picture in found}) == 6
    told = Image.open(out / "001-001.png").text
    assert told.pop("model").startswith("tiny ")
    assert told == {
        "prompt": "A sign “永”.", "negative": " ", "seed": "7", "number": "1", "size": "32x48", "steps": "2",
        "guidance": "4", "references": "0",
    }  # fmt: skip
    assert np.array_equal(np.asarray(Image.open(out / "sheet.png")), contact_sheet(found, 2))


def test_a_picture_is_the_same_in_any_company(folder: Path, tmp_path: Path) -> None:
    many = sampled(folder, tmp_path / "many", "-p", "x", "-p", "y", "--count", 3, "--batch", 4)
    few = sampled(folder, tmp_path / "few", "-p", "y", "--count", 2, "--batch", 1)
    for one, other in zip(few, many[3:5], strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    assert not np.array_equal(many[0], many[3])


def test_settings_change_the_picture(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 60), (200, 30, 30)).save(tmp_path / "red.png")
    ways: list[tuple[object, ...]] = [
        (), ("--seed", 1), ("--guidance", 1), ("--no-rescale",), ("--lightning",), ("--negative", "ugly"),
        ("--reference", tmp_path / "red.png"),
    ]  # fmt: skip
    found = {}
    for number, way in enumerate(ways):
        (picture,) = sampled(folder, tmp_path / str(number), "-p", "x", *way)
        found[picture.tobytes()] = way
    assert len(found) == len(ways)


def test_a_run_goes_on_where_it_was_stopped(folder: Path, tmp_path: Path) -> None:
    out, more = tmp_path / "out", ("-p", "x", "-p", "y", "--count", 2)
    whole = sampled(folder, out, *more)
    (out / "001-000.png").unlink()
    (out / "sheet.png").unlink()
    kept = (out / "000-000.png").stat().st_mtime_ns
    for one, other in zip(sampled(folder, out, *more), whole, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    assert (out / "000-000.png").stat().st_mtime_ns == kept
    assert (out / "sheet.png").exists()


def test_pictures_of_another_run_are_never_overwritten(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sampled(folder, out, "-p", "x")
    before = {path: path.read_bytes() for path in out.iterdir()}
    base = ("sample", "--model", folder, "--out", out, "--size", "32x48", "--steps", 2)
    for change in (("-p", "y"), ("-p", "x", "--seed", 1), ("-p", "x", "--steps", 3), ("-p", "x", "--lightning")):
        done = here(*base, *change)
        assert done.returncode == 2, change
        assert "000-000.png exists already and is of something else: name another --out" in done.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_large_pictures_are_small_on_the_sheet() -> None:
    wide = np.zeros((400, 1000, 3), np.uint8)
    assert contact_sheet([wide] * 3, 2).shape == (2 * 154 + 2, 2 * 384 + 2, 3)


def test_a_sheet_alone(folder: Path, tmp_path: Path) -> None:
    done = here("sample", "-m", folder, "-o", tmp_path / "all.png", "-p", "x", "--size", "1:1@32", "--steps", 1)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["all.png"]
    assert Image.open(tmp_path / "all.png").size == (32, 32)


def test_a_dry_run_draws_nothing(folder: Path, tmp_path: Path) -> None:
    done = here("sample", "-m", folder, "-o", tmp_path / "out", "-p", "x", "-n", 3, "--size", "32x32", "--dry-run")
    assert done.returncode == 0
    assert "1 prompts x 3 = 3 pictures of 32x32" in done.stdout
    assert "50 steps, 300 evaluations" in done.stdout
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_is_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.png").write_bytes(b"x")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n{"text": "b"}\n')
    base = {"--model": folder, "--out": tmp_path / "out", "--prompt": "x", "--size": "32x32"}
    for change, words in (
        ({"--prompt": None}, "nothing to draw"),
        ({"--model": tmp_path / "no"}, "no model at"),
        ({"--size": "100x90"}, "multiples of 16, such as 96x96"),
        ({"--size": "big"}, "--size big is no size"),
        ({"--out": tmp_path / "full"}, "exists already"),
        ({"--prompts": tmp_path / "empty.txt"}, "has no prompt in it"),
        ({"--prompts": tmp_path / "bad.jsonl"}, 'record 2: it has no text under "prompt"'),
        ({"--prompts": tmp_path / "gone.txt"}, "cannot be read as UTF-8"),
        ({"--reference": tmp_path / "empty.txt"}, "cannot be read as a picture"),
        ({"--device": "cuda:77"}, "--device cuda:77 cannot be used here"),
        ({"--prompt": "word " * 1025}, "has 1025 tokens, and at most 1024 are read"),
    ):
        asked = [word for key, value in {**base, **change}.items() if value is not None for word in (key, value)]
        done = here("sample", *asked)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["precious.png"]
    assert not (tmp_path / "out").exists()


def test_help_has_an_example() -> None:
    done = here("sample", "--help")
    assert done.returncode == 0
    assert "Example:" in done.stdout


def test_a_prompt_that_is_listed_again_goes_on_counting() -> None:
    assert numbered(["a", "b", "a"], 2) == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("a", 2), ("a", 3)]


def test_sizes() -> None:
    assert size_of("1328x800", 16) == (800, 1328)
    assert size_of("16:9", 16) == (928, 1664)
    assert size_of("9:16@640", 16) == (848, 480)
    with pytest.raises(UsageError, match="no size"):
        size_of("0:0:0", 16)
    with pytest.raises(UsageError, match="--size 0:1"):
        size_of("0:1", 16)


def test_prompts_and_pictures_from_files(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "甲"}\n\n{"prompt": "b", "more": 1}\n', encoding="utf-8")
    assert read_prompts(tmp_path / "p.jsonl") == ["甲", "b"]
    Image.new("RGBA", (3, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_picture(tmp_path / "clear.png", 2, 3).tolist() == [[[255] * 3] * 3] * 2
