"""The film's frames against their definition: where each disc must be, and what colour."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from drawn import CASES, PHOTO, run, sampling
from film import color_of, made_up, place, still

from deformviz import ImageMap, Kernel, Sampling
from deformviz.figures.sweep import sweep_frames, sweep_positions


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_every_operator_has_a_film(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    film = sweep_frames(s, PHOTO, frames=5, side=96)
    assert [(f.mode, f.size) for f in film] == [("RGB", (68, 96))] * 5
    grounds = {np.asarray(f).tobytes() for f in film}
    assert len(grounds) > 1


@pytest.mark.parametrize("operator", ["Deformable Conv v1", "Deformable Conv v2"])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_disc_of_the_taps_colour_is_where_the_position_reads(operator: str, stride: int) -> None:
    s = run(operator, field="shift", strength=3.0, dilation=5)
    image = np.repeat(np.repeat(PHOTO, stride, axis=0), stride, axis=1)
    s = replace(s, image_map=ImageMap.of_stride(stride))
    frames = sweep_frames(s, image, frames=24, side=480)
    for frame, (y, x) in zip(frames, sweep_positions(s.output_size, 24), strict=True):
        pixels = np.asarray(frame)
        found = 0
        for tap, point in enumerate(s.points_at(y, x)[0]):
            # On the map: a frame's 480 / 24 pixels to each of its own, whatever the image's.
            row, column = place(point, 480 / 24)
            if 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]:
                assert tuple(pixels[row, column]) == color_of(s, tap), (y, x, tap)
                found += 1
        assert found >= 2


def test_a_frame_shows_the_points_of_every_group() -> None:
    moves = [[5.0 * (group - 1), 6.0] for group in range(3) for _ in range(9)]
    s = made_up(moves)
    pixels = still(s)
    for group in range(3):
        for tap, point in enumerate(s.points_at(0, 0)[group]):
            assert tuple(pixels[place(point, 4)]) == color_of(s, tap)


def test_groups_of_one_tap_have_the_groups_colours() -> None:
    reference = torch.tensor([[20.0, 20], [50, 70], [80, 30]]).reshape(3, 1, 2, 1, 1)
    s = Sampling("shift", (100, 100), (1, 1), Kernel.of(1), torch.zeros(3, 1, 2, 1, 1), reference)
    pixels = still(s)
    for group in range(3):
        assert tuple(pixels[place(s.points_at(0, 0)[group, 0], 4)]) == color_of(s, 0, group)


def test_a_square_is_at_each_regular_tap_and_a_line_leads_to_the_moved_one() -> None:
    s = made_up([[8.0, 9.0]] * 9)
    pixels = still(s, side=800).astype(int)
    for base, point in zip(s.base_at(0, 0)[0], s.points_at(0, 0)[0], strict=True):
        row, column = place(base, 8)
        assert tuple(pixels[row, column]) == (255, 255, 255)
        assert pixels[row - 8 : row + 1, column].min() < 40  # the rim
        for share in (0.3, 0.4, 0.5):
            row, column = place(base + share * (point - base), 8)
            around = pixels[row - 1 : row + 2, column - 1 : column + 2]
            assert around.min(axis=-1).max() > 200


def test_a_tap_that_did_not_move_has_no_line() -> None:
    s = made_up([[0.0, 0.0]] * 8 + [[15.0, 15.0]])
    at_zero, moved = still(made_up([[0.0, 0.0]] * 9)), still(s)
    (rows, columns) = (at_zero != moved).any(axis=-1).nonzero()
    assert min(rows.min(), columns.min()) > 4 * 70 - 40  # around the last tap alone
    row, column = place(torch.tensor([30.0, 40.0]), 4)  # between two taps
    assert tuple(moved[row, column]) == (90, 90, 90)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_area_of_a_disc_is_its_mask(groups: int) -> None:
    mask = [0.25, 0.5, 1.0, 0.75, 1.0, 0.3, 0.6, 0.9, 0.4]
    moves = [[10.0 * group, 10.0 * group] for group in range(groups) for _ in range(9)]
    s = made_up(moves, mask=[m / (1 + group) for group in range(groups) for m in mask])
    pixels = still(s, side=2048)
    area = [(pixels == color_of(s, tap)).all(axis=-1).sum() for tap in range(9)]
    assert np.divide(area, area[2]) == pytest.approx(np.array(mask), rel=0.1)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_point_that_is_not_finite_is_not_drawn(broken: float) -> None:
    moves = [[8.0, 9.0]] * 9
    whole = still(made_up(moves))
    s = made_up([*moves[:4], [broken, 9.0], *moves[5:]])
    pixels = still(s)
    assert not (pixels == color_of(s, 4)).all(axis=-1).any()
    assert (whole == color_of(s, 4)).all(axis=-1).any()
    rows, columns = (pixels != whole).any(axis=-1).nonzero()  # the others are as they were
    assert rows.min() > 4 * 48
    assert rows.max() < 4 * 64
    assert columns.min() > 4 * 48


def test_a_frame_of_which_nothing_is_finite_is_the_picture() -> None:
    nowhere = replace(made_up([[0.0, 0.0]] * 9), reference=torch.full((1, 9, 2, 1, 1), math.nan))
    assert (still(nowhere) == 90).all()


@pytest.mark.parametrize("far", [1e4, 1e30])
def test_a_wild_offset_is_a_line_that_leaves_the_picture(far: float) -> None:
    s = made_up([[0.0, 0.0]] * 3 + [[0.0, -far]] + [[0.0, 0.0]] * 5)
    pixels = still(s)
    row, _ = place(torch.tensor([50.0, 30.0]), 4)
    assert (pixels[row, :100] > 150).all()
    assert (pixels[row + 20, :100] == 90).all()


def test_a_mask_that_is_not_a_number_is_a_small_disc() -> None:
    s = made_up([[0.0, 0.0]] * 9, mask=[math.nan, *[1.0] * 8])
    pixels = still(s, side=1600)
    area = [(pixels == color_of(s, tap)).all(axis=-1).sum() for tap in (0, 1)]
    assert 0 < area[0] < area[1] / 20


def test_of_two_discs_at_one_place_the_small_one_is_seen() -> None:
    s = made_up([[0.0, 0.0], [0.0, -20.0], *[[0.0, 0.0]] * 7], mask=[0.2, *[1.0] * 8])
    assert tuple(still(s)[place(torch.tensor([30.0, 30.0]), 4)]) == color_of(s, 0)


# The ground


def test_a_small_picture_keeps_its_pixels() -> None:
    s = replace(run("Convolution"), offset=torch.full((1, 9, 2, 24, 17), math.nan))
    frame = np.asarray(sweep_frames(s, PHOTO, frames=2, side=96)[0])
    large = np.repeat(np.repeat(PHOTO, 4, axis=0), 4, axis=1)
    marked = (frame != large).any(axis=-1)
    (y, x) = sweep_positions(s.output_size, 2)[0]
    rows, columns = marked.nonzero()  # the squares of the regular grid, and nothing else
    assert abs(rows - 4 * (y + 0.5)).max() < 8
    assert abs(columns - 4 * (x + 0.5)).max() < 8


def test_a_large_picture_is_shrunk_by_averaging() -> None:
    board = np.indices((400, 200)).sum(axis=0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    s = Sampling.regular("convolution", Kernel.of(1, stride=400), (400, 200))
    frame = still(s, image, side=100)
    assert frame.shape == (100, 50, 3)
    assert np.abs(frame[30:].astype(int) - 127.5).max() < 8


@pytest.mark.parametrize("stride", [1, 4, (8, 2)])
def test_without_an_image_the_map_itself_lies_under_the_points(stride: Any) -> None:
    s = replace(run("Convolution"), image_map=ImageMap.of_stride(stride))
    frame = np.asarray(sweep_frames(s, frames=2, side=240)[0])
    sy, sx = stride if isinstance(stride, tuple) else (stride, stride)
    scale = 240 / max(24 * sy, 17 * sx)
    assert frame.shape == (round(24 * sy * scale), round(17 * sx * scale), 3)
    far = s.output_size[0] - 2, s.output_size[1] - 2  # the walk begins far from there
    row, column = ((n + 0.5) * s * scale for n, s in zip(far, (sy, sx), strict=True))
    assert tuple(frame[int(row), int(column)]) == tuple(PHOTO[far])


def test_without_any_picture_the_points_are_drawn_all_the_same() -> None:
    s = made_up([[8.0, 9.0]] * 9)
    assert s.input is None
    pixels = still(s, None)
    assert tuple(pixels[0, 0]) == tuple(pixels[-1, -1])
    for tap, point in enumerate(s.points_at(0, 0)[0]):
        assert tuple(pixels[place(point, 4)]) == color_of(s, tap)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
@pytest.mark.parametrize("side", [16, 100])
def test_a_picture_of_one_pixel_or_one_row(shape: tuple[int, int], side: int) -> None:
    s = Sampling.regular("convolution", Kernel.of(3, padding=1), shape)
    frame = sweep_frames(s, np.zeros((*shape, 3), np.uint8), frames=3, side=side)[1]
    assert max(frame.size) == side
    assert min(frame.size) >= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_and_what_is_still_being_learned(dtype: torch.dtype) -> None:
    s = made_up([[8.0, 9.0]] * 9)
    learned = replace(s, offset=s.offset.to(dtype).requires_grad_())
    assert np.array_equal(still(learned), still(s))
