"""The size of an image as it is sent."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from annotate.refusal import is_refusal
from annotate.vision import Sizing, encode

sides = st.integers(1, 20_000)


@given(sides, sides, st.sampled_from([28, 32]), st.sampled_from([1 << 16, 1 << 20, 3_000_000]))
def test_whole_patches_within_the_budget(width: int, height: int, multiple: int, pixels: int) -> None:
    sizing = Sizing(multiple=multiple, pixels=pixels)
    across, down = sizing.fit(width, height)
    assert across % multiple == down % multiple == 0
    assert multiple <= min(across, down)
    assert across * down <= pixels
    assert max(across, down) <= sizing.longest
    assert sizing.tokens(across, down) <= sizing.most_tokens <= sizing.most_tokens_anywhere + 2


@given(st.integers(200, 4000), st.integers(200, 4000))
def test_the_aspect_is_kept_within_a_patch(width: int, height: int) -> None:
    sizing = Sizing(multiple=28)
    across, down = sizing.fit(width, height)
    scale = min(1, sizing.longest / max(width, height), (sizing.pixels / (width * height)) ** 0.5)
    assert abs(across - width * scale) < 28
    assert abs(down - height * scale) < 28


def test_known_sizes() -> None:
    assert Sizing(multiple=28).fit(280, 560) == (280, 560)
    assert Sizing(multiple=32).fit(1000, 1000) == (992, 992)
    assert Sizing(multiple=32).fit(4000, 3000) == (1152, 864)
    assert Sizing(multiple=32).fit(10, 10) == (64, 64)


def test_the_image_sent_is_a_jpeg_of_that_size() -> None:
    picture = Image.new("RGB", (300, 200), (200, 30, 40))
    sent = encode(picture, Sizing(multiple=28))
    opened = Image.open(io.BytesIO(sent.data))
    assert (opened.format, opened.size) == ("JPEG", (sent.width, sent.height)) == ("JPEG", (308, 196))
    assert sent.decode().getpixel((10, 10)) == pytest.approx((200, 30, 40), abs=3)
    assert encode(picture, Sizing(multiple=28)).data == sent.data


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I'm sorry, I cannot describe this image.", True),
        ("I’m sorry, but I can’t help with that.", True),
        ("As an AI language model, I am not able to see pictures.", True),
        ("作为AI，我无法查看这张图片。", True),
        ("抱歉，我不能描述该图片。", True),
        ('A red door with a sign that reads "Sorry, I cannot help you".', False),
        ("一扇红门，门上写着“抱歉，我无法为您服务”。", False),
        ("A sorry-looking dog sits in the rain.", False),
        ("A robot poster. " + "It has many parts. " * 30 + "I'm sorry, I cannot describe it.", False),
    ],
)
def test_refusals(text: str, refuses: bool) -> None:
    assert is_refusal(text) is refuses
