"""Drawn data: glyphs of any size and angle on textured ground.

Pillow draws each character once, large; a scene is one affine look-up of it, so that a batch of 64
takes a few milliseconds and no picture need be shown twice.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

CHARACTERS = "2345ABEFGR"
"""None of which is another one turned, nor itself when turned by less than a full turn."""

SIDE = 64
"""Rows and columns of a scene."""

_ATLAS = 96


@lru_cache(maxsize=1)
def atlas() -> Tensor:
    """The characters white on black, each as large as its square allows: [10, 96, 96] in [0, 1].

    Their circumscribed circle's diameter is the square's side, so that turned they fit as well.
    """
    font = ImageFont.load_default(size=_ATLAS)
    drawn = []
    for character in CHARACTERS:
        left, top, right, bottom = font.getbbox(character, stroke_width=4)
        width, height = math.ceil(right - left), math.ceil(bottom - top)
        ink = Image.new("L", (width, height))
        ImageDraw.Draw(ink).text((-left, -top), character, 255, font, stroke_width=4)
        scale = _ATLAS / math.hypot(width, height)
        ink = ink.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
        square = Image.new("L", (_ATLAS, _ATLAS))
        square.paste(ink, ((_ATLAS - ink.width) // 2, (_ATLAS - ink.height) // 2))
        drawn.append(torch.tensor(list(square.tobytes()), dtype=torch.float32))
    return torch.stack(drawn).reshape(-1, _ATLAS, _ATLAS) / 255


def uniform(generator: torch.Generator, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """[count] numbers, evenly between two."""
    return low + (high - low) * torch.rand(count, generator=generator)


def ground(generator: torch.Generator, count: int, side: int = SIDE) -> Tensor:
    """Cloudy, woven texture of any colour: [count, 3, side, side] in [0, 1]."""
    shade = torch.zeros(count, 1, side, side)
    for cells, strength in ((3, 0.10), (8, 0.07), (side // 4, 0.05), (side // 2, 0.05)):
        noise = torch.randn(count, 1, cells, cells, generator=generator)
        shade += strength * F.interpolate(noise, (side, side), mode="bicubic")
    tint = torch.rand(count, 3, 1, 1, generator=generator)
    return (0.25 + 0.5 * tint + shade).clamp(0, 1)


def place(glyph: Tensor, size: Tensor, degrees: Tensor, centre: Tensor, side: int = SIDE) -> Tensor:
    """The ink of one glyph an image: [B, side, side] in [0, 1].

    Args:
        glyph: [B] numbers of characters.
        size: [B] diameters of the circle around it, in pixels.
        degrees: [B] turned by, clockwise as seen on the screen.
        centre: [B, 2], (y, x) in pixels.
    """
    angle = degrees * (math.pi / 180)
    cos, sin = angle.cos() * side / size, angle.sin() * side / size
    middle = (2 * centre + 1) / side - 1  # [B, 2], in [-1, 1] over the scene
    y, x = middle.unbind(1)
    # affine_grid wants where each output pixel reads, x first: the inverse turn and scale.
    rows = torch.stack(
        (
            torch.stack((cos, sin, -cos * x - sin * y), 1),
            torch.stack((-sin, cos, sin * x - cos * y), 1),
        ),
        1,
    )
    grid = F.affine_grid(rows, [len(glyph), 1, 2 * side, 2 * side], align_corners=False)
    fine = F.grid_sample(atlas()[glyph][:, None], grid, align_corners=False)
    return F.avg_pool2d(fine, 2)[:, 0]


def paint(scene: Tensor, ink: Tensor, generator: torch.Generator) -> Tensor:
    """Ink [B, H, W] of one colour an image on scenes [B, 3, H, W], well apart from the ground."""
    mean = scene.mean(dim=(2, 3))
    colour = torch.rand(len(ink), 3, generator=generator) * 0.3
    colour = torch.where(mean.mean(1, keepdim=True) > 0.5, colour, 1 - colour)
    return scene * (1 - ink[:, None]) + colour[:, :, None, None] * ink[:, None]
