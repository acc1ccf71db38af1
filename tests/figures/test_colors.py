"""Colours against second implementations: torchvision's wheel, plotly's scales, colour vision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from drawn import rgb, scaled
from torchvision.utils import flow_to_image

from deformviz.figures import direction_colors, index_colors, robust_top, wheel_picture
from deformviz.figures.colors import FieldPalette, color_table, index_rgb, lookup

PALETTES: tuple[FieldPalette, ...] = ("perceptual", "Middlebury")


def vectors(angles: np.ndarray, length: float = 1.0) -> np.ndarray:
    """Vectors of one length, (dy, dx), angles from dx > 0 towards dy > 0: [2, 1, n]."""
    return length * np.stack((np.sin(angles), np.cos(angles)))[:, None]


# Directions


@pytest.mark.parametrize("top", [1.0, 0.01, 250.0])
def test_the_middlebury_colours_are_those_of_torchvision(top: float) -> None:
    angles = np.linspace(-np.pi, np.pi, 721)
    rings = [vectors(angles, top * share) for share in np.linspace(0, 1, 21)]
    field = np.concatenate(rings, axis=1)  # [2, 21, 721]
    ours = direction_colors(field, top, "Middlebury")
    # Ours are (dy, dx), theirs are (dx, dy), divided by the longest, which is `top`.
    theirs = flow_to_image(torch.tensor(field[::-1].copy(), dtype=torch.float32))
    difference = np.abs(ours[..., :3].astype(int) - theirs.movedim(0, -1).numpy().astype(int))
    assert difference.max() <= 2
    assert (ours[..., 3] == 255).all()


def test_the_middlebury_wheel_is_white_in_its_middle() -> None:
    assert direction_colors(np.zeros((2, 1, 1)), 1.0, "Middlebury").tolist() == [[[255] * 4]]


@pytest.mark.parametrize("palette", PALETTES)
def test_what_is_longer_than_the_top_has_the_full_colour(palette: FieldPalette) -> None:
    angles = np.linspace(-3, 3, 25)
    full = direction_colors(vectors(angles, 2.0), 2.0, palette)
    assert np.array_equal(direction_colors(vectors(angles, 1e6), 2.0, palette), full)


def test_the_perceptual_colour_goes_with_direction_alone_and_the_opacity_with_length() -> None:
    angles = np.linspace(-3, 3, 25)
    full, half = (direction_colors(vectors(angles, n), 4.0, "perceptual") for n in (4, 2))
    assert np.array_equal(full[..., :3], half[..., :3])
    assert (full[..., 3] == 255).all()
    assert (np.abs(half[..., 3].astype(int) - 127.5) < 1).all()
    assert direction_colors(np.zeros((2, 1, 1)), 4.0, "perceptual")[0, 0, 3] == 0


@pytest.mark.parametrize("palette", PALETTES)
def test_colours_turn_with_the_direction_without_a_jump(palette: FieldPalette) -> None:
    angles = np.linspace(1e-6, 2 * np.pi - 1e-6, 3600)
    around = direction_colors(vectors(angles), 1.0, palette)[0, :, :3]
    steps = np.abs(np.diff(around.astype(int), axis=0)).max(axis=1)
    assert steps.max() <= 5  # a tenth of a degree on


def test_the_perceptual_wheel_closes() -> None:
    """The other has a seam at dx > 0, where its definition leaves out the step to the first hue."""
    zeros = np.array([[[0.0, -0.0, 1e-9, -1e-9]], [[1.0] * 4]])
    colors = direction_colors(zeros, 1.0, "perceptual")[0].astype(int)
    assert (np.abs(colors - colors[0]) <= 1).all()


@pytest.mark.parametrize("palette", PALETTES)
def test_opposite_directions_have_plainly_different_colours(palette: FieldPalette) -> None:
    angles = np.linspace(0, 2 * np.pi, 73)
    there, back = (direction_colors(vectors(a), 1.0, palette) for a in (angles, angles + np.pi))
    assert np.abs(there.astype(int) - back.astype(int)).max(axis=-1).min() > 40


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_vector_that_is_not_finite_is_transparent(palette: FieldPalette, broken: float) -> None:
    field = np.ones((2, 1, 3), dtype=np.float32)
    field[0, 0, 0] = field[1, 0, 2] = broken
    alpha = direction_colors(field, 1.0, palette)[0, :, 3]
    assert alpha.tolist() == [0, 255, 0]


@pytest.mark.parametrize("palette", PALETTES)
def test_the_legend_shows_each_direction_where_it_points(palette: FieldPalette) -> None:
    wheel = wheel_picture(palette, 97)
    assert wheel.shape == (97, 97, 4)
    for row, column in [(48, 96), (48, 0), (0, 48), (96, 48), (48, 72), (30, 30), (70, 20)]:
        dy, dx = (row - 48) / 48, (column - 48) / 48
        expected = direction_colors(np.array([[[dy]], [[dx]]]), 1.0, palette)[0, 0]
        assert np.abs(wheel[row, column].astype(int) - expected.astype(int)).max() <= 1
    right = direction_colors(np.array([[[0.0]], [[1.0]]]), 1.0, palette)[0, 0]
    left = direction_colors(np.array([[[0.0]], [[-1.0]]]), 1.0, palette)[0, 0]
    assert wheel[48, 96].tolist() == right.tolist() != left.tolist()
    rows, columns = np.indices((97, 97)) - 48
    assert (wheel[np.hypot(rows, columns) > 48.01, 3] == 0).all()


# Categories


@pytest.mark.parametrize("count", range(1, 10))
def test_categories_have_colours_of_their_own(count: int) -> None:
    colors = index_colors(count)
    assert len(colors) == len(set(colors)) == count
    assert colors == index_colors(9)[:count]  # a tap keeps its colour where the kernel grows
    assert index_rgb(count).tolist() == [list(rgb(color)) for color in colors]


@pytest.mark.parametrize("count", [10, 25, 49, 121])
def test_many_are_steps_of_one_scale(count: int) -> None:
    ours = index_rgb(count)
    assert np.abs(ours - scaled(np.arange(count), "Viridis", 0, count - 1)).max() <= 1
    assert len(np.unique(ours, axis=0)) == count


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency" (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
PLAINLY_DIFFERENT = 10
"""A distance in CIE Lab; about 2 can just be seen side by side."""


def linear(colors: np.ndarray) -> np.ndarray:
    """sRGB, 0 to 255, as amounts of light."""
    share = colors / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """Linear sRGB [n, 3] in CIE Lab under D65."""
    xyz = light @ np.array(
        [
            [0.4124564, 0.2126729, 0.0193339],
            [0.3575761, 0.7151522, 0.1191920],
            [0.1804375, 0.0721750, 0.9503041],
        ]
    )
    share = xyz / [0.95047, 1.0, 1.08883]
    f = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.column_stack(
        (116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2]))
    )


def test_the_distance_of_black_and_white() -> None:
    black, white = lab(linear(np.array([[0.0] * 3, [255.0] * 3])))
    assert np.linalg.norm(white - black) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("count", [8, 9])
def test_categories_stay_apart_for_colour_blind_eyes(count: int, vision: str) -> None:
    seen = lab(np.clip(linear(index_rgb(count).astype(float)) @ VISION[vision].T, 0, 1))
    colors = index_colors(count)
    close = {
        (colors[i], colors[j]): round(float(distance), 1)
        for i, j in itertools.combinations(range(count), 2)
        if (distance := np.linalg.norm(seen[i] - seen[j])) < PLAINLY_DIFFERENT
    }
    assert close == {}


# Scales


def test_the_top_of_a_scale_ignores_one_exploded_offset() -> None:
    values = np.linspace(0, 8, 1000)
    values[17] = 1e9
    assert 7.5 < robust_top(values) <= 8


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_the_top_of_a_scale_ignores_what_is_not_finite(broken: float) -> None:
    assert robust_top(np.array([broken, *[3.0] * 10])) == 3
    assert robust_top(torch.tensor([3.0, broken])) == 3
    assert robust_top(np.array([broken])) == 1


def test_the_top_of_a_scale_is_never_zero() -> None:
    assert robust_top(np.zeros((4, 5))) == 1
    assert robust_top(np.zeros(0)) == 1
    assert robust_top(np.array([0.0] * 999 + [2.5])) == 2.5  # one vector that moves shows


@pytest.mark.parametrize("scale", ["Cividis", "Plasma", "PuOr", "Viridis"])
def test_a_picture_has_the_colours_of_its_colour_bar(scale: str) -> None:
    low, high = -2.0, 6.0
    values = np.linspace(low, high, 41).reshape(1, -1)
    colors = lookup(values, scale, low, high)
    assert colors.dtype == np.uint8
    assert np.abs(colors - scaled(values, scale, low, high)).max() <= 3  # a 256th of the scale
    ends = scaled(np.array([low, high]), scale, low, high)
    assert np.abs(colors[0, [0, -1]] - ends).max() <= 0.5
    beyond = lookup(np.array([[-1e9, 1e9]]), scale, low, high)
    assert np.array_equal(beyond[0], colors[0, [0, -1]])


def test_what_is_infinite_has_the_colour_of_its_end_of_the_scale() -> None:
    ends = lookup(np.array([[-np.inf, np.inf]]), "Cividis", 0.0, 1.0)
    assert np.array_equal(ends, lookup(np.array([[0.0, 1.0]]), "Cividis", 0.0, 1.0))


def test_a_flat_picture_has_one_colour() -> None:
    assert len(np.unique(lookup(np.full((3, 3), 2.0), "Cividis", 2.0, 2.0).reshape(-1, 3))) <= 3


def test_a_table_has_the_steps_that_are_asked_for() -> None:
    table = color_table("Cividis", 16)
    assert table.shape == (16, 3)
    assert np.abs(table - scaled(np.arange(16), "Cividis", 0, 15)).max() <= 0.5
