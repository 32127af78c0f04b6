"""Pages whose words are known: English, simplified Chinese and mixed, drawn clean and spoiled, for the OCR's truth.

Everything is decided by seeds. A page's lines stand in reading order: its title, then column by column.
"""

from __future__ import annotations

import io
import math
import os
import random
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from drawn_pages import _COMMON as WORDS
from drawn_pages import font_names
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from annotate.ocr.script import shares

Script = Literal["english", "chinese", "mixed"]

CHINESE_FONTS = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/System/Library/Fonts/PingFang.ttc",
)
CLAUSES = (
    "清晨的阳光洒在窗台上",
    "请在进入车间前佩戴安全帽",
    "本店营业时间为上午九点至晚上十点",
    "图书馆三楼自习室今日开放",
    "前方施工请减速慢行",
    "新鲜水果每日从产地直接配送",
    "会议室已经预订请勿占用",
    "小桥流水旁边住着几户人家",
    "孩子们在操场上放风筝",
    "数据显示今年的销量增长明显",
    "老街的茶馆里坐满了客人",
    "请妥善保管好您的随身物品",
    "列车即将到站请乘客准备下车",
    "这本书讲述了海洋深处的秘密",
    "秋天的银杏叶铺满了整条道路",
    "健康饮食从一份早餐开始",
    "设计让城市生活更加美好",
    "我们一起保护珍稀野生动物",
    "欢迎报名参加周末绘画课程",
    "温馨提示雨天路滑注意脚下",
    "厨房里飘来阵阵香味",
    "博物馆展出了两千件文物",
    "山顶的积雪到五月才融化",
    "快递员把包裹放在门口",
    "工程师正在检查桥梁的结构",
    "音乐会将于下周六晚上举行",
    "旧照片记录着家族的历史",
    "农民们忙着收割金黄的稻谷",
    "夜市的小吃摊前排起长队",
    "科学家发现了新的行星",
)
MARKS = "，。！？；："
NAMES = ("WiFi", "App Store", "Python", "Coffee", "OPEN", "Sale", "VIP", "Hello", "Design", "Summer", "2026", "Level 3")
INKS = (
    ((255, 255, 255), (0, 0, 0)),
    ((250, 246, 236), (40, 40, 40)),
    ((235, 240, 245), (20, 20, 80)),
    ((28, 34, 48), (235, 235, 235)),
    ((150, 30, 30), (255, 245, 220)),
    ((255, 214, 60), (30, 30, 30)),
)


@dataclass(frozen=True)
class DrawnLine:
    """`box`: left, top, right, bottom of the ink, pixels."""

    text: str
    box: tuple[int, int, int, int]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class DrawnPage:
    image: Image.Image
    lines: tuple[DrawnLine, ...]
    script: Script

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


def page(
    seed: int,
    script: Script,
    *,
    text_px: int | None = None,
    size: tuple[int, int] | None = None,
    fill: float = 0.9,
    most: int = 1000,
) -> DrawnPage:
    """A page with a title and one or two columns of text.

    `text_px`: font size of the columns. `fill`: share of the height that may be written on. `most`: lines at most.
    """
    rng = random.Random(f"{script} {seed}")
    width, height = size or (rng.randint(480, 1000), rng.randint(480, 1000))
    text_px = text_px or rng.randint(16, 40)
    paper, ink = rng.choice(INKS)
    image = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(image)
    margin = max(8, width // 20)
    columns = 2 if width // 2 > 22 * text_px and rng.random() < 0.5 else 1
    room = (width - (columns + 1) * margin) // columns
    step = round(text_px * rng.uniform(1.5, 1.8))
    faces = english_fonts() if script == "english" else (chinese_font(),)
    face = rng.choice(faces)
    title_px = min(round(text_px * rng.uniform(1.4, 2)), (width - 2 * margin) // 6)
    top = margin + round(title_px * 1.8)
    places = [(margin, margin, width - 2 * margin, title_px)]
    places += [
        (margin + column * (room + margin), y, room, text_px)
        for column in range(columns)
        for y in range(top, round(height * fill) - step, step)
    ]
    lines: list[DrawnLine] = []
    for x, y, wide, px in places[:most]:
        font = load(face, px)
        text = words(rng, script, font, wide * rng.uniform(0.5, 1))
        pen.text((x, y), text, font=font, fill=ink)
        left, above, right, below = pen.textbbox((x, y), text, font=font)
        lines.append(DrawnLine(text, (round(left), round(above), round(right), round(below))))
    return DrawnPage(image, tuple(lines), script)


def words(rng: random.Random, script: Script, font: ImageFont.FreeTypeFont, room: float) -> str:
    """Words or clauses that fill some pixels; every fourth Chinese line is of random common characters."""
    if script == "chinese" and rng.random() < 0.25:
        count = max(1, int(room / font.getlength("字")))
        return "".join(rng.choice(common_characters()) for _ in range(count))
    text = ""
    while True:
        if script == "english" or (script == "mixed" and rng.random() < 0.4):
            piece = rng.choice(WORDS) if script == "english" else rng.choice(NAMES)
            if script == "english":
                piece = rng.choice((piece, piece, piece, piece.capitalize(), piece.upper(), str(rng.randint(0, 2000))))
                piece += rng.choice((" ", " ", " ", " ", ", ", ". "))
        else:
            piece = rng.choice(CLAUSES) + rng.choice(MARKS)
        if font.getlength((text + piece).rstrip()) > room:
            break
        text += piece
    if not text:
        text = rng.choice(WORDS) if script == "english" else rng.choice(CLAUSES)
        while len(text) > 1 and font.getlength(text) > room:
            text = text[:-1]
    return text.strip()


def spoiled(image: Image.Image, seed: int) -> Image.Image:
    """The page as bad scans and re-posts have it: turned by up to 1.5 degrees, blurred, noisy, and a lossy JPEG."""
    rng = random.Random(f"spoil {seed}")
    paper = image.getpixel((0, 0))
    turned = image.rotate(rng.uniform(-1.5, 1.5), Image.Resampling.BICUBIC, fillcolor=paper)
    soft = turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    noise = np.random.default_rng(seed).normal(0, rng.uniform(4, 14), (soft.height, soft.width, 1))
    noisy = Image.fromarray(np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8))
    out = io.BytesIO()
    noisy.save(out, "JPEG", quality=rng.randint(45, 85))
    return Image.open(out).convert("RGB")


@cache
def common_characters() -> str:
    """The 3,755 characters of GB 2312 level 1."""
    codes = (bytes((0xA1 + row, 0xA1 + cell)) for row in range(15, 55) for cell in range(94 if row < 54 else 89))
    return b"".join(codes).decode("gb2312")


@cache
def chinese_font() -> str:
    """A font with Chinese glyphs. Fails, and does not skip, where there is none: `make test` installs one."""
    named = os.environ.get("GLYPHMILL_CHINESE_FONT")
    found = [name for name in ((named,) if named else CHINESE_FONTS) if Path(name).is_file()]
    if not found:
        pytest.fail("no Chinese font: apt-get install fonts-wqy-microhei, or name one by GLYPHMILL_CHINESE_FONT")
    return found[0]


def english_fonts() -> tuple[str, ...]:
    return font_names()


@cache
def load(name: str, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@dataclass(frozen=True)
class Truth:
    """What the extractor should say of a page: heights at the scale of 256, lines, dominant script."""

    smallest_px: float
    lines: int
    script: str


def truth(drawn: DrawnPage) -> Truth:
    shrink = min(1.0, 256 / math.sqrt(drawn.image.width * drawn.image.height))
    script = shares([line.text for line in drawn.lines]).dominant
    return Truth(min(line.height for line in drawn.lines) * shrink, len(drawn.lines), script)


def rule_page(seed: int, *, longest: int = 800, most: int = 30) -> DrawnPage:
    """A page for the rules: any script, letters of 9 to 60 pixels, 1 to `most` lines; every other one is spoiled."""
    rng = random.Random(f"rule {seed}")
    script: Script = rng.choice(("english", "chinese", "mixed"))
    text_px = round(9 * (60 / 9) ** rng.random())
    size = (rng.randint(longest // 2, longest), rng.randint(longest // 2, longest))
    drawn = page(seed, script, text_px=text_px, size=size, fill=rng.uniform(0.4, 0.95), most=rng.randint(1, most))
    return replace(drawn, image=spoiled(drawn.image, seed)) if seed % 2 else drawn


@dataclass(frozen=True)
class Score:
    """Edits and characters over some texts; `accuracy` is 1 - CER."""

    edits: int = 0
    characters: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.edits + other.edits, self.characters + other.characters)

    @property
    def accuracy(self) -> float:
        return 1 - self.edits / self.characters


def score(wanted: str, read: str) -> Score:
    """Levenshtein distance of whole texts, each without spaces and in compatibility form, signs and case counted."""
    a, b = (("".join(unicodedata.normalize("NFKC", text).split())) for text in (wanted, read))
    codes = np.array([ord(c) for c in b], np.int64)
    places = np.arange(len(b) + 1)
    row = places.copy()
    for number, character in enumerate(a, 1):
        step = row + 1
        step[0] = number
        step[1:] = np.minimum(step[1:], row[:-1] + (codes != ord(character)))
        row = np.minimum.accumulate(step - places) + places
    return Score(int(row[-1]), len(a))
