"""The near pass over real lakes: what is paired, what is not, and that history leaves no trace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import drawn_pages as drawn
import duckdb
import pytest
from empty_lakes import empty_lake
from near_hashes import BY_BLOCK, SPLIT, Shuffler
from PIL import Image

from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.near.pairs import MAX_DISTANCE, MAX_TILE_DISTANCE, near
from pipelines.near.search import Sizes
from pipelines.recipe import Recipe, load
from pipelines.scan import scan
from warehouse.errors import LakeBusy, LakeError
from warehouse.lake import Lake
from warehouse.sources import open_source

Pair = frozenset[str]


def put(folder: Path, name: str, image: Image.Image, kind: str = "PNG", quality: int = 90) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(drawn.encode(image, kind, quality))


def take_in(lake: Lake, folder: Path, batch: str = "one") -> None:
    scan(lake, open_source(str(folder)), batch=batch, source_name="test", engine=LocalEngine(workers=0))
    near(lake)


def names(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = con.execute("SELECT image_id, min(parse_filename(uri)) FROM lake.inputs GROUP BY 1").fetchall()
    return {image_id: name for image_id, name in rows if image_id}


def pairs(lake: Lake, where: str = "true") -> set[Pair]:
    con = lake.connect()
    called = names(con)
    found = con.execute(f"SELECT a, b FROM lake.near_pairs WHERE {where}").fetchall()
    con.close()
    return {frozenset((called[a], called[b])) for a, b in found}


def marked(lake: Lake) -> set[Pair]:
    """Pairs that `decide` takes for duplicates under the limits for recipes."""
    return pairs(
        lake,
        f"distance <= {MAX_DISTANCE} AND tile_distance <= {MAX_TILE_DISTANCE}::FLOAT AND text_differs IS NOT TRUE",
    )


def rows(lake: Lake) -> list[tuple[object, ...]]:
    con = lake.connect(read_only=True)
    found = con.execute("SELECT * FROM lake.near_pairs ORDER BY ALL").fetchall()
    con.close()
    return found


def every_two(groups: Iterable[Iterable[str]]) -> set[Pair]:
    return {frozenset((a, b)) for group in map(list, groups) for a in group for b in group if a != b}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return empty_lake(tmp_path / "lake")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(
        f"""name = "duplicates only"
store_from = 1
scales = [256]
[duplicates]
max_distance = {MAX_DISTANCE}
max_tile_distance = {MAX_TILE_DISTANCE}
[[stage]]
number = 1
name = "all"
rules = [{{ name = "any", when = "width > 0" }}]
"""
    )
    return load(path)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two posters with four copies each, two slides of one template, blank sheets of several sizes."""
    folder = tmp_path_factory.mktemp("gallery")
    for seed in range(2):
        poster = drawn.layout("poster", seed, size=(600, 600))
        image = drawn.draw(poster, drawn.words_for(poster, 0))
        put(folder, f"poster{seed}.png", image)
        put(folder, f"poster{seed}-q60.jpg", image, "JPEG", 60)
        put(folder, f"poster{seed}-q95.jpg", image, "JPEG", 95)
        put(folder, f"poster{seed}-half.png", image.resize((300, 300)))
        put(folder, f"poster{seed}.webp", image, "WEBP", 80)
    slide = drawn.layout("slide", 4, size=(800, 600))
    for number in range(2):
        put(folder, f"slide{number}.png", drawn.draw(slide, drawn.words_for(slide, number)))
    for width in range(300, 306):
        put(folder, f"blank{width}.png", Image.new("RGB", (width, 200), "white"))
    put(folder, "grey.png", Image.new("RGB", (300, 200), (128, 128, 128)))
    return folder


IMAGES = 2 * 5 + 2 + 6 + 1


@pytest.fixture(scope="module")
def scanned(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = empty_lake(tmp_path_factory.mktemp("scanned") / "lake")
    scan(lake, open_source(str(gallery)), source_name="test", engine=LocalEngine(workers=0))
    return lake.root


@pytest.fixture(scope="module")
def compared(scanned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared") / "the team's lake"
    shutil.copytree(scanned, root)
    assert near(Lake.open(root)).compared == IMAGES
    return root


@pytest.fixture
def own(compared: Path, tmp_path: Path) -> Lake:
    """A lake of one's own that has the gallery, compared."""
    shutil.copytree(compared, tmp_path / "own")
    return Lake.open(tmp_path / "own")


def test_copies_are_paired_and_others_are_not(compared: Path) -> None:
    posters = [
        [f"poster{s}.png", f"poster{s}-q60.jpg", f"poster{s}-q95.jpg", f"poster{s}-half.png", f"poster{s}.webp"]
        for s in range(2)
    ]
    near_ones = {pair for pair in marked(Lake.open(compared)) if not any("blank" in name for name in pair)}
    assert near_ones == every_two(posters)


def test_equal_pictures_stand_behind_the_first_and_cost_no_pairs(compared: Path) -> None:
    lake = Lake.open(compared)
    blank = pairs(lake, "link = 'same'")
    assert len(frozenset.intersection(*blank)) == 1
    assert len(blank) == 5
    assert {name for pair in blank for name in pair} == {f"blank{w}.png" for w in range(300, 306)}
    assert not any("blank" in name for pair in pairs(lake, "link = 'near'") for name in pair)


@pytest.mark.parametrize("sizes", [BY_BLOCK, SPLIT], ids=["block", "shuffle"])
def test_any_cut_and_strategy_commits_the_same_rows(
    sizes: Sizes, scanned: Path, compared: Path, tmp_path: Path
) -> None:
    shutil.copytree(scanned, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    near(lake, engine=Shuffler(4, tries=2), sizes=sizes)
    assert rows(lake) == rows(Lake.open(compared))
    assert not list(lake.tmp.glob("work-*"))


def test_hash_without_thumbnails_is_told(scanned: Path, tmp_path: Path) -> None:
    shutil.copytree(scanned, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    con = lake.connect()
    con.execute("UPDATE lake.signals_hashes SET detail = NULL")
    con.close()
    with pytest.raises(LakeError, match="no thumbnails: scan its source again"):
        near(lake)
    assert rows(lake) == []


def test_running_again_compares_and_commits_nothing(own: Lake) -> None:
    con = own.connect()
    before = own.snapshot(con)
    again = near(own)
    assert again.compared == 0
    assert not again.committed
    assert own.snapshot(con) == before
    con.close()


def test_run_killed_before_its_commit_leaves_no_trace(
    scanned: Path, compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(scanned, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.near.pairs.commit", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            near(lake)
    assert pairs(lake) == set()
    near(lake)
    assert pairs(lake) == pairs(Lake.open(compared))


def outcome(lake: Lake, recipe: Recipe) -> dict[str, tuple[str, str | None]]:
    decide(lake, recipe)
    con = lake.connect()
    called = names(con)
    rows = con.execute("SELECT image_id, outcome, duplicate_of FROM lake.decisions").fetchall()
    con.close()
    return {called[i]: (what, called.get(of)) for i, what, of in rows}


def test_one_delivery_or_two_give_the_same_decisions(tmp_path: Path, gallery: Path, own: Lake, recipe: Recipe) -> None:
    whole, parts = own, empty_lake(tmp_path / "parts")
    for night in range(2):
        folder = tmp_path / f"night{night}"
        folder.mkdir()
        for number, path in enumerate(sorted(gallery.iterdir())):
            if number % 2 == night:
                shutil.copy(path, folder)
        take_in(parts, folder, str(night))
    assert pairs(parts, "link = 'near'") == pairs(whole, "link = 'near'")
    assert outcome(parts, recipe) == outcome(whole, recipe)
    kept = sorted(name for name, (what, _) in outcome(whole, recipe).items() if what == "kept")
    assert len([n for n in kept if n.startswith("poster")]) == 2
    assert len([n for n in kept if n.startswith("slide")]) == 2
    assert len([n for n in kept if n.startswith("blank")]) == 1


def test_hash_measured_anew_is_compared_anew(own: Lake) -> None:
    lake = own
    before = pairs(lake)
    con = lake.connect()
    con.execute(
        "UPDATE lake.near_compared SET version = 'older' WHERE image_id = "
        "(SELECT a FROM lake.near_pairs WHERE link = 'same' LIMIT 1)"
    )
    con.close()
    assert near(lake).compared == 6  # the blank one, and the five that stand behind it
    assert pairs(lake) == before
    con = lake.connect()
    assert con.execute("SELECT count(*) FROM lake.near_compared WHERE version = 'older'").fetchone() == (0,)
    assert con.execute("SELECT count(*), count(DISTINCT image_id) FROM lake.near_compared").fetchone() == (
        IMAGES,
        IMAGES,
    )
    con.close()


def test_image_without_a_hash_is_nobodys_duplicate(lake: Lake, tmp_path: Path) -> None:
    whole = drawn.encode(Image.effect_noise((400, 300), 80), "JPEG", 90)
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.jpg").write_bytes(whole[: len(whole) // 2] + name.encode())
    take_in(lake, tmp_path / "in")
    con = lake.connect()
    assert con.execute("SELECT count(*) FROM lake.inputs WHERE status = 'error'").fetchone() == (2,)
    assert con.execute("SELECT count(*) FROM lake.near_pairs").fetchone() == (0,)
    assert con.execute("SELECT count(*) FROM lake.near_compared").fetchone() == (0,)
    con.close()


def test_edit_pairs_are_told_apart_even_where_nothing_shows(scanned: Path, tmp_path: Path, recipe: Recipe) -> None:
    shutil.copytree(scanned, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    con = lake.connect()
    ids = {name: image_id for image_id, name in names(con).items()}
    for one, other in (("blank300.png", "blank301.png"), ("poster0.png", "poster0-q95.jpg")):
        linked = [ids[one], ids[other]]
        con.execute("INSERT INTO lake.edits (reference_ids, target_id, status) VALUES ([?], ?, 'ok')", linked)
    con.close()
    near(lake)
    assert frozenset(("poster0.png", "poster0-q95.jpg")) not in marked(lake)
    assert frozenset(("poster0.png", "poster0-q60.jpg")) in marked(lake)
    assert frozenset(("blank300.png", "blank301.png")) not in marked(lake)
    judged = outcome(lake, recipe)
    assert judged["poster0.png"][1] != "poster0-q95.jpg"
    assert judged["blank300.png"][1] != "blank301.png"
    assert judged["blank301.png"][1] != "blank300.png"


def test_another_run_in_the_lake_is_told(lake: Lake) -> None:
    with lake.lock("scan"), pytest.raises(LakeBusy):
        near(Lake.open(lake.root))


def test_counts_are_written_down(compared: Path) -> None:
    con = Lake.open(compared).connect()
    (told,) = con.execute("SELECT counts FROM lake.runs WHERE command = 'near'").fetchall()
    con.close()
    counts = json.loads(told[0])
    assert counts["compared"] == IMAGES
    assert counts["same"] == 5
    assert counts["nominated"] == counts["near"] + counts["rejected"]


def copies_of(image: Image.Image) -> list[tuple[str, str, int, float]]:
    return [
        (f"{kind}-{quality}-{scale}", kind, quality, scale)
        for kind, quality, scale in (
            ("JPEG", 30, 1.0),
            ("JPEG", 95, 1.0),
            ("WEBP", 60, 1.0),
            ("PNG", 0, 0.3),
            ("JPEG", 75, 0.5),
            ("JPEG", 85, 2.0),
        )
    ]


def test_photographs_and_their_copies(lake: Lake, tmp_path: Path, shared_data: Path) -> None:
    """154 distinct photographs: no pair. Copies of every sixth, six ways: at least 99 % marked, none with another."""
    photos = sorted((shared_data / "photos_captioned" / "images").iterdir())
    take_in(lake, photos[0].parent)
    assert pairs(lake) == set()
    for path in photos[::6]:
        image = Image.open(path).convert("RGB")
        for label, kind, quality, scale in copies_of(image):
            size = (round(image.width * scale), round(image.height * scale))
            copy = image if scale == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
            put(tmp_path / "copies", f"{path.stem}={label}.{kind.lower()}", copy, kind, quality)
    take_in(lake, tmp_path / "copies", "two")
    expected = {
        frozenset((path.name, f"{path.stem}={label}.{kind.lower()}"))
        for path in photos[::6]
        for label, kind, _, _ in copies_of(Image.new("L", (1, 1)))
    }
    found = marked(lake)
    assert len(expected & found) >= 0.99 * len(expected)
    assert all(len({name.split("=")[0].split(".")[0] for name in pair}) == 1 for pair in found)


@pytest.fixture(scope="module")
def peers(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> set[Pair]:
    lake = empty_lake(tmp_path_factory.mktemp("peers") / "lake")
    take_in(lake, shared_data / "filters_gt" / "near_duplicates")
    return marked(lake)


@pytest.mark.parametrize(
    "name",
    [
        "blur-a-little.jpg",
        "blur-a-lot.jpg",
        "high-contrast.jpg",
        "high-saturation.jpg",
        "sharpen-a-little.jpg",
        "shrink-a-little.jpg",
        "shrink-a-lot.jpg",
        "square-128x128.jpg",
        "square-256x256.jpg",
        "square-512x512.jpg",
    ],
)
def test_pictures_that_pdq_takes_for_the_bridge_are_marked(name: str, peers: set[Pair]) -> None:
    assert frozenset(("aaa-orig.jpg", name)) in peers


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sharpen-a-lot.jpg", "halos of 47 levels: what a changed word does too; PDQ has no second test to ask"),
        ("bridge-2-rotate-90.jpg", "turned: a training set may want both; PDQ needs eight hashes to find it"),
        ("bridge-3-rotate-180.jpg", "turned"),
        ("bridge-5-flipx.jpg", "mirrored: text in it would be unreadable, so it is no copy"),
        ("bridge-6-flipy.jpg", "mirrored"),
        ("letterboxed_sample-b.jpg", "bars around it: another frame; PDQ finds it only after cutting them off"),
        ("imagehash.png", "another picture"),
        ("peppers.png", "another picture"),
        ("rgb.jpeg", "another picture"),
    ],
)
def test_pictures_that_are_no_copies_of_the_bridge_are_not_marked(name: str, why: str, peers: set[Pair]) -> None:
    assert frozenset(("aaa-orig.jpg", name)) not in peers, why


def test_pictures_of_different_groups_are_never_marked(peers: set[Pair]) -> None:
    """Among each other, changes of the bridge may be marked; it and what is no change of it never are."""
    others = {"letterboxed_sample-b.jpg", "imagehash.png", "peppers.png", "rgb.jpeg", "LA.png", "I16.png"}
    assert not any(len(pair & others) == 1 for pair in peers)
    assert not any("bridge-2" in name or "flip" in name for pair in peers for name in pair)
