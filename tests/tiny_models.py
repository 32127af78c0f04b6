"""Small models for tests: one trained on coloured shapes, so that it tells right from wrong, the others random."""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from annotate.torchvision_shim import prepare_torchvision

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 170, 50),
    "blue": (30, 60, 220),
    "yellow": (235, 215, 30),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
}
SHAPES = ("circle", "square", "triangle")
SIDE = 64
STEPS = 300


class Combination(NamedTuple):
    """What a drawn picture shows, and its caption."""

    colour: str
    shape: str
    ground: str

    @property
    def caption(self) -> str:
        return f"a {self.colour} {self.shape} on {self.ground}"


ALL = [Combination(c, s, g) for c in COLOURS for s in SHAPES for g in COLOURS if g != c]
_SHUFFLED = random.Random(0).sample(ALL, len(ALL))
#: Combinations that the trained model never saw, nor their captions.
HELD_OUT, SEEN = _SHUFFLED[:15], _SHUFFLED[15:]


def drawn(what: Combination, rng: random.Random, side: int = SIDE) -> Image.Image:
    """A picture of it, never twice the same."""

    def about(name: str) -> tuple[int, ...]:
        return tuple(max(0, min(255, level + rng.randint(-15, 15))) for level in COLOURS[name])

    image = Image.new("RGB", (side, side), about(what.ground))
    draw = ImageDraw.Draw(image)
    r, x, y = rng.randint(side // 4, side * 2 // 5), side // 2 + rng.randint(-5, 5), side // 2 + rng.randint(-5, 5)
    fill = about(what.colour)
    if what.shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    elif what.shape == "square":
        draw.rectangle((x - r * 0.85, y - r * 0.85, x + r * 0.85, y + r * 0.85), fill=fill)
    else:
        draw.polygon(((x, y - r), (x - r, y + r), (x + r, y + r)), fill=fill)
    return image


@cache
def folder() -> Path:
    """A folder of models that is gone when the tests end."""
    made = Path(tempfile.mkdtemp(prefix="glyphmill-models-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def trained_open_clip() -> tuple[Path, Path]:
    """(architecture.json, weights.pt) of a CLIP of 64 pixels, trained on SEEN for some seconds."""
    prepare_torchvision()
    import open_clip
    import torch
    from torch.nn import functional

    tower = {"image_size": SIDE, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
    architecture = folder() / "shapes-64.json"
    architecture.write_text(json.dumps({"embed_dim": 32, "vision_cfg": tower, "text_cfg": text}))
    open_clip.add_model_config(architecture)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, _, preprocess = open_clip.create_model_and_transforms("shapes-64")
        rng, views = random.Random(0), 6
        pictures = torch.stack([preprocess(drawn(c, rng)) for c in SEEN for _ in range(views)])
        pictures = pictures.reshape(len(SEEN), views, 3, SIDE, SIDE)
        texts = open_clip.get_tokenizer("shapes-64")([c.caption for c in SEEN])
        model.token_embedding.weight.requires_grad_(False)
        weights = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(weights, weight_decay=0.1)
        target = torch.arange(24)
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1, step / 20) * (1 - step / STEPS)
            chosen = torch.randperm(len(SEEN))[: len(target)]
            images = model.encode_image(pictures[chosen, torch.randint(0, views, (len(target),))], normalize=True)
            logits = model.logit_scale.exp() * images @ model.encode_text(texts[chosen], normalize=True).T
            loss = functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    saved = folder() / "shapes.pt"
    torch.save(model.state_dict(), saved)
    return architecture, saved


TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {**TEXT, "image_size": 32, "patch_size": 16}
WORDS = ("a", "red", "green", "blue", "circle", "square", "on", "红", "色", "圆", "的", "方", "块", *"abcdefgh")


@cache
def random_transformers(kind: str, seed: int = 0) -> Path:
    """A folder with a tiny random model of that kind (clip | siglip | siglip2 | chinese_clip), all that it needs."""
    prepare_torchvision()
    import torch
    import transformers as t

    made = folder() / f"{kind}-{seed}"
    tokens = _tokenizer(cls=kind == "chinese_clip")
    text = {**TEXT, "vocab_size": len(tokens), "max_position_embeddings": 16}
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "clip":
        config: Any = t.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)
        model_class, processor = t.CLIPModel, t.CLIPImageProcessor(size=32, crop_size=32)
    elif kind == "siglip":
        config = t.SiglipConfig(text_config=text, vision_config=VISION)
        model_class, processor = t.SiglipModel, t.SiglipImageProcessor(size={"height": 32, "width": 32})
    elif kind == "siglip2":  # the one that keeps a picture's proportions
        patches = {**TEXT, "patch_size": 8, "num_patches": 16}
        config = t.Siglip2Config(text_config={**text, "projection_size": 16}, vision_config=patches)
        model_class, processor = t.Siglip2Model, t.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    else:
        text["max_position_embeddings"] = 64
        config = t.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)
        model_class = t.ChineseCLIPModel
        processor = t.ChineseCLIPImageProcessor(size={"height": 32, "width": 32}, crop_size=32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model_class(config).save_pretrained(made)
    processor.save_pretrained(made)
    tokens.save_pretrained(made)
    return made


@cache
def random_classifier(labels: tuple[str, ...], *, several: bool = False) -> Path:
    """A folder with a tiny random image classifier of those labels."""
    prepare_torchvision()
    import torch
    import transformers as t

    made = folder() / f"classifier-{'-'.join(labels)}-{several}"
    config = t.ViTConfig(**VISION, id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
    config.problem_type = "multi_label_classification" if several else "single_label_classification"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = t.ViTForImageClassification(config)
        torch.nn.init.normal_(model.classifier.weight, std=2.0)
        model.save_pretrained(made)
    t.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(made)
    return made


def _tokenizer(*, cls: bool) -> Any:
    """Whole words (single characters of Chinese) between a start and an end token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(("<pad>", "<s>", "</s>", "<unk>", *WORDS))}
    tokens = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokens.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    if cls:
        special |= {"cls_token": "<s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokens, **special)


def write_models(path: Path, sections: Mapping[str, Mapping[str, object]]) -> Path:
    """A models.toml of those sections."""
    lines: list[str] = []
    for name, settings in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in settings.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _toml(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
