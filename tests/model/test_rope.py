"""Positions: centred grids, text on the diagonal, one frame an image; rotation in real arithmetic."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from model.packing import Grid, grid_of, pack, pack_rows, unpack  # noqa: E402
from model.rope import (  # noqa: E402
    KEPT,
    RopeTables,
    image_positions,
    rotate,
    rotate_complex,
    rotate_real,
    rotation,
    text_positions,
    text_start,
)
from warehouse.errors import UsageError  # noqa: E402

AXES = (4, 6, 6)
CPU = torch.device("cpu")
SIZES = st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda size: Grid(*size))


@pytest.mark.parametrize(
    ("grid", "rows", "columns", "start"),
    [
        (Grid(64, 64), (-32, 31), (-32, 31), 32),
        (Grid(58, 104), (-29, 28), (-52, 51), 52),
        (Grid(5, 3), (-3, 1), (-2, 0), 2),
        (Grid(1, 1), (-1, -1), (-1, -1), 0),
    ],
)
def test_published_examples(grid: Grid, rows: tuple[int, int], columns: tuple[int, int], start: int) -> None:
    frame, height, width = image_positions([grid]).unbind(1)
    assert not frame.any()
    assert (int(height.min()), int(height.max())) == rows
    assert (int(width.min()), int(width.max())) == columns
    assert text_start([grid]) == start


@given(st.lists(SIZES, min_size=1, max_size=4), st.integers(1, 20))
def test_positions_of_any_images(grids: list[Grid], text: int) -> None:
    positions = image_positions(grids)
    assert len(positions) == sum(grid.tokens for grid in grids)
    place = 0
    for frame, grid in enumerate(grids):
        part = positions[place : place + grid.tokens].reshape(grid.height, grid.width, 3)
        assert (part[..., 0] == frame).all()
        # Rows run downwards, columns to the right; an odd size has one more on the negative side.
        assert (part[1:, :, 1] - part[:-1, :, 1] == 1).all()
        assert (part[:, 1:, 2] - part[:, :-1, 2] == 1).all()
        assert int(part[0, 0, 1]) == -((grid.height + 1) // 2)
        assert int(part[0, 0, 2]) == -((grid.width + 1) // 2)
        place += grid.tokens
    words = text_positions(text_start(grids), text)
    assert (words == words[:, :1]).all()
    assert int(words[0, 0]) == max(max(grid.height // 2, grid.width // 2) for grid in grids)
    assert int(words[0, 0]) > int(positions[:, 1:].max())
    assert (words[1:, 0] - words[:-1, 0] == 1).all()


def test_the_limit_is_an_error_that_names_it() -> None:
    assert len(text_positions(4000, 96)) == 96
    with pytest.raises(UsageError, match=r"97 text tokens .* limit of 4096"):
        text_positions(4000, 97)
    with pytest.raises(UsageError, match="positions run from -4096 to 4095"):
        image_positions([Grid(8193, 1)])


def test_real_arithmetic_is_the_complex_formula_in_values_and_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 11, 2, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    positions = torch.randint(-4096, 4096, (11, 3), generator=generator)
    table = rotation(positions, AXES)[:, None, :, None].double()
    weight = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    results = []
    for form in (rotate_real, rotate_complex):
        turned = form(x, table)
        (gradient,) = torch.autograd.grad((turned * weight).sum(), x)
        results.append((turned, gradient))
    for real, complex_one in zip(*results, strict=True):
        assert (real - complex_one).abs().max() < 1e-14
    # By hand: channel pair j of an axis turns by position / 10000^(2 j / dim).
    angle = float(positions[5, 1]) / 10_000 ** (2 * 1 / 6)
    first, second = x[0, 5, 1, 4 + 2], x[0, 5, 1, 4 + 3]
    turned = results[0][0][0, 5, 1]
    cosine, sine = torch.tensor(angle).cos(), torch.tensor(angle).sin()
    assert abs(float((turned[6] - (first * cosine - second * sine)).detach())) < 1e-3
    assert abs(float((turned[7] - (first * sine + second * cosine)).detach())) < 1e-3


def test_angles_are_rounded_as_in_the_public_code() -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed here")
    from annotate.torchvision_shim import prepare_torchvision

    prepare_torchvision()
    from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope

    axes = (16, 56, 56)
    grids = (Grid(13, 90), Grid(4, 7), Grid(1, 3))
    peer = QwenEmbedRope(theta=10000, axes_dim=list(axes), scale_rope=True)
    image, text = peer([[(1, *grid) for grid in grids]], device=CPU, max_txt_seq_len=1024)
    table = RopeTables(axes).joint([grids], 1024, len(image), CPU)[:, 0, :, 0]
    wanted = torch.view_as_real(torch.cat([text, image])).movedim(-1, 0)
    assert (table - wanted).abs().max() < 3e-7  # the last bit or two; an angle in float64 would be 1e-4 away
    exact = (text_positions(text_start(grids), 1024)[:, :1].double() / 10_000 ** (torch.arange(0, 16, 2) / 16)).cos()
    assert (exact - wanted[0, :1024, :8]).abs().max() > 1e-5


def test_scores_depend_on_distance_alone() -> None:
    """What a rotary embedding is for: the same two vectors, both moved, give the same product."""
    query, key = torch.randn(1, 1, 1, 16).double(), torch.randn(1, 1, 1, 16).double()

    def score(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
        turned = [
            rotate(vector, rotation(torch.tensor([place]), AXES)[:, None, :, None].double())
            for vector, place in ((query, a), (key, b))
        ]
        return float((turned[0] * turned[1]).sum())

    assert abs(score((0, 3, -2), (0, 1, 4)) - score((5, 13, -22), (5, 11, -16))) < 1e-5
    assert abs(score((0, 3, -2), (0, 1, 4)) - score((0, 3, -2), (0, 2, 4))) > 1e-3


def test_tables_of_mixed_rows_are_those_of_each_row() -> None:
    rows = [(Grid(3, 4),), (Grid(2, 2), Grid(1, 3))]
    mixed = RopeTables(AXES).joint(rows, 5, 12, CPU)
    assert mixed.shape == (2, 2, 17, 1, 8)
    for place, row in enumerate(rows):
        count = 5 + sum(grid.tokens for grid in row)
        alone = RopeTables(AXES).joint([row], 5, count - 5, CPU)
        assert torch.equal(mixed[:, place, :count], alone[:, 0])
        assert (mixed[0, place, count:] == 1).all()
        assert not mixed[1, place, count:].any()
    assert RopeTables(AXES).joint([rows[0]] * 7, 5, 12, CPU).shape == (2, 1, 17, 1, 8)


def test_kept_tables_are_few_and_a_caller_s_own() -> None:
    tables = RopeTables(AXES)
    for height in range(1, KEPT + 20):
        tables.joint([(Grid(height, 1),)], 2, height, CPU)
    assert len(tables._kept) == KEPT
    first = tables.joint([(Grid(9, 1),)], 2, 9, CPU)
    wanted = first.clone()
    first.zero_()  # what was handed out is no door into the cache
    assert torch.equal(tables.joint([(Grid(9, 1),)], 2, 9, CPU), wanted)
    assert torch.equal(copy.deepcopy(tables).joint([(Grid(9, 1),)], 2, 9, CPU), wanted)


def test_a_table_in_half_precision_is_refused() -> None:
    table = RopeTables(AXES).joint([(Grid(2, 2),)], 1, 4, CPU)
    with pytest.raises(ValueError, match=r"table of rotations is torch\.bfloat16"):
        rotate(torch.randn(1, 5, 2, 16), table.to(torch.bfloat16))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
def test_packing_comes_back(patch: int, height: int, width: int, channels: int) -> None:
    latents = torch.randn(2, channels, height * patch, width * patch)
    tokens = pack(latents, patch)
    assert tokens.shape == (2, height * width, channels * patch * patch)
    assert torch.equal(unpack(tokens, Grid(height, width), patch), latents)
    assert torch.equal(pack(latents[0], patch), tokens[0])


def test_packing_is_channel_major() -> None:
    latents = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    tokens = pack(latents, 2)
    for row in range(2):
        for column in range(3):
            for channel in range(2):
                for dy in range(2):
                    for dx in range(2):
                        feature = tokens[0, row * 3 + column, channel * 4 + dy * 2 + dx]
                        assert feature == latents[0, channel, 2 * row + dy, 2 * column + dx]


def test_rows_of_other_references_are_padded() -> None:
    latents = torch.randn(2, 4, 4, 4)
    references = ((torch.randn(4, 2, 2),), ())
    tokens, grids = pack_rows(latents, references, 2)
    assert tokens.shape == (2, 5, 16)
    assert grids == ((Grid(2, 2), Grid(1, 1)), (Grid(2, 2),))
    assert torch.equal(tokens[0, 4:], pack(references[0][0], 2))
    assert not tokens[1, 4:].any()
    with pytest.raises(ValueError, match="2 latents, but references for 1"):
        pack_rows(latents, references[:1], 2)
    with pytest.raises(ValueError, match="3 x 4 cannot be packed"):
        grid_of(torch.zeros(4, 3, 4), 2)
