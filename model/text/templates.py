"""The words around a prompt that each released model was trained with, and how many of their tokens are dropped.

The encoder reads a system turn, the prompt as the user's turn and an opened assistant's turn. The hidden states of all
that comes before the prompt are dropped, those after it are kept. How many that are is counted with the tokenizer at
hand: with Qwen's it is 34 for text to image and 64 for editing, the numbers that the released pipelines carry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from warehouse.errors import UsageError

State = Literal["normed", "unnormed"]
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_SPECIAL = re.compile(r"<\|(\w+)\|>")
_END, _USER = "<|im_end|>\n", "<|im_start|>user\n"
_TAIL = f"{_END}<|im_start|>assistant\n"


@dataclass(frozen=True)
class Template:
    """`system`, `editing_system`: the system turn without and with pictures. `picture`: what stands for picture
    {number}, from 1; `between` two of them. `drops_user`: the user turn's opening is dropped too, not the system turn
    alone. `state`: the last hidden state after the final norm or before it. `area`: pixels that each picture is brought
    to, its sides multiples of 32.
    """

    name: str
    system: str
    editing_system: str
    picture: str
    between: str
    drops_user: bool
    state: State
    area: int = 384 * 384


#: Qwen-Image, and Qwen-Image-Edit from 2509 on ("Plus", which numbers its pictures). transformers 4 gives the state
#: after the norm as hidden_states[-1] of Qwen2.5-VL.
QWEN_IMAGE = Template(
    name="qwen-image",
    system="Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of "
    "the objects and background:",
    editing_system="Describe the key features of the input image (color, shape, size, texture, objects, background), "
    "then explain how the user's text instruction should alter or modify the image. Generate a new image that meets "
    "the user's requirements while maintaining consistency with the original input where appropriate.",
    picture=f"Picture {{number}}: {PICTURE}",
    between="",
    drops_user=True,
    state="normed",
)
#: The first Qwen-Image-Edit: one picture without a number, seen at 1024 x 1024.
QWEN_IMAGE_EDIT = Template(
    name="qwen-image-edit",
    system=QWEN_IMAGE.system,
    editing_system=QWEN_IMAGE.editing_system,
    picture=PICTURE,
    between="",
    drops_user=True,
    state="normed",
    area=1024 * 1024,
)
#: Qwen-Image-2.1, the only released one on Qwen3-VL: the state before the final norm.
QWEN_IMAGE_2 = Template(
    name="qwen-image-2",
    system="Comprehend and analyze the provided prompt.",
    editing_system="Comprehend and analyze the provided prompt.",
    picture=f"<image{{number}}>{PICTURE}",
    between=" ",
    drops_user=False,
    state="unnormed",
)
TEMPLATES = {template.name: template for template in (QWEN_IMAGE, QWEN_IMAGE_EDIT, QWEN_IMAGE_2)}
#: By model type as transformers names it.
DEFAULTS = {"qwen2_5_vl": QWEN_IMAGE, "qwen3_vl": QWEN_IMAGE_2}


def template(name: str) -> Template:
    """The template of that name. Raises UsageError."""
    if name not in TEMPLATES:
        raise UsageError(f"no text template '{name}': known are {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def rendered(template: Template, text: str, pictures: int = 0) -> str:
    """The whole text that the encoder reads. An empty prompt is a space; what looks like a special token is no longer
    one: a caption may hold anything."""
    plain = _SPECIAL.sub(r"<| \1 |>", text) or " "
    shown = template.between.join(template.picture.format(number=n) for n in range(1, pictures + 1))
    return f"{_system(template, pictures > 0)}{_USER}{shown}{plain}{_TAIL}"


def dropped(template: Template, editing: bool, count: Callable[[str], int]) -> int:
    """Tokens before the prompt, or before the user's turn. `count`: tokens of a text."""
    return count(_system(template, editing) + (_USER if template.drops_user else ""))


def _system(template: Template, editing: bool) -> str:
    return f"<|im_start|>system\n{template.editing_system if editing else template.system}{_END}"
