"""What the captioned photographs themselves carry, by eye: they are not clean where a test asks for clean ones."""

#: A photographer's line, signature, logo or slogan laid over the picture.
WATERMARKED = frozenset(
    f"000000{n}.jpg" for n in ("003845", "006460", "013201", "161044", "286458", "312237", "357081", "439180", "553664")
)
#: Bars or a frame around the picture.
BORDERED = frozenset(f"000000{n}.jpg" for n in ("002299", "009378", "010977", "553664"))
