"""Files into texts: kinds, encodings, cleaning, languages, twins; what is left out is counted."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.chance import chance
from synth.corpora import kept, read
from synth.corpora.clean import clean
from synth.corpora.corpus import Corpus, open_corpus
from synth.corpora.decode import decode
from synth.corpora.tell import forms, is_tag, language_of
from warehouse.errors import UsageError

ZH = "春天的河水涨起来，岸边的柳树垂到水面，孩子们在浅滩上捉虾，我们在这里看风和云。"
HANT = "春天的河水漲起來，岸邊的柳樹垂到水面，孩子們在淺灘上捉蝦，我們在這裡看風和雲。"
EN = "In spring the water rises until the willows touch it."

Write = Callable[[str, str | bytes], Corpus]


@pytest.fixture
def opened(tmp_path: Path) -> Write:
    """Writes one file and opens it as a corpus."""

    def write(name: str, content: str | bytes) -> Corpus:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return open_corpus((str(path),))

    return write


def texts(corpus: Corpus) -> list[str]:
    return [text.text for language in corpus.languages for text in corpus.paragraphs(language)]


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("utf-8", ZH),
        ("utf-8-sig", ZH),
        ("utf-16", ZH),
        ("utf-32", ZH),
        ("gb18030", ZH),
        ("gb2312", ZH),
        ("big5", HANT),
        ("cp950", HANT + "墻恒裏粧嫺"),
    ],
)
def test_encodings_are_read_as_what_they_are(opened: Write, codec: str, text: str) -> None:
    corpus = opened("a.txt", text.encode(codec))
    assert texts(corpus) == [text]
    assert list(corpus.languages) == ["zh-Hant" if text.startswith(HANT) else "zh-Hans"]


KO = "모든 사람은 의견의 자유와 표현의 자유에 대한 권리를 가진다. 이러한 권리는 간섭없이 의견을 가질 자유를 포함한다."
JA = "春になると川の水が増えて、岸の柳が水面に届く。子どもたちは浅瀬で小さな海老を捕まえている。"


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("euc-kr", KO),
        ("euc-jp", JA),
        ("shift_jis", JA),
        ("latin-1", "café à la crème, déjà vu"),
        ("big5", JA.replace("る", "")),
    ],
)
def test_no_other_encoding_is_taken_for_chinese(opened: Write, codec: str, text: str) -> None:
    data = text.encode(codec, errors="ignore")
    with pytest.raises(UsageError, match=r"a\.txt: byte \d+ \(0x[0-9a-f]{2}\) is no UTF-8.*iconv"):
        opened("a.txt", data)


@pytest.mark.parametrize(
    ("text", "codecs"),
    [
        (JA * 4, "euc-jp shift_jis iso2022_jp gb2312 big5 utf-7"),
        (KO * 4, "euc-kr cp949 johab utf-16-le utf-7"),
        ("Все люди рождаются свободными и равными в своем достоинстве. " * 8, "koi8-r cp1251 gb2312 big5 euc-kr hz"),
        ("Les élèves étaient là, près de la fenêtre où l'été déjà brûlait. " * 6, "latin-1 cp1252 gb18030 mac-roman"),
        ("El año próximo será mejor para los niños y también para ti. " * 6, "latin-1 gb2312"),
        ("يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. " * 8, "iso-8859-6 cp1256"),
        ("มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์ " * 8, "tis-620"),
        (ZH * 4, "utf-16-be utf-32-le hz iso2022_jp euc-jp"),
    ],
)
def test_what_is_written_in_another_way_is_refused_not_garbled(text: str, codecs: str) -> None:
    for codec in codecs.split():
        data = text.encode(codec, errors="ignore")
        try:
            found = decode(data, "x")
        except UsageError:
            continue
        assert found == data.decode(codec), codec


@pytest.mark.parametrize(
    "file", ["poems_zh/poet.tang.0.json", "poems_zh/ci.song.0.json", "sentences/zh_gsdsimp_dev.jsonl"]
)
def test_whole_files_survive_their_old_encodings(shared_data: Path, file: str) -> None:
    text = (shared_data / "text_corpora" / file).read_text(encoding="utf-8")
    assert decode(text.encode("gb18030"), file) == text
    big5 = text.encode("big5", errors="ignore").decode("big5")
    if "tang" in file:
        assert decode(big5.encode("big5"), file) == big5


@given(st.binary(max_size=200))
def test_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        text = decode(data, "x")
    except UsageError as refused:
        message = str(refused)
    else:
        message = f"x: byte {len(text)}"
    assert message.startswith("x: byte ")


def test_a_damaged_file_names_the_byte(opened: Write) -> None:
    with pytest.raises(UsageError, match=r"byte 40 .*no UTF-8"):
        opened("a.txt", b"a" * 40 + b"\xff" + ZH.encode())
    with pytest.raises(UsageError, match="is no UTF-16"):
        opened("b.txt", "水".encode("utf-16") + b"\x00")
    with pytest.raises(UsageError, match=r"byte 1 \(0x00\) begins what is no plain text: UTF-16 without its mark"):
        opened("c.txt", "abc".encode("utf-16-le"))


def test_poems_sentences_and_tables(opened: Write) -> None:
    poems = [
        {"title": "题目", "author": "某人", "paragraphs": ["山一程，水一程。", "风一更，雪一更。"]},
        {"chapter": "一", "content": [{"chapter": "二", "paragraphs": ["学而时习之，不亦说乎？"]}]},
        {"para": ["聒碎乡心梦不成。"], "comment": ["此句不读。"]},
    ]
    read = texts(opened("a.json", json.dumps(poems, ensure_ascii=False)))
    assert read == ["山一程，水一程。", "风一更，雪一更。", "学而时习之，不亦说乎？", "聒碎乡心梦不成。"]
    both = opened("b.jsonl", json.dumps({"id": "n01", "en": EN, "zh_hant": HANT}, ensure_ascii=False) + "\n\n")
    assert {t.language: t.text for name in both.languages for t in both.paragraphs(name)} == {"en": EN, "zh-Hant": HANT}
    assert texts(opened("c.csv", f'id,text\n1,"{EN} ""Quite,"" he said."\n2,Another line of it.\n')) == [
        f'{EN} "Quite," he said.',
        "Another line of it.",
    ]
    assert texts(opened("d.tsv", f"7\t{EN}\n8\tThe second of them.\n")) == [EN, "The second of them."]


def test_pages_and_subtitles(opened: Write) -> None:
    page = f"""<html lang="en"><head><title>Not this</title><style>p {{}}</style></head><body><h1>A heading here</h1>
      <p>One &amp; <em>two</em> of them.<br/>Next line.</p><script>no()</script><div>{EN}</div></body></html>"""
    assert texts(opened("a.xhtml", page)) == ["A heading here", "One & two of them.", "Next line.", EN]
    marked = (
        f"---\ntitle: no\n---\n# A heading\n\n{EN} With **strong** words, and [a link](http://x.y).\n\n"
        "```\nx = 1\n```\n- an item\n"
    )
    assert texts(opened("a.md", marked)) == ["A heading", f"{EN} With strong words, and a link.", "an item"]
    cues = (
        f"1\n00:00:01,000 --> 00:00:02,000\n<i>{EN}</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nIt is late,\nshe said.\n"
    )
    assert texts(opened("a.srt", cues)) == [EN, "It is late, she said."]


def test_plain_text_is_parted_at_blank_lines_and_unwrapped(opened: Write) -> None:
    wrapped = (
        "The winter had been long and the river was still frozen when the first\n"
        "boats were carried down to the shore by the men of the village, who had\n"
        "mended them.\n\nA second paragraph.\n"
    )
    read = texts(opened("a.txt", wrapped))
    assert read[0].endswith(
        "when the first boats were carried down to the shore by the men of the village, who had mended them."
    )
    assert read[1:] == ["A second paragraph."]
    lines = "山一程，水一程\n风一更，雪一更\n"
    assert texts(opened("b.txt", lines)) == lines.split("\n")[:2]


def test_word_lists_are_words(opened: Write) -> None:
    corpus = opened("a.txt", "你们 120\n春天 30\n# 注\n12 9\nhello 4\n")
    assert corpus.words("zh") == {"你们": 120, "春天": 30}
    assert corpus.words("en") == {"hello": 4}
    assert corpus.skipped == {"word: not of letters alone": 1}
    assert len(corpus) == 0


def test_samples_of_languages(shared_data: Path) -> None:
    folder = shared_data / "text_corpora" / "language_samples"
    corpus = open_corpus((str(folder),))
    assert {"hi", "he", "fa", "ug", "ko", "ru", "de", "zh-Hant", "en"} <= set(corpus.languages)
    assert "bo" in corpus.languages
    assert all("\\" not in text for text in texts(corpus))


def test_what_is_left_out_is_counted(opened: Write) -> None:
    corpus = opened(
        "a.txt",
        f"{EN}\n\nSee https://example.org/a for more.\n\n* * * 12\n\n<div>left over</div> here\n\n"
        "All rights reserved by us.\n\n"
        "haaaaaaaaa that was\n\n\u0627\ufe8d\ufedf\n\nbroken \ufffd here\n\n青□□長\n\n" + EN,
    )
    assert texts(corpus) == [EN]
    assert corpus.skipped == {
        "paragraph: Arabic presentation forms": 1,
        "paragraph: an address": 1,
        "paragraph: boilerplate": 1,
        "paragraph: broken characters": 1,
        "paragraph: gaps": 1,
        "paragraph: markup": 1,
        "paragraph: no letters": 1,
        "paragraph: repeated characters": 1,
        "paragraph: the same as another": 1,
    }


@given(st.text(max_size=120))
def test_clean_texts_are_normal_and_stay_so(text: str) -> None:
    found, fault = clean(text)
    assert unicodedata.is_normalized("NFC", found)
    assert found == found.strip()
    assert "  " not in found
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in found)
    assert clean(found) == (found, fault)


def test_compatibility_characters_and_joiners_stay() -> None:
    assert clean("ﬁne ①２３℃ kg")[0] == "ﬁne ①２３℃ kg"  # NFC, never NFKC
    assert clean("می\u200cخواهم ක්\u200dර")[0] == "می\u200cخواهم ක්\u200dර"
    assert clean("a\u200cb\u200b\u00adc\u200e")[0] == "abc"
    assert clean("\u3000\u3000一段\u00a0 文字")[0] == "一段 文字"


@pytest.mark.parametrize(
    ("text", "declared", "language"),
    [
        (ZH, None, "zh"),
        (EN, None, "en"),
        (EN, "zh", "en"),
        (KO, None, "ko"),
        (JA, None, "ja"),
        ("Все люди рождаются свободными", None, "ru"),
        ("Все люди рождаются свободными", "uk_Cyrl", "uk"),
        ("Все люди рождаются свободными", "ja", "ru"),
        ("يولد جميع الناس أحرارًا", None, "ar"),
        ("تمام افراد بشر آزاد", "fa-Arab", "fa"),
        ("มนุษย์ทั้งหลายเกิดมามีอิสระ", None, "th"),
        ("Alle Menschen sind frei und gleich an Würde und Rechten geboren", "de", "de"),
        ("Tous les êtres humains naissent libres et égaux dans la dignité", None, "und"),
        ("東京", "ja", "ja"),
    ],
)
def test_languages(text: str, declared: str | None, language: str) -> None:
    assert language_of(text, declared) == language


def test_forms_of_chinese(shared_data: Path) -> None:
    assert forms(ZH) > 0 > forms(HANT)
    assert forms("山水") == 0
    pairs = (shared_data / "text_corpora" / "sentences" / "pud_en_zh.jsonl").read_text(encoding="utf-8").splitlines()
    told = [forms(json.loads(line)["zh_hant"]) for line in pairs]
    assert sum(n < 0 for n in told) > 0.97 * len(told)
    plain = (
        (shared_data / "text_corpora" / "sentences" / "zh_gsdsimp_dev.jsonl").read_text(encoding="utf-8").splitlines()
    )
    told = [forms(json.loads(line)["zh"]) for line in plain]
    assert sum(n >= 0 for n in told) > 0.98 * len(told)


def test_names_of_columns_that_are_languages() -> None:
    assert is_tag("zh_hant")
    assert is_tag("en")
    assert is_tag("pt-BR")
    assert not any(map(is_tag, ["id", "no", "is", "or", "am", "title", "enx", "name"]))


def test_near_twins_are_dropped_and_others_stay(opened: Write) -> None:
    first = "The harbour master walked along the quay every morning and counted the boats that had come in at night."
    near = first.replace("every morning", "each morning")
    other = (
        "The harbour was empty that morning, and nobody along the quay could say where the boats had gone in the night."
    )
    corpus = opened("a.jsonl", "\n".join(json.dumps({"text": t}) for t in (first, near, other, first.upper())))
    assert texts(corpus) == [first, other]
    assert corpus.skipped == {"paragraph: nearly the same as another": 1, "text: the same as another": 1}


def test_refrains_of_poems_stay(opened: Write) -> None:
    corpus = opened(
        "a.json", json.dumps([{"paragraphs": ["采采芣苢，薄言采之。", "采采芣苢，薄言有之。", "采采芣苢，薄言采之。"]}])
    )
    assert len(corpus) == 3


def test_folders_are_read_by_name_and_others_counted(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "z.txt").write_text("The last one of all.", encoding="utf-8")
    (tmp_path / "a.TXT").write_text("The first one of all.", encoding="utf-8")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden.txt").write_text("Never this one.", encoding="utf-8")
    corpus = open_corpus((str(tmp_path), str(tmp_path / "a.TXT")))
    assert texts(corpus) == ["The first one of all.", "The last one of all."]
    assert corpus.skipped == {".png: not a kind of text that is read": 1}


def test_errors_say_what_to_do(tmp_path: Path, opened: Write) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        open_corpus((str(tmp_path / "none"),))
    with pytest.raises(UsageError, match=r"texts are read from \.txt"):
        opened("a.pdf", b"%PDF")
    with pytest.raises(UsageError, match=r"there is no text in .*: it is empty"):
        opened("empty.txt", "")
    with pytest.raises(UsageError, match=r"left out paragraph: no letters: 1"):
        opened("b.txt", "12, 34.\n")
    with pytest.raises(UsageError, match=r"c\.json: line 2: no JSON"):
        opened("c.json", '["a",\n"b"')
    with pytest.raises(UsageError, match=r"d\.jsonl: line 2: no JSON"):
        opened("d.jsonl", '"a"\n{')
    with pytest.raises(UsageError, match=r"e\.csv: line \d: no table"):
        opened("e.csv", 'text\n"open\n')
    with pytest.raises(UsageError, match="nested too deep"):
        opened("f.json", "[" * 100_000)


def test_a_large_corpus_is_kept_between_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 10)
    monkeypatch.setattr(kept, "_MOST", 2)
    path = tmp_path / "a.txt"

    def opened(text: str) -> tuple[Corpus, list[Path]]:
        path.write_text(text, encoding="utf-8")
        open_corpus.cache_clear()
        return open_corpus((str(path),)), sorted(kept.cache_folder().iterdir())

    text = f"{EN}\n\n{ZH}\n\nSee https://example.org/a\n"
    first, (file,) = opened(text)
    before = file.read_bytes()
    again, _ = opened(text)
    assert file.read_bytes() == before
    assert (again.digest, again.skipped, texts(again)) == (first.digest, first.skipped, texts(first))
    drawn = [c.pick(chance(1, "t", 0), "zh", 5, 20).text for c in (first, again)]
    assert drawn[0] == drawn[1]

    file.write_bytes(before[:-5] + b"wrong")  # damaged: read anew
    mended, _ = opened(text)
    assert mended.digest == first.digest
    assert file.read_bytes() == before
    assert len(opened(text + "\nAnother one of them.\n")[1]) == 2
    assert len(opened(text + "\nAnd another one of them.\n")[1]) == 2  # the oldest goes


def test_a_file_too_large_to_read_is_refused(opened: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "LARGEST", 10)
    with pytest.raises(UsageError, match="more than is read at once: split the file"):
        opened("a.txt", EN)
