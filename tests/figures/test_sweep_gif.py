"""The film as a file: its frames, its colours, how long each lasts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from film import GREY, color_of, made_up, place
from PIL import Image, ImageSequence

from deformviz import Kernel, Sampling
from deformviz.examples import path as example
from deformviz.explore import Settings, explore
from deformviz.figures import save_sweep, sweep_gif
from deformviz.figures.sweep import sweep_frames, sweep_positions
from deformviz.images import decode


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
    drawn, draw = [], sweep_gif.draw_frame

    def fails(*args: Any) -> Image.Image:
        drawn.append(args)
        if len(drawn) > after:
            raise MemoryError
        return draw(*args)

    monkeypatch.setattr(sweep_gif, "draw_frame", fails)
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
