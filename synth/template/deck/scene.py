"""What a slide shows, resolved: drawings and places for text, back to front. Lengths are EMU, 914,400 to the inch."""

from __future__ import annotations

from dataclasses import dataclass, field

from synth.geometry import Floats
from synth.template.deck.colour import Tone
from synth.template.deck.outlines import Path
from synth.template.deck.styles import Chain
from synth.template.deck.xml import Element


@dataclass(frozen=True)
class Gradient:
    """`stops`: place 0 to 1 and colour. `angle`: degrees clockwise from left to right; None: outwards
    from the centre, in circles if `round` and else in rectangles."""

    stops: tuple[tuple[float, Tone], ...]
    angle: float | None
    round: bool = False


@dataclass(frozen=True)
class Picture:
    """An encoded picture stretched over the shape. `crop`: shares cut off left, top, right, bottom."""

    data: bytes
    crop: tuple[float, float, float, float]
    alpha: float = 1.0


Fill = Tone | Gradient | Picture


@dataclass(frozen=True)
class Stroke:
    """`dash`: lengths of strokes and gaps in widths of the line; none: drawn through. `arrows`: at its start, end."""

    width: float
    tone: Tone
    dash: tuple[float, ...] = ()
    arrows: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Shadow:
    tone: Tone
    blur: float
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """`paths` in the shape's own box, its top left at (0, 0); `matrix` (3, 3) takes it to the slide."""

    width: float
    height: float
    matrix: Floats
    paths: tuple[Path, ...]
    fill: Fill | None = None
    stroke: Stroke | None = None
    shadow: Shadow | None = None


@dataclass
class Frame:
    """A place for text: the box within a shape's insets, its top left at (0, 0); `matrix` takes it to the slide.

    `body`: the txBody that is filled and read. `role`: title, body, caption, cell ...; `words`: what stood there.
    `name`: the shape's own. `row`, `column`: of a table's cell. `direction`: horz, eaVert, vert or vert270.
    """

    body: Element
    chain: Chain
    width: float
    height: float
    matrix: Floats
    role: str
    words: str
    name: str = ""
    anchor: str = "t"
    direction: str = "horz"
    row: int = -1
    column: int = -1


@dataclass(frozen=True)
class Scene:
    """A slide of `width` x `height`. `left_out`: slight effects that are not drawn (glow, bevel), for the record."""

    width: float
    height: float
    background: Fill
    items: tuple[Drawing | Frame, ...]
    left_out: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tuple(item for item in self.items if isinstance(item, Frame)))
