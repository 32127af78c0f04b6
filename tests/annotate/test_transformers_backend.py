"""The transformers backend on tiny random models of each class, loaded from a folder as real weights are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotate.backends.base import Answer, Request, Status
from annotate.backends.transformers import TransformersBackend
from annotate.facts import Facts
from annotate.judge import judge
from annotate.schema import json_schema
from annotate.vision import Sizing, encode
from warehouse.errors import UsageError

torch = pytest.importorskip("torch")
KINDS = ("qwen2_5_vl", "qwen3_vl")
SPECIAL = tuple(
    f"<|{name}|>"
    for name in ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")
)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Free:
    """A meter that only counts."""

    def __init__(self) -> None:
        self.reserved = self.used = self.requests = 0

    async def reserve(self, tokens: int, requests: int = 1) -> None:
        self.reserved += tokens
        self.requests += requests

    def settle(self, reserved: int, used: int | None) -> None:
        self.used += used or 0


def make(folder: Path, kind: str) -> None:
    """A model of two thin layers with a tokenizer of bytes, saved as a hub's folder is."""
    from annotate.torchvision_shim import prepare_torchvision

    prepare_torchvision()
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="right",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )  # fmt: skip
    ids = {token: fast.convert_tokens_to_ids(token) for token in SPECIAL}
    patch = 14 if kind == "qwen2_5_vl" else 16
    image_processor = transformers.Qwen2VLImageProcessor(
        patch_size=patch, merge_size=2, min_pixels=56 * 56, max_pixels=1 << 20
    )
    tokens = {
        "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"],
    }  # fmt: skip
    text = {
        "vocab_size": len(letters) + len(SPECIAL), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8192,
        "bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"],
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 1e4}
    torch.manual_seed(3)
    if kind == "qwen2_5_vl":
        config = transformers.Qwen2_5_VLConfig(
            text_config={**text, "rope_parameters": {**rope, "mrope_section": [1, 1, 2]}},
            vision_config={
                "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
                "fullatt_block_indexes": [1], "window_size": 56, "patch_size": 14,
            },
            **tokens,
        )  # fmt: skip
        model = transformers.Qwen2_5_VLForConditionalGeneration(config)
        video = transformers.Qwen2VLVideoProcessor(patch_size=patch)
        processor = transformers.Qwen2_5_VLProcessor(image_processor, fast, video, chat_template=TEMPLATE)
    else:
        config = transformers.Qwen3VLConfig(
            text_config={
                **text, "head_dim": 8,
                "rope_parameters": {**rope, "mrope_section": [2, 1, 1]},
            },
            vision_config={
                "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
                "deepstack_visual_indexes": [0], "patch_size": 16, "num_position_embeddings": 64,
            },
            **tokens,
        )  # fmt: skip
        model = transformers.Qwen3VLForConditionalGeneration(config)
        video = transformers.Qwen3VLVideoProcessor(patch_size=patch)
        processor = transformers.Qwen3VLProcessor(image_processor, fast, video, chat_template=TEMPLATE)
    with torch.no_grad():
        for parameter in model.parameters():  # far apart, so that the largest logit is no matter of rounding
            parameter.mul_(4.0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@pytest.fixture(scope="module", params=KINDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    folder = tmp_path_factory.mktemp("models") / f"tiny-{request.param}"
    make(folder, request.param)
    return TransformersBackend(folder, batch=3, device="cpu")


def requests(backend: TransformersBackend, count: int = 3) -> list[Request]:
    rng = np.random.default_rng(2)
    sizing = Sizing(multiple=backend.sizing.multiple, pixels=1 << 14)
    made = []
    for number in range(count):
        pixels = rng.integers(0, 256, (60 + 40 * number, 90, 3), dtype=np.uint8)
        made.append(
            Request(
                Facts(f"{number:032x}"),
                "Describe.",
                "What is this? " * (number + 1),
                json_schema(["en"]),
                ("en",),
                24,
                image=encode(Image.fromarray(pixels), sizing),
            )
        )
    return made


def ask(backend: TransformersBackend, asked: list[Request], meter: Free | None = None) -> list[Answer]:
    return asyncio.run(backend.answer(asked, meter or Free()))


def test_noise_is_an_answer_that_is_not_valid_and_no_failure(backend: TransformersBackend) -> None:
    asked = requests(backend)
    meter = Free()
    answers = ask(backend, asked, meter)
    for answer, request in zip(answers, asked, strict=True):
        assert judge(answer, request).status in (Status.TRUNCATED, Status.INVALID)
        assert 0 < answer.output_tokens <= 24
        assert answer.input_tokens > len(request.prompt)  # a token a byte, and the image's
    assert meter.requests == 3
    assert meter.used == sum(a.input_tokens + a.output_tokens for a in answers) <= meter.reserved


def test_a_batch_says_what_each_alone_says(backend: TransformersBackend) -> None:
    asked = requests(backend)
    together = ask(backend, asked)
    alone = [ask(backend, [request])[0] for request in asked]
    assert [a.text for a in together] == [a.text for a in alone]
    assert [(a.status, a.input_tokens, a.output_tokens) for a in together] == [
        (a.status, a.input_tokens, a.output_tokens) for a in alone
    ]
    assert len({a.text for a in together}) > 1  # they do not all say the same


def test_the_answer_ends_at_its_end(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some character that it says is made the end."""
    (whole,) = ask(backend, requests(backend, 1))
    assert whole.status is Status.TRUNCATED
    last = next(c for c in whole.text if c.isascii() and c.isprintable())
    (end,) = backend._processor.tokenizer(last)["input_ids"]
    monkeypatch.setattr(backend, "_ends", lambda: {end})
    (cut,) = ask(backend, requests(backend, 1))
    assert cut.status is Status.SUCCESS
    assert cut.text == whole.text[: whole.text.index(last)]
    assert cut.output_tokens < whole.output_tokens
    assert cut.error is None


def test_a_repair_is_a_longer_conversation(backend: TransformersBackend) -> None:
    (asked,) = requests(backend, 1)
    (first,) = ask(backend, [asked])
    (second,) = ask(backend, [asked.after("{}", "captions is missing")])
    assert second.input_tokens > first.input_tokens + len("{}captions is missing")


def test_what_fails_alone_is_an_error_of_its_own(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    generate = backend._generate

    def fails(asked: list[Request]) -> Any:
        if any(r.image_id.endswith("1") for r in asked):
            raise RuntimeError("out of memory")
        return generate(asked)

    monkeypatch.setattr(backend, "_generate", fails)
    answers = ask(backend, requests(backend))
    assert [a.status is Status.ERROR for a in answers] == [False, True, False]
    assert answers[1].error == "RuntimeError: out of memory"


def test_a_folder_without_a_known_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model at"):
        TransformersBackend(tmp_path / "nothing")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UsageError, match="type bert; known are qwen2_5_vl, qwen3_vl"):
        TransformersBackend(tmp_path)
