"""The encoder of hashed characters: what is a token, that vectors are the same everywhere, that it comes back."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.errors import UsageError

torch = pytest.importorskip("torch")

from model.text.characters import CharacterEncoder, tokens  # noqa: E402
from model.text.encoder import BLANK, Prompt, load_text, padded, save_text  # noqa: E402


def test_quoted_characters_and_words_outside() -> None:
    assert tokens('the letter "Ab 永"') == ["w:the", "w:letter", "q:", "c:A", "c:b", "c: ", "c:永"]
    assert tokens("写着「永和」的招牌") == ["w:写", "w:着", "q:", "c:永", "c:和", "w:的", "w:招", "w:牌"]
    assert tokens("“A”“B”") == ["q:", "c:A", "q:", "c:B"]
    assert tokens("A sign's ＢＩＧ, half-open at 0.25!") == [
        "w:a",
        "w:sign's",
        "w:big",
        "w:half-open",
        "w:at",
        "w:0.25",
    ]
    assert tokens('6" wide') == ["w:6", "w:wide"]
    for blank in ("", " ", "\n", "..."):
        assert tokens(blank) == ["blank"]


@given(st.text(max_size=40))
def test_any_text_has_a_token_and_a_vector_for_each(text: str) -> None:
    encoder = CharacterEncoder(8)
    (found,) = encoder.encode([Prompt(text)])
    assert found.shape == (encoder.count(Prompt(text)), 8)
    assert len(found) >= 1


def test_case_tells_characters_apart_and_not_words() -> None:
    encoder = CharacterEncoder(16)
    upper, lower = encoder.encode([Prompt('Letter "A"'), Prompt('letter "a"')])
    assert torch.equal(upper[:2], lower[:2])
    assert not torch.equal(upper[2], lower[2])
    (word,) = encoder.encode([Prompt("a")])
    assert not torch.equal(word[0], lower[2])


def test_vectors_do_not_depend_on_company_or_process() -> None:
    first = CharacterEncoder(12, seed=3).encode([Prompt("x"), Prompt('"永"')])[1]
    code = (
        "from model.text.encoder import Prompt; from model.text.characters import CharacterEncoder; "
        "print(CharacterEncoder(12, seed=3).encode([Prompt('\"永\"')])[0].tolist())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert first.tolist() == json.loads(there)
    assert not torch.equal(CharacterEncoder(12, seed=4).encode([Prompt('"永"')])[0], first)
    again = pickle.loads(pickle.dumps(CharacterEncoder(12, seed=3)))
    assert torch.equal(again.encode([Prompt('"永"')])[0], first)


def test_vectors_are_standard_normal_and_far_apart() -> None:
    encoder = CharacterEncoder(64)
    found = torch.cat(encoder.encode([Prompt('"' + "".join(map(chr, range(0x4E00, 0x4E80))) + '"')]))
    assert found.std().item() == pytest.approx(1, abs=0.03)
    cosines = torch.nn.functional.normalize(found, dim=1) @ torch.nn.functional.normalize(found, dim=1).T
    assert (cosines - torch.eye(len(found))).abs().max() < 0.7


def test_many_characters_do_not_pile_up_or_change() -> None:
    encoder = CharacterEncoder(2)
    (before,) = encoder.encode([Prompt('"永"')])
    for at in range(0x4E00, 0x4E00 + 20000, 500):
        encoder.encode([Prompt('"' + "".join(map(chr, range(at, at + 500))) + '"')])
    assert len(encoder._kept) <= 1 << 13
    assert torch.equal(encoder.encode([Prompt('"永"')])[0], before)


def test_what_is_beyond_the_limit_is_cut_off() -> None:
    encoder = CharacterEncoder(4, limit=3)
    (long,), (short,) = encoder.encode([Prompt("a b c d e")]), encoder.encode([Prompt("a b c")])
    assert torch.equal(long, short)
    assert encoder.count(Prompt("a b c d e")) == 5


def test_an_encoder_comes_back_from_its_folder(tmp_path: Path) -> None:
    encoder = CharacterEncoder(24, seed=9, limit=77)
    save_text(encoder, tmp_path / "text_encoder")
    for folder in (tmp_path, tmp_path / "text_encoder"):
        again = load_text(folder)
        assert again.identity == encoder.identity
        assert (again.width, again.dtype) == (24, torch.float32)
        assert torch.equal(again.encode([BLANK])[0], encoder.encode([BLANK])[0])
    other = {CharacterEncoder(24).identity, CharacterEncoder(25).identity, CharacterEncoder(24, seed=1).identity}
    assert len(other | {encoder.identity}) == 4


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_text(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="names no kind"):
        load_text(tmp_path)
    (tmp_path / "config.json").write_text('{"_class_name": "CharacterEncoder", "width": "a"}')
    with pytest.raises(UsageError, match="whole numbers"):
        load_text(tmp_path)


def test_rows_are_padded_on_the_right() -> None:
    context, lengths = padded([torch.ones(2, 3), torch.ones(4, 3)])
    assert context.shape == (2, 4, 3)
    assert lengths.tolist() == [2, 4]
    assert context[0].sum(1).tolist() == [3, 3, 0, 0]
