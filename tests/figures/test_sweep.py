"""The film against its definition: where each disc must be, what colour, how long each frame."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import CASES, PHOTO, rgb, run, sampling
from PIL import Image, ImageSequence

from deformviz import ImageMap, Kernel, Sampling
from deformviz.examples import path as example
from deformviz.explore import Settings, explore
from deformviz.figures import index_colors, save_sweep, sweep
from deformviz.figures.sweep import sweep_frames, sweep_positions
from deformviz.images import decode

SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (2, 7), (5, 5), (24, 17), (64, 1), (200, 333)]
GREY = np.full((100, 100, 3), 90, dtype=np.uint8)
"""A ground on which every mark shows."""


def made_up(moves: list[list[float]], mask: list[float] | None = None, **other: Any) -> Sampling:
    """Nine taps, 20 pixels apart around the middle of 100 x 100, moved by (dy, dx) everywhere.

    Its output is one position; tap k's place in the regular grid is 30 + 20 * divmod(k, 3).
    """
    kernel = Kernel.of(3, stride=100, padding=0, dilation=20)
    offset = torch.tensor(moves, dtype=torch.float32).reshape(-1, 9, 2, 1, 1)
    reference = 30 + 20.0 * torch.cartesian_prod(torch.arange(3), torch.arange(3))
    base = reference.reshape(1, 9, 2, 1, 1).expand_as(offset)
    weight = None if mask is None else torch.tensor(mask).reshape(-1, 9, 1, 1)
    return Sampling("made up", (100, 100), (1, 1), kernel, offset, base, weight, **other)


def still(s: Sampling, image: np.ndarray | None = GREY, side: int = 400) -> np.ndarray:
    """The first frame: [H, W, 3]."""
    return np.asarray(sweep_frames(s, image, frames=2, side=side)[0])


def color_of(s: Sampling, tap: int, group: int = 0) -> tuple[int, ...]:
    """A tap's colour, or a group's where each has one tap."""
    return rgb(index_colors(s.groups)[group] if s.taps == 1 else index_colors(s.taps)[tap])


def place(point: torch.Tensor, scale: float) -> tuple[int, int]:
    """The pixel of a frame at a point of the image, whose pixel 0 spans -0.5 to 0.5."""
    y, x = ((float(v) + 0.5) * scale for v in point)
    return (math.floor(y), math.floor(x))


# The walk


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frames", [2, 3, 48, 600])
def test_the_walk_is_the_formula_rounded_and_inside(size: tuple[int, int], frames: int) -> None:
    walk = sweep_positions(size, frames)
    assert len(walk) == frames
    assert all(type(v) is int for place in walk for v in place)
    t = 2 * np.pi * np.arange(frames) / frames
    exact = np.column_stack((1 + 0.9 * np.sin(2 * t), 1 - 0.9 * np.cos(3 * t)))
    exact *= (np.array(size) - 1) / 2
    assert np.abs(np.array(walk) - exact).max() <= 0.5 + 1e-6
    assert (np.array(walk) >= 0).all()
    assert (np.array(walk) < size).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_walk_closes_without_a_jump(size: tuple[int, int]) -> None:
    walk = np.array(sweep_positions(size, 96))
    steps = np.abs(np.diff(np.concatenate((walk, walk[:1])), axis=0))
    # No faster than the curve, 0.9 (n - 1) / 2 times 2 and 3 a radian, and one for rounding.
    fastest = 0.9 * (np.array(size) - 1) / 2 * [2, 3] * 2 * np.pi / 96
    assert (steps <= fastest + 1).all()


@pytest.mark.parametrize("size", [(24, 17), (200, 333)])
def test_the_walk_goes_all_over_the_output(size: tuple[int, int]) -> None:
    walk = np.array(sweep_positions(size, 200))
    assert (walk.min(axis=0) <= 0.06 * np.array(size)).all()
    assert (walk.max(axis=0) >= 0.94 * np.array(size) - 1).all()
    thirds = {tuple(third) for third in (3 * walk // np.array(size)).tolist()}
    assert len(thirds) == 9


def test_a_half_goes_up_whatever_the_last_digit_of_its_sine() -> None:
    # sin 2t is zero at all of these, give or take 1e-16.
    assert [y for y, _ in sweep_positions((10, 10), 4)] == [5, 5, 5, 5]


# The frames


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


# The GIF


@cache
def photo() -> np.ndarray:
    """An example of 256 x 256: [256, 256, 3]."""
    pixels = decode(example("retina"), max_side=256).pixels
    assert pixels.shape == (256, 256, 3)
    return pixels


@cache
def explored(**settings: Any) -> Sampling:
    return explore(photo(), Settings(**settings)).sampling


def read(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """The frames of a GIF, [H, W, 3] each, and their milliseconds."""
    with Image.open(path) as film:
        assert film.format == "GIF"
        assert film.info["loop"] == 0
        parts = [(f.convert("RGB"), f.info["duration"]) for f in ImageSequence.Iterator(film)]
    return [np.asarray(picture) for picture, _ in parts], [time for _, time in parts]


def color_tables(data: bytes) -> int:
    """How many tables of colours a GIF has, the global one and those of frames (GIF89a)."""

    def table(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 128 else 0

    found, at = int(table(data[10]) > 0), 13 + table(data[10])
    while data[at] != 0x3B:  # the trailer
        if data[at] == 0x2C:  # an image: its descriptor, its table, the size of its codes
            found += int(table(data[at + 9]) > 0)
            at += 10 + table(data[at + 9]) + 1
        else:  # an extension and its label
            assert data[at] == 0x21
            at += 2
        while data[at]:  # blocks of data, each after its length
            at += 1 + data[at]
        at += 1
    assert at == len(data) - 1
    return found


@pytest.mark.parametrize(
    ("frames", "seconds"), [(48, 6.0), (2, 1), (7, 1.0), (50, 1.0), (29, 0.58), (100, 3.33)]
)
def test_a_loop_of_so_many_frames_in_so_many_seconds(
    frames: int, seconds: float, tmp_path: Path
) -> None:
    s = explored(dilation=3)
    save_sweep(s, tmp_path / "a.gif", photo(), frames=frames, seconds=seconds, side=64)
    pictures, times = read(tmp_path / "a.gif")
    assert len(pictures) == frames
    assert sum(times) == round(1000 * seconds)
    assert max(times) - min(times) <= 10
    assert min(times) >= 20


def test_each_frame_is_that_of_sweep_frames_in_fewer_colours(tmp_path: Path) -> None:
    s = explored(field="wave", offset_groups=3, dilation=6)
    save_sweep(s, tmp_path / "a.gif", photo(), frames=12, seconds=2, side=256)
    pictures, _ = read(tmp_path / "a.gif")
    for picture, frame in zip(pictures, sweep_frames(s, photo(), frames=12, side=256), strict=True):
        difference = np.abs(picture.astype(int) - np.asarray(frame).astype(int))
        assert difference.mean() < 4
        assert np.quantile(difference, 0.999) < 48


def test_what_does_not_move_does_not_flicker(tmp_path: Path) -> None:
    s = explored(dilation=6)
    save_sweep(s, tmp_path / "a.gif", photo(), frames=12, seconds=2, side=256)
    pictures, _ = read(tmp_path / "a.gif")
    frames = [np.asarray(f) for f in sweep_frames(s, photo(), frames=12, side=256)]
    ground = np.median(frames, axis=0).astype(np.uint8)
    quiet = np.logical_and.reduce([(f == ground).all(axis=-1) for f in frames])
    assert quiet.mean() > 0.5
    for picture in pictures:
        assert np.array_equal(picture[quiet], pictures[0][quiet])


@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 5), (11, 11)])
def test_a_taps_colour_survives_the_palette(kernel_size: tuple[int, int], tmp_path: Path) -> None:
    s = explored(operator="Deformable Conv v1", kernel_size=kernel_size, field="dilate", dilation=9)
    save_sweep(s, tmp_path / "a.gif", photo(), frames=5, seconds=2, side=1024)
    pictures, _ = read(tmp_path / "a.gif")
    seen = 0
    for picture, (y, x) in zip(pictures, sweep_positions(s.output_size, 5), strict=True):
        for tap, point in enumerate(s.points_at(y, x)[0]):
            row, column = place(point, 4)
            if 0 <= row < 1024 and 0 <= column < 1024:
                assert tuple(picture[row, column]) == color_of(s, tap), (y, x, tap)
                seen += 1
    assert seen > s.taps


def test_of_very_many_colours_one_that_is_near_is_taken(tmp_path: Path) -> None:
    """A group for each of 400 channels, apart from one another on 20 rows and columns."""
    places = 2.5 + 5.0 * torch.cartesian_prod(torch.arange(20), torch.arange(20))
    reference = places.reshape(400, 1, 2, 1, 1)
    offset = torch.zeros_like(reference)
    s = Sampling("channels", (100, 100), (1, 1), Kernel.of(1), offset, reference)
    save_sweep(s, tmp_path / "a.gif", GREY, frames=2, seconds=1, side=2000)
    (picture, *_), _ = read(tmp_path / "a.gif")
    for group, point in enumerate(s.points_at(0, 0)[:, 0]):
        difference = picture[place(point, 20)].astype(int) - color_of(s, 0, group)
        assert np.abs(difference).max() <= 5


def test_the_photo_has_no_spots_of_the_taps_colours(tmp_path: Path) -> None:
    s = explored()
    save_sweep(s, tmp_path / "a.gif", photo(), frames=2, seconds=1, side=256)
    (picture, _), _ = read(tmp_path / "a.gif")
    frame = np.asarray(sweep_frames(s, photo(), frames=2, side=256)[0])
    untouched = (frame == photo()).all(axis=-1)
    for tap in range(s.taps):
        assert not (picture[untouched] == color_of(s, tap)).all(axis=-1).any()


def test_a_photo_makes_a_small_file_with_one_table_of_colours(tmp_path: Path) -> None:
    save_sweep(explored(kernel_size=(5, 5)), tmp_path / "a.gif", photo())
    data = (tmp_path / "a.gif").read_bytes()
    assert len(data) < 300_000
    assert color_tables(data) == 1


def test_noise_is_no_more_than_its_first_frame_and_what_moved(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    save_sweep(explored(), tmp_path / "a.gif", noise)
    data = (tmp_path / "a.gif").read_bytes()
    assert len(data) < 2 * 480 * 480
    assert color_tables(data) == 1


def test_a_flat_ground_keeps_its_colour(tmp_path: Path) -> None:
    s = made_up([[8.0, 9.0]] * 9)
    save_sweep(s, tmp_path / "a.gif", GREY, frames=4, seconds=1, side=400)
    (picture, *_), _ = read(tmp_path / "a.gif")
    assert tuple(picture[0, 0]) == tuple(picture[-1, -1]) == (90, 90, 90)


def test_frames_that_agree_are_one_that_lasts_as_long(tmp_path: Path) -> None:
    save_sweep(
        made_up([[8.0, 9.0]] * 9), tmp_path / "a.gif", GREY, frames=600, seconds=600, side=64
    )
    data = (tmp_path / "a.gif").read_bytes()
    assert b"NETSCAPE2.0\x03\x01\x00\x00\x00" in data  # loops for ever
    with Image.open(tmp_path / "a.gif") as film:
        assert getattr(film, "n_frames", 1) == 1
        assert film.info["duration"] == 600_000


# The file


def test_a_path_may_be_a_string_and_what_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")
    save_sweep(made_up([[8.0, 9.0]] * 9), str(path), frames=2, seconds=1, side=32)
    assert path.read_bytes().startswith(b"GIF89a")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("after", [0, 10])
def test_nothing_half_written_is_left(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")
    drawn, draw = [], sweep._frame

    def fails(*args: Any) -> Image.Image:
        drawn.append(args)
        if len(drawn) > after:
            raise MemoryError
        return draw(*args)

    monkeypatch.setattr(sweep, "_frame", fails)
    with pytest.raises(MemoryError):
        save_sweep(explored(), path, photo(), frames=20, seconds=2, side=32)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_sweep(made_up([[8.0, 9.0]] * 9), tmp_path / "none" / "a.gif", frames=2, seconds=1)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        save_sweep(made_up([[8.0, 9.0]] * 9), tmp_path / "folder", frames=2, seconds=1)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


# Requests that cannot be met

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"frames": 1}, r"frames must be a whole number from 2 to 600, got 1$"),
    ({"frames": 601}, r"frames must be a whole number from 2 to 600, got 601$"),
    ({"frames": 12.0}, r"frames must be a whole number from 2 to 600, got 12\.0$"),
    ({"frames": "12"}, r"frames must be a whole number from 2 to 600, got '12'$"),
    ({"side": 15}, r"side must be a whole number from 16 to 2048, got 15$"),
    ({"side": 2049}, r"side must be a whole number from 16 to 2048, got 2049$"),
    ({"side": None}, r"side must be a whole number from 16 to 2048, got None$"),
    ({"image": GREY / 255}, r"\[H, W, 3\] uint8, got float64 \[100, 100, 3\]$"),
    ({"image": GREY[..., 0]}, r"\[H, W, 3\] uint8, got uint8 \[100, 100\]$"),
    ({"image": GREY[..., :2]}, r"\[H, W, 3\] uint8, got uint8 \[100, 100, 2\]$"),
    ({"image": GREY[:0]}, r"\[H, W, 3\] uint8, got uint8 \[0, 100, 3\]$"),
    ({"image": GREY.tolist()}, r"\[H, W, 3\] uint8 or None, got a list$"),
    ({"image": torch.zeros(100, 100, 3)}, r"\[H, W, 3\] uint8 or None, got a Tensor$"),
    ({"image": GREY[:40]}, r"does not cover an image of \(40, 100\)"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[m for _, m in WRONG])
def test_a_request_that_cannot_be_met(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    s = made_up([[8.0, 9.0]] * 9)
    with pytest.raises(ValueError, match=message):
        sweep_frames(s, **arguments)
    with pytest.raises(ValueError, match=message):
        save_sweep(s, tmp_path / "a.gif", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0, -1.0, 0.19, 601, math.nan, math.inf, "6", None])
def test_seconds_out_of_range(seconds: Any, tmp_path: Path) -> None:
    message = "seconds must be a number from 0.2 to 600 for 10 frames, got "
    with pytest.raises(ValueError, match=message):
        save_sweep(made_up([[8.0, 9.0]] * 9), tmp_path / "a.gif", frames=10, seconds=seconds)
    assert not list(tmp_path.iterdir())
