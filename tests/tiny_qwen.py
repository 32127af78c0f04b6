"""Tiny random Qwen2.5-VL and Qwen3-VL in folders as the hub's: the model's own, or a checkpoint's with words apart.

The tokenizer splits text as Qwen's does and knows every word of the templates as one token, as Qwen's vocabulary does,
so that the numbers of dropped tokens are the released ones. Of other text it knows single bytes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SPECIAL = tuple(
    f"<|{name}|>"
    for name in ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")
)
#: How Qwen2's tokenizer splits text into what its merges then work on.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WIDTH = 32


def _words() -> list[str]:
    from model.text.templates import TEMPLATES, rendered

    texts = [rendered(template, " ", pictures) for template in TEMPLATES.values() for pictures in (0, 3)]
    return [text for whole in texts for text in re.split(r"<\|\w+\|>", whole) if text]


def make_tokenizer() -> Any:
    """Byte-level BPE that knows the words of the templates."""
    import transformers
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    for word in sorted({word for text in _words() for word, _ in split.pre_tokenize_str(text)}):
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))  # whole words, or single bytes
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="right",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )  # fmt: skip


def make_qwen(folder: Path, kind: str, *, apart: bool = False, seed: int = 3) -> Path:
    """Save one of two thin layers; returns the folder of the weights. `apart`: text_encoder/, tokenizer/, processor/.

    `kind`: qwen2_5_vl or qwen3_vl.
    """
    from annotate.torchvision_shim import prepare_torchvision

    prepare_torchvision()
    import torch
    import transformers

    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    patch = 14 if kind == "qwen2_5_vl" else 16
    pictures = transformers.Qwen2VLImageProcessor(
        patch_size=patch, merge_size=2, min_pixels=56 * 56, max_pixels=1 << 20
    )
    tokens = {
        "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"],
    }  # fmt: skip
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8192,
        "bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"],
    }  # fmt: skip
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": WIDTH}
    rope = {"rope_type": "default", "rope_theta": 1e4}
    if kind == "qwen2_5_vl":
        config: Any = transformers.Qwen2_5_VLConfig(
            text_config={**text, "rope_parameters": {**rope, "mrope_section": [1, 1, 2]}},
            vision_config={**vision, "fullatt_block_indexes": [1], "window_size": 56, "patch_size": patch},
            **tokens,
        )
        model_class, video = transformers.Qwen2_5_VLForConditionalGeneration, transformers.Qwen2VLVideoProcessor
        processor_class = transformers.Qwen2_5_VLProcessor
    else:
        config = transformers.Qwen3VLConfig(
            text_config={**text, "head_dim": 8, "rope_parameters": {**rope, "mrope_section": [2, 1, 1]}},
            vision_config={
                **vision, "deepstack_visual_indexes": [0], "patch_size": patch, "num_position_embeddings": 64,
            },
            **tokens,
        )  # fmt: skip
        model_class, video = transformers.Qwen3VLForConditionalGeneration, transformers.Qwen3VLVideoProcessor
        processor_class = transformers.Qwen3VLProcessor
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():  # far from what initialisation makes alike
                parameter.mul_(4.0)
                if "norm" in name:
                    parameter.add_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder / "text_encoder" if apart else folder)
    processor = processor_class(pictures, tokenizer, video(patch_size=patch), chat_template=CHAT)
    processor.save_pretrained(folder / "processor" if apart else folder)
    if apart:
        tokenizer.save_pretrained(folder / "tokenizer")
    return folder / "text_encoder" if apart else folder
