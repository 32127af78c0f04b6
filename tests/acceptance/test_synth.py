"""Drawn images through whole commands: into the lake, through the recipe, killed, and with bad input."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from acceptance_tools import Run, command, picture
from PIL import Image

from annotate.captions.quotes import quoted

pytest.importorskip("uharfbuzz", reason="drawing text needs the extra synth")
pytest.importorskip("rapidocr", reason="legibility needs the extra ocr")

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
EACH = 64 if SOAK else 3
KILLS = 12 if SOAK else 1
STRATEGIES = ("pure", "compositional", "template", "edit")
NOISE = random.Random(9)
Rows = Callable[..., list[dict[str, object]]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> Path:
    """A few of each strategy, curated by the recipe starter."""
    root = tmp_path_factory.mktemp("drawn")
    photos = root / "photos"
    photos.mkdir()
    rng = np.random.default_rng(5)
    for number in range(4):
        page = picture(rng, 640, 480)
        page.paste((170, 160, 150), (150, 110, 520, 400))  # an even wall to write on
        page.save(photos / f"{number}.jpg", quality=92)
    lake = root / "lake"
    for name in STRATEGIES:
        more = ("--photos", photos) if name == "compositional" else ()
        size = "512..1328" if name == "template" else "512..640"
        glyphmill("synth", name, "--count", EACH, "--lake", lake, "--size", size, "--workers", 1, *more)
    drawn = (lake / "synth" / "pure", "--source-name", "synth-pure")
    glyphmill("curate", *drawn, "--lake", lake, "--recipe", "starter", "--workers", 2)
    return lake


def test_all_that_was_asked_for_is_accounted_for(lake: Path, rows: Rows) -> None:
    drawn = {
        str(row["strategy"]): row
        for row in rows(
            "SELECT strategy, count(DISTINCT index) AS samples, count(*) AS images FROM synth_truth GROUP BY ALL", lake
        )
    }
    assert set(drawn) == set(STRATEGIES)
    rejected = rows(
        "SELECT strategy, count(*) AS n, list(DISTINCT reason) AS why FROM synth_rejected GROUP BY ALL", lake
    )
    for name in STRATEGIES:
        lost = sum(int(str(row["n"])) for row in rejected if row["strategy"] == name)
        assert int(str(drawn[name]["samples"])) + lost == EACH
        assert int(str(drawn[name]["images"])) == (2 if name == "edit" else 1) * (EACH - lost)
    (joined,) = rows(
        "SELECT count(*) AS n FROM synth_truth t JOIN samples s USING (image_id) WHERE s.synthetic AND s.source = "
        "'synth-' || t.strategy",
        lake,
    )
    assert joined["n"] == sum(int(str(row["images"])) for row in drawn.values())


def test_captions_quote_what_stands_there(lake: Path, rows: Rows) -> None:
    for row in rows(
        "SELECT list(c.text) AS captions, any_value(t.texts[1].text) AS text, any_value(t.strategy) AS strategy "
        "FROM captions c JOIN synth_truth t USING (image_id) GROUP BY c.image_id",
        lake,
    ):
        captions = [str(text) for text in row["captions"]]  # type: ignore[attr-defined]
        assert len(captions) == 2
        first = "".join(str(row["text"]).split())[:8]
        for caption in captions:
            said = "".join("".join(quote.split()) for quote in quoted(caption))
            assert said, caption
            assert row["strategy"] != "pure" or first in said, (first, caption)


def test_what_is_drawn_can_be_read_and_is_kept(lake: Path, rows: Rows) -> None:
    measured = rows(
        "SELECT strategy, drawn_chars, legible_share, stage_reached, outcome, failed_rules FROM synth_truth "
        "JOIN signals_legibility USING (image_id) JOIN samples s USING (image_id)",
        lake,
    )
    asked = {name: [row for row in measured if row["strategy"] == name] for name in STRATEGIES}
    for name, least in (("pure", 0.97), ("compositional", 0.85), ("template", 0.9), ("edit", 0.97)):
        counts = [(float(str(r["legible_share"])), int(str(r["drawn_chars"]))) for r in asked[name] if r["drawn_chars"]]
        read = sum(share * count for share, count in counts) / sum(count for _, count in counts)
        assert read >= least, (name, read)
    trained = [row for row in measured if int(str(row["stage_reached"])) >= 4]  # at the scale of 256 at least
    assert len(trained) >= 0.7 * len(measured), [(r["strategy"], r["outcome"], r["failed_rules"]) for r in measured]
    assert not [row for row in measured if row["outcome"] == "pending"]


def test_the_funnel_counts_what_was_drawn_once(lake: Path, rows: Rows) -> None:
    """Curating the drawn tars finds them scanned already: nothing is delivered twice."""
    (told,) = rows(
        "SELECT (SELECT count(*) FROM inputs) AS delivered, (SELECT count(*) FROM synth_truth) AS drawn, "
        "(SELECT count(*) FROM inputs WHERE status <> 'ok') AS others, (SELECT max(entered) FROM funnel) AS first",
        lake,
    )
    assert told["delivered"] == told["drawn"] == told["first"]
    assert told["others"] == 0


def test_boxes_go_into_the_shards(lake: Path) -> None:
    import tarfile

    told = 0
    for shard in (lake / "shards" / "pool").glob("*.tar"):
        with tarfile.open(shard) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    meta = json.loads(file.read())
                    synth = json.loads(json.loads(meta["extra"])["synth"])
                    told += all(len(text["quad"]) == 8 for text in synth["texts"])
    assert told > 0


def test_edit_pairs_are_linked(lake: Path, rows: Rows) -> None:
    pairs = rows(
        "SELECT e.pair_id, e.identity, e.instruction_en, e.instruction_zh FROM edits e "
        "JOIN synth_truth r ON r.image_id = e.reference_ids[1] AND r.pair_id = e.pair_id "
        "JOIN synth_truth t ON t.image_id = e.target_id AND t.pair_id = e.pair_id "
        "WHERE e.status = 'ok' AND r.side = 'reference' AND t.side = 'target'",
        lake,
    )
    assert len(pairs) >= EACH / 2
    assert all(pair["instruction_en"] and pair["instruction_zh"] for pair in pairs)


def test_sheets_and_one_sample(lake: Path, tmp_path: Path, glyphmill: Run, rows: Rows) -> None:
    glyphmill("synth", "sheet", "--lake", lake, "--boxes", "--out", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").width > 1000
    (row,) = rows("SELECT image_id, texts[1].text AS text FROM synth_truth WHERE strategy = 'pure' LIMIT 1", lake)
    done = glyphmill("synth", "show", str(row["image_id"])[:16], "--lake", lake, "--out", tmp_path / "one.png")
    assert repr(row["text"]) in done.stdout
    assert max(Image.open(tmp_path / "one.png").size) >= 900
    glyphmill("synth", "sheet", "pure", "--count", 4, "--out", tmp_path / "drawn.png")
    glyphmill("synth", "show", "zzz", "--lake", lake, code=2)


def test_killed_and_run_again_is_the_same(tmp_path: Path, glyphmill: Run) -> None:
    lake = tmp_path / "lake"
    arguments = ("synth", "pure", "--count", 150, "--lake", lake, "--size", "256..320", "--workers", 2)
    began = time.monotonic()
    glyphmill(*arguments, env={})
    seconds = time.monotonic() - began
    whole = glyphmill("digest", "--lake", lake).stdout
    tars = {path.name: path.read_bytes() for path in (lake / "synth" / "pure").iterdir()}
    assert len(tars) == 3
    shutil.rmtree(lake)
    moments = random.Random(3)
    for part in moments.sample(range(KILLS), KILLS):
        run = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(timeout=(0.1 + 0.9 * (part + moments.random()) / KILLS) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
    glyphmill(*arguments)
    assert glyphmill("digest", "--lake", lake).stdout == whole
    assert {path.name: path.read_bytes() for path in (lake / "synth" / "pure").glob("*.tar")} == tars
    again = glyphmill(*arguments)
    assert again.stdout.startswith("nothing new: 150 samples")


def test_a_plan_is_drawn(tmp_path: Path, glyphmill: Run, rows: Rows) -> None:
    (tmp_path / "wanted.txt").write_text("龘山水风月花鸟雨雪云日", encoding="utf-8")
    told = glyphmill(
        "synth", "plan", "--times", 2, "--each-in", 2, "--per-image", 6, "--chars", tmp_path / "wanted.txt",
        "--out", tmp_path / "plan.json",
    )  # fmt: skip
    images = int(told.stdout.strip().splitlines()[-1].split()[0])
    lake = tmp_path / "lake"
    glyphmill("synth", "pure", "--plan", tmp_path / "plan.json", "--count", images, "--lake", lake, "--workers", 1)
    counts = {str(r["character"]): r for r in rows("SELECT * FROM synth_coverage", lake)}
    assert all(int(str(counts[c]["times"])) >= 2 and int(str(counts[c]["fonts"])) >= 2 for c in "山水风月花鸟雨雪云日")
    done = glyphmill(
        "synth", "plan", "--times", 2, "--chars", tmp_path / "wanted.txt", "--lake", lake, "--out", tmp_path / "n.json"
    )
    assert done.stdout.startswith("nothing to plan") or "龘" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pure", "--corpus", "empty.txt"), "empty.txt"),
        (("pure", "--corpus", "none.txt"), "none.txt"),
        (("pure", "--corpus", "noise.txt"), "UTF-8"),
        (("pure", "--language", "zh=much"), "--language zh=much"),
        (("pure", "--size", "12"), "--size 12"),
        (("pure", "--plan", "noise.bin"), "noise.bin"),
        (("pure", "--photos", "photos"), "leave --photos out"),
        (("pure", "--language", "tlh"), "tlh"),
        (("compositional", "--photos", "emptyfolder"), "emptyfolder"),
        (("template", "--decks", "noise.pptx"), "noise.pptx"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    arguments: tuple[str, ...], said: str, tmp_path: Path, glyphmill: Run
) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "noise.bin").write_bytes(NOISE.randbytes(100))
    (tmp_path / "noise.txt").write_bytes(NOISE.randbytes(4000))
    (tmp_path / "noise.pptx").write_bytes(NOISE.randbytes(1000))
    (tmp_path / "emptyfolder").mkdir()
    (tmp_path / "photos").mkdir()
    there = [tmp_path / a if (tmp_path / a).exists() or a.endswith(".txt") else a for a in arguments]
    done = glyphmill("synth", *there, "--count", 2, "--lake", tmp_path / "lake", code=2)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "lake").exists()


def test_bad_files_among_good_ones_are_counted(tmp_path: Path, glyphmill: Run, rows: Rows) -> None:
    """A broken font, a text in another encoding, a photograph that cannot be decoded."""
    fonts, corpus, photos = (tmp_path / name for name in ("fonts", "corpus", "photos"))
    for folder in (fonts, corpus, photos):
        folder.mkdir()
    (fonts / "DejaVuSans.ttf").symlink_to("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    (fonts / "broken.ttf").write_bytes(b"\0\1\0\0" + NOISE.randbytes(400))
    hut = "山不在高，有仙则名。水不在深，有龙则灵。\n斯是陋室，惟吾德馨。\n"
    hut += "苔痕上阶绿，草色入帘青。谈笑有鸿儒，往来无白丁。\n"
    (corpus / "gbk.txt").write_bytes(hut.encode("gbk"))
    picture(np.random.default_rng(1), 640, 480).save(photos / "good.jpg")
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff" + NOISE.randbytes(500))
    lake = tmp_path / "lake"
    done = glyphmill(
        "synth", "pure", "--count", 4, "--lake", lake, "--fonts", fonts, "--corpus", corpus, "--language", "zh",
        "--size", "256", "--workers", 1,
    )  # fmt: skip
    assert "1 font broken" in done.stderr
    (drawn,) = rows("SELECT count(*) AS n, string_agg(texts[1].text, '') AS text FROM synth_truth", lake)
    assert int(str(drawn["n"])) > 0
    assert set(str(drawn["text"]).replace("\n", "")) <= set(hut)
    glyphmill("synth", "compositional", "--count", 8, "--lake", lake, "--photos", photos, "--workers", 1)
    rejected = rows("SELECT reason, detail FROM synth_rejected WHERE strategy = 'compositional'", lake)
    assert any("bad.jpg" in str(row["detail"]) for row in rejected), (rejected, done.stdout)
