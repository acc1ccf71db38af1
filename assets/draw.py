"""Draw the two example images that are no photographs: ``python assets/draw.py``.

Both come out the same on every run. They are drawn at four times their size and then averaged down,
so that every edge is smooth, and what a warp does to it is the warp's doing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 512
FINE = 4  # pixels of the drawing to a pixel of the image
CENTRE = SIDE / 2
SEED = 7

INK = (38, 42, 54)
CREAM = (250, 248, 243)
QUADRANTS = ((188, 214, 230), (247, 214, 178), (200, 224, 196), (238, 200, 208))
GLYPH_COLOURS = ((27, 73, 101), (190, 73, 47), (43, 106, 82), (110, 64, 120), INK, (176, 124, 28))
CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabdefghkmnqrstuy23456789&"
GLYPH_SIZES = (
    170,
    140,
    120,
    104,
    *[84] * 5,
    *[64] * 9,
    *[46] * 18,
    *[32] * 40,
    *[22] * 70,
    *[14] * 90,
)
GLYPH_GAP = 3  # pixels that stay free around each


def scaled(*values: float) -> tuple[float, ...]:
    """Turn pixels of the image into pixels of the drawing."""
    return tuple(value * FINE for value in values)


def mixed(colour: tuple[int, int, int], part: float) -> tuple[int, int, int]:
    """Lay ``part`` of the ink, 0 to 1, over a colour."""
    red, green, blue = (round(c + (i - c) * part) for c, i in zip(colour, INK, strict=True))
    return red, green, blue


def test_card() -> Image.Image:
    """Draw a ruled grid with circles and rays on four colours, [512, 512] RGB."""
    card = Image.new("RGB", (SIDE * FINE, SIDE * FINE), CREAM)
    draw = ImageDraw.Draw(card)
    for index, colour in enumerate(QUADRANTS):
        top, left = index // 2 * CENTRE, index % 2 * CENTRE
        box = scaled(left, top, left + CENTRE, top + CENTRE)
        draw.rectangle(box, fill=colour)
        clip = Image.new("L", card.size)
        ImageDraw.Draw(clip).rectangle(box, fill=255)
        card.paste(ruled(colour), mask=clip)
    rings(draw)
    corner_targets(draw)
    frame(draw)
    return card.reduce(FINE)


def ruled(colour: tuple[int, int, int]) -> Image.Image:
    """Rule one colour with a line every 16 pixels, a stronger one every 64."""
    sheet = Image.new("RGB", (SIDE * FINE, SIDE * FINE), colour)
    draw = ImageDraw.Draw(sheet)
    for step, before, after, part in ((16, 0, 1, 0.36), (64, 1, 1, 0.72)):
        ink = mixed(colour, part)
        for place in range(step, SIDE, step):
            near, far = scaled(place - before, place + after)  # whole pixels: a crisp line
            draw.rectangle((near, 0, far - 1, SIDE * FINE), fill=ink)
            draw.rectangle((0, near, SIDE * FINE, far - 1), fill=ink)
    return sheet


def rings(draw: ImageDraw.ImageDraw) -> None:
    """Draw circles around the centre, with rays between the inner and the outer one."""
    for radius, width in ((32, 2.0), (64, 1.5), (112, 1.5), (160, 1.5), (216, 2.75)):
        circle(draw, CENTRE, CENTRE, radius, width)
    for angle in np.arange(0, 360, 15):
        direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        start, end = CENTRE + 32 * direction, CENTRE + 216 * direction
        width = 2.0 if angle % 45 == 0 else 1.0
        draw.line(scaled(*start, *end), fill=INK, width=round(width * FINE))
    for radius, colour in ((24, INK), (16, CREAM), (8, (206, 66, 53))):
        box = scaled(CENTRE - radius, CENTRE - radius, CENTRE + radius, CENTRE + radius)
        draw.ellipse(box, fill=colour)


def corner_targets(draw: ImageDraw.ImageDraw) -> None:
    """Draw a quartered disc in each corner: its turn and its shape show what a warp does there."""
    for x in (56, SIDE - 56):
        for y in (56, SIDE - 56):
            box = scaled(x - 28, y - 28, x + 28, y + 28)
            draw.ellipse(box, fill=CREAM)
            draw.pieslice(box, 0, 90, fill=INK)
            draw.pieslice(box, 180, 270, fill=INK)
            circle(draw, x, y, 28, 2.0)


def frame(draw: ImageDraw.ImageDraw) -> None:
    """Draw a border of black and white blocks, 8 by 32 pixels each."""
    thickness, block = 8, 32
    for index, place in enumerate(range(0, SIDE, block)):
        first = INK if index % 2 == 0 else CREAM
        second = CREAM if index % 2 == 0 else INK
        for near, colour in ((0, first), (SIDE - thickness, second)):
            across = scaled(place, near, place + block, near + thickness)
            along = scaled(near, place, near + thickness, place + block)
            draw.rectangle(across, fill=colour)
            draw.rectangle(along, fill=colour)


def circle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, width: float) -> None:
    """Draw the outline of a circle, its line centred on the radius."""
    reach = radius + width / 2
    box = scaled(x - reach, y - reach, x + reach, y + reach)
    draw.ellipse(box, outline=INK, width=round(width * FINE))


def glyphs() -> Image.Image:
    """Draw letters and digits of many sizes and angles on a soft ground, [512, 512] RGB."""
    rng = np.random.default_rng(SEED)
    sheet = paper(rng)
    taken = np.zeros((SIDE, SIDE), bool)
    characters = itertools.cycle(rng.permutation(list(CHARACTERS)))
    colours = itertools.cycle(GLYPH_COLOURS)
    for size in GLYPH_SIZES:
        glyph = turned_glyph(rng, next(characters), size)
        place = free_place(rng, taken, glyph)
        if place is None:
            continue
        row, column = place
        sheet.paste(next(colours), (column * FINE, row * FINE), glyph)
        footprint = np.asarray(glyph.reduce(FINE)) > 0
        taken[row : row + footprint.shape[0], column : column + footprint.shape[1]] |= footprint
    return sheet.reduce(FINE)


def paper(rng: np.random.Generator) -> Image.Image:
    """Make a warm ground with cloudy, woven shades, at the drawing's size."""
    shade = np.zeros((SIDE, SIDE))
    for cells, strength in ((4, 7.0), (12, 4.0), (40, 2.5)):
        noise = rng.standard_normal((cells, cells)).astype(np.float32)
        cloud = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        shade += strength * np.asarray(cloud)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    shade += 2.0 * np.sin(rows * np.pi / 4) + 2.0 * np.sin(columns * np.pi / 4)
    ground = np.array([240, 232, 216]) + shade[..., None] * np.array([1.0, 1.0, 1.15])
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    return image.resize((SIDE * FINE, SIDE * FINE), Image.Resampling.BICUBIC)


def turned_glyph(rng: np.random.Generator, character: str, size: int) -> Image.Image:
    """Draw one character as a mask, upright or bold, turned by any angle and cut to its edges."""
    font = ImageFont.load_default(size=size * FINE)
    stroke = int(rng.integers(2)) * size * FINE // 32
    left, top, right, bottom = font.getbbox(character, stroke_width=stroke)
    mask = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), character, 255, font, stroke_width=stroke)
    turned = mask.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC, expand=True)
    return turned.crop(turned.getbbox())


def free_place(
    rng: np.random.Generator, taken: np.ndarray, glyph: Image.Image
) -> tuple[int, int] | None:
    """Find a (row, column) of the image where the glyph stays clear of all others; None if none.

    ``taken`` is [512, 512] bool: where the image has ink.
    """
    reach = 2 * GLYPH_GAP
    small = np.asarray(glyph.reduce(FINE)) > 0
    padded = Image.fromarray(np.pad(small, GLYPH_GAP))
    halo = np.asarray(padded.convert("L").filter(ImageFilter.MaxFilter(reach + 1))) > 0
    height, width = halo.shape
    for _ in range(600):
        row, column = rng.integers(0, (SIDE - height, SIDE - width))
        if not (taken[row : row + height, column : column + width] & halo).any():
            return int(row) + GLYPH_GAP, int(column) + GLYPH_GAP
    return None


DRAWINGS: dict[str, Callable[[], Image.Image]] = {"grid": test_card, "glyphs": glyphs}


def main() -> None:
    """Write each drawing beside this script, in ``images/``."""
    for name, draw in DRAWINGS.items():
        few_colours = draw().quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few_colours.save(Path(__file__).parent / "images" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
