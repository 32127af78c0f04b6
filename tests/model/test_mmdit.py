"""The MMDiT by itself: padding and company change nothing, variants run and train, what is wrong is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from mmdit_parity import TINY, Inputs, inputs, tiny  # noqa: E402

from model.attention import RMSNorm  # noqa: E402
from model.config import MMDiTConfig  # noqa: E402
from model.initial import initialise  # noqa: E402
from model.mmdit import MMDiT, sinusoid  # noqa: E402
from model.packing import Grid, pack  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402

GRIDS = st.tuples(st.integers(1, 6), st.integers(1, 6))
ROWS = st.lists(st.tuples(st.lists(GRIDS, min_size=1, max_size=3), st.integers(0, 7)), min_size=1, max_size=4)
MODEL = tiny(replace(TINY, zero_cond_t=True))


@settings(max_examples=40)
@given(rows=ROWS, spare_text=st.integers(0, 3), spare_image=st.integers(0, 5), seed=st.integers(0, 99))
def test_neither_padding_nor_company_changes_a_row(
    rows: list[tuple[list[tuple[int, int]], int]], spare_text: int, spare_image: int, seed: int
) -> None:
    """Rows of mixed grids, references and text lengths, with room to spare that holds large numbers."""
    lengths = [length for _, length in rows]
    text = max(1, max(lengths) + spare_text)
    batch = inputs(MODEL.config, [grids for grids, _ in rows], text, lengths, seed)
    batch = replace(batch, tokens=torch.nn.functional.pad(batch.tokens, (0, 0, 0, spare_image), value=-70.0))
    with torch.no_grad():
        together = batch.of(MODEL)
        for place, (grids, length) in enumerate(rows):
            count = sum(height * width for height, width in grids)
            alone = Inputs(
                batch.tokens[place : place + 1, :count],
                batch.sigma[place : place + 1],
                batch.context[place : place + 1, :length],
                batch.grids[place : place + 1],
                None,
            )
            assert (together[place, :count] - alone.of(MODEL)[0]).abs().max() < 1e-5


def test_a_word_more_changes_the_picture() -> None:
    batch = inputs(TINY, [[(3, 3)]], 5, [5])
    shorter = replace(batch, lengths=torch.tensor([4]))
    model = tiny()
    assert (batch.of(model) - shorter.of(model)).abs().max() > 1e-3


def test_padding_gets_no_gradient() -> None:
    batch = inputs(TINY, [[(3, 3)], [(2, 2), (1, 2)]], 5, [5, 2])
    batch.tokens.requires_grad_()
    batch.context.requires_grad_()
    found = batch.of(tiny())
    (found[0, :9].sum() + found[1, :6].sum()).backward()
    assert batch.tokens.grad is not None
    assert batch.context.grad is not None
    assert not batch.tokens.grad[1, 6:].any()
    assert not batch.context.grad[1, 2:].any()
    assert batch.context.grad[1, :2].any()


def test_velocity_packs_and_unpacks_targets_and_references() -> None:
    config = replace(TINY, zero_cond_t=True)
    model = tiny(config)
    latents = torch.randn(2, 4, 6, 10)
    references = ((torch.randn(4, 4, 4), torch.randn(4, 2, 6)), (torch.randn(4, 8, 2),))
    sigma, context, lengths = torch.tensor([0.3, 0.9]), torch.randn(2, 5, 24), torch.tensor([5, 3])
    found = model.velocity(latents, sigma, context, lengths, references)
    assert found.shape == latents.shape
    for place, row in enumerate(references):
        tokens = torch.cat([pack(latents[place], 2), *(pack(one, 2) for one in row)])[None]
        grids = [[Grid(3, 5), *(Grid(one.shape[1] // 2, one.shape[2] // 2) for one in row)]]
        length = int(lengths[place])
        alone = model(tokens, sigma[place : place + 1], context[place : place + 1, :length], grids=grids)
        assert (pack(found[place], 2) - alone[0, :15]).abs().max() < 1e-5
    plain = model.velocity(latents, sigma, context, lengths)
    assert plain.shape == latents.shape
    assert (plain - found).abs().max() > 1e-3


def test_the_order_of_references_is_told() -> None:
    model = tiny()
    latents, one, two = torch.randn(1, 4, 4, 4), torch.randn(4, 4, 4), torch.randn(4, 4, 4)
    sigma, context = torch.tensor([0.5]), torch.randn(1, 3, 24)
    first = model.velocity(latents, sigma, context, references=((one, two),))
    second = model.velocity(latents, sigma, context, references=((two, one),))
    assert (first - second).abs().max() > 1e-4


VARIANT = replace(
    TINY, mlp="swiglu", mlp_ratio=3.0, patch_size=1, in_channels=8, out_channels=8, joint_attention_dim=12
)


def test_the_second_report_s_variant_runs_and_trains() -> None:
    torch.manual_seed(0)
    model = MMDiT(VARIANT)
    initialise(model, torch.Generator().manual_seed(0))
    latents, context = torch.randn(4, 8, 3, 4), torch.randn(4, 3, 12)
    sigma, target = torch.rand(4), torch.randn(4, 8, 3, 4)
    assert not model.velocity(latents, sigma, context).any()  # zero until trained
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = (model.velocity(latents, sigma, context) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    gated = model.transformer_blocks[0].get_submodule("img_mlp.net.0.gate_layer")
    assert gated.weight.grad is not None


def test_initial_weights_are_of_the_generator_alone() -> None:
    models = [MMDiT(TINY) for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        initialise(model, torch.Generator().manual_seed(seed))
    first, second, third = (model.state_dict() for model in models)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["img_in.weight"], third["img_in.weight"])


def test_every_parameter_but_the_idle_ones_learns() -> None:
    model = tiny()
    batch = inputs(TINY, [[(3, 3)]] * 2, 5, [5, 3])
    batch.of(model).square().mean().backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == model.idle_parameters()
    assert len(without) == 2 + 1 + 2 + 4
    assert all(name.startswith("transformer_blocks.2.") for name in without)


def test_half_precision_norms_and_turns_in_float32() -> None:
    """Under bf16 the result stays near that of float32; a norm or a rotation in bf16 would not."""
    model = tiny()
    batch = inputs(TINY, [[(4, 4)]] * 2, 5, [5, 3])
    wanted = batch.of(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = batch.of(model)
    assert (cast.float() - wanted).abs().max() < 0.05 * wanted.abs().max()
    half = tiny(dtype=torch.bfloat16)
    assert (batch.of(half).float() - wanted).abs().max() < 0.08 * wanted.abs().max()
    norm = RMSNorm(8).to(torch.bfloat16)
    x = torch.full((1, 8), 300.0, dtype=torch.bfloat16)
    assert torch.equal(norm(x), torch.ones_like(x))


def test_float64_is_float64_throughout() -> None:
    model = tiny(dtype=torch.float64)
    batch = inputs(TINY, [[(4, 4)]] * 2, 5, [5, 3])
    batch = replace(batch, tokens=batch.tokens.double(), context=batch.context.double())
    moved = replace(batch, tokens=batch.tokens + 1e-12)
    difference = (batch.of(model) - moved.of(model)).abs().max()
    assert 0 < difference < 1e-9


def test_a_small_change_of_time_is_seen() -> None:
    """bfloat16 would take these for one."""
    sigma = torch.tensor([0.8501, 0.8515])
    told, rounded = sinusoid(sigma), sinusoid(sigma, legacy_bf16=True)
    assert not torch.equal(told[0], told[1])
    assert torch.equal(rounded[0], rounded[1])


def test_what_does_not_fit_is_said() -> None:
    model = tiny()
    batch = inputs(TINY, [[(3, 3)]], 5)
    with pytest.raises(ValueError, match=r"sigma is torch\.bfloat16"):
        replace(batch, sigma=batch.sigma.to(torch.bfloat16)).of(model)
    with pytest.raises(ValueError, match=r"text tokens of the rows are \[6\]"):
        replace(batch, lengths=torch.tensor([6])).of(model)
    with pytest.raises(ValueError, match="image tokens"):
        replace(batch, grids=((Grid(4, 3),),)).of(model)
    with pytest.raises(ValueError, match="rows differ: 1 of tokens, 2 of sigma"):
        replace(batch, sigma=torch.rand(2)).of(model)
    with pytest.raises(UsageError, match=r"4090 text tokens .* limit of 4096"):
        inputs(TINY, [[(20, 2)]], 4090).of(model)
    with pytest.raises(ValueError, match="5 x 4 cannot be packed"):
        model.velocity(torch.randn(1, 4, 5, 4), torch.rand(1), torch.randn(1, 3, 24))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_layers": 0}, "num_layers must be a whole number"),
        ({"num_attention_heads": 2.5}, "num_attention_heads must be a whole number"),
        ({"in_channels": 18}, "no multiple of patch_size squared"),
        ({"axes_dims_rope": [4, 6, 8]}, "sum to 18, but a head has attention_head_dim 16"),
        ({"axes_dims_rope": [5, 5, 6]}, "three even numbers"),
        ({"axes_dims_rope": 16}, "three even numbers"),
        ({"guidance_embeds": True}, "guidance-distilled"),
        ({"use_layer3d_rope": True}, "Layered"),
        ({"zero_cond_t": 1}, "zero_cond_t must be true or false"),
        ({"mlp": "relu"}, 'must be "gelu" or "swiglu"'),
        ({"mlp_ratio": -1}, "mlp_ratio must be"),
        ({"layers": 3}, "unknown key layers"),
    ],
)
def test_a_wrong_configuration_is_one_line(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        MMDiTConfig.from_dict(TINY.to_dict() | change)
    assert "\n" not in str(raised.value)


def test_a_configuration_comes_back_from_its_dictionary() -> None:
    for config in (MMDiTConfig(), TINY, VARIANT, replace(TINY, mlp_ratio=2.5)):
        assert MMDiTConfig.from_dict(config.to_dict()) == config
    published = MMDiTConfig().to_dict() | {"_class_name": "x", "pooled_projection_dim": 768, "out_channels": None}
    assert MMDiTConfig.from_dict(published) == replace(MMDiTConfig(), out_channels=64)
    assert "mlp" not in MMDiTConfig().to_dict()
