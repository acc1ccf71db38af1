"""From the controls' values to a run."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from plain_asked import ASKED as PLAIN

from deformviz import examples
from deformviz.analysis import ShiftResult, compare_strategies
from deformviz.explore import OPERATORS, Exploration, Settings, explore
from deformviz.geometry import once
from deformviz.images import ImageError
from deformviz.web import asked as web
from deformviz.web.asked import five_ways, run
from deformviz.web.bounded import Bounded

PHOTO = np.random.default_rng(0).integers(0, 256, (23, 18, 3), dtype=np.uint8)

ASKED = replace(PLAIN, side=48)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(PHOTO).save(path)
    return str(path)


# What is run


def test_every_setting_is_taken_from_its_control() -> None:
    other = Settings(
        operator="DRConv",
        kernel_size=(2, 5),
        stride=3,
        dilation=4,
        weights="Sobel y",
        field="rotate",
        strength=77.5,
        offset_groups=3,
        mask="random",
        mask_strength=0.25,
        guide="by edges",
        regions=7,
        generated=True,
        radius=False,
        coordinate_weight=-0.5,
        parameters="learned",
        learned_layer=2,
        directions="diagonals",
        strategy="roll",
        border="circular",
        seed=123456789,
    )
    default = Settings()
    values = {f.name: getattr(other, f.name) for f in fields(Settings)}
    assert not [name for name, value in values.items() if value == getattr(default, name)]
    height, width = values.pop("kernel_size")
    assert replace(ASKED, kernel_height=height, kernel_width=width, **values).settings == other


def test_whole_numbers_may_come_as_a_slider_gives_them() -> None:
    asked = replace(ASKED, kernel_height=5.0, kernel_width=3.0, stride=2.0, dilation=3.0, seed=4.0)
    settings = asked.settings
    assert (
        settings
        == replace(ASKED, kernel_height=5, kernel_width=3, stride=2, dilation=3, seed=4).settings
    )
    assert all(isinstance(n, int) for n in (*settings.kernel_size, settings.stride, settings.seed))


@pytest.mark.parametrize("name", ["seed", "stride", "kernel_height", "regions", "side"])
def test_a_field_that_was_emptied_is_no_failure_of_the_server(name: str) -> None:
    """Its default, or a ValueError, whose words are shown."""
    with contextlib.suppress(ValueError):
        run(replace(ASKED, operator="Convolution", **{name: None}), "cpu")


def test_a_photo_of_ones_own_goes_before_the_example(photo: str) -> None:
    assert replace(ASKED, photo=photo).path == photo
    assert ASKED.path == str(examples.path("cat"))
    assert replace(ASKED, photo="").path == ASKED.path


def test_an_unknown_example_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ImageError, match=r"no example image '\.\./secret'.*cat"):
        run(replace(ASKED, example="../secret"), "cpu")


def test_a_photo_that_is_not_there_is_not_named() -> None:
    with pytest.raises(ImageError, match="no such file") as caught:
        run(replace(ASKED, photo="/home/somebody/secret.png"), "cpu")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_run_is_the_cores_own(operator: str, photo: str) -> None:
    asked = replace(ASKED, photo=photo, operator=operator)
    ours, decoded = run(asked, "cpu")
    assert np.array_equal(decoded.pixels, PHOTO)
    other = explore(PHOTO, asked.settings)
    assert torch.equal(ours.sampling.points(), other.sampling.points())
    assert torch.equal(ours.picture, other.picture)


def test_the_same_again_runs_nothing(photo: str) -> None:
    asked = replace(ASKED, photo=photo)
    first, decoded = run(asked, "cpu")
    again, same = run(replace(asked, side=48.0, stride=1.0), "cpu")
    assert again is first
    assert same is decoded
    for change in ({"stride": 2}, {"side": 16}, {"seed": 1}, {"operator": "Convolution"}):
        other, _ = run(replace(asked, **change), "cpu")
        assert other is not first, change


# What is kept


def other_photo(path: Path, seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, PHOTO.shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    return str(path)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of all runs from here on that were not kept already."""
    made: list[Settings] = []

    def counted(pixels: np.ndarray, settings: Settings, device: str) -> Exploration:
        made.append(settings)
        return explore(pixels, settings, device)

    monkeypatch.setattr(web, "explore", counted)
    return made


def test_two_people_with_the_same_photo_share_a_run(runs: list[Settings], tmp_path: Path) -> None:
    ours = other_photo(tmp_path / "holiday.png", 1)
    theirs = other_photo(tmp_path / "from a friend.jpg", 1)
    first, _ = run(replace(ASKED, photo=ours), "cpu")
    second, _ = run(replace(ASKED, photo=theirs), "cpu")
    assert second is first
    assert len(runs) == 1


def test_nobody_gets_anothers_photo(tmp_path: Path) -> None:
    """Not even where both have the same name, one after the other."""
    path = tmp_path / "image.png"
    for seed in (2, 3):
        asked = replace(ASKED, photo=other_photo(path, seed))
        found, decoded = run(asked, "cpu")
        expected = np.random.default_rng(seed).integers(0, 256, PHOTO.shape, dtype=np.uint8)
        assert np.array_equal(decoded.pixels, expected)
        assert found.sampling.input is not None
        pixels = torch.from_numpy(expected).permute(2, 0, 1).float() / 255
        assert torch.equal(found.sampling.input, pixels)


def test_many_who_ask_for_the_same_at_once_wait_for_one_run(
    runs: list[Settings], tmp_path: Path
) -> None:
    asked = replace(ASKED, photo=other_photo(tmp_path / "image.png", 4))
    ready = threading.Barrier(6)

    def ask(_: int) -> Exploration:
        ready.wait()
        return run(asked, "cpu")[0]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    assert all(one is found[0] for one in found)
    assert len(runs) == 1


def test_a_kept_run_takes_no_memory_of_the_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As far as a device can be told from the processor where there is none."""
    moved: list[object] = []
    to = Exploration.to

    def recorded(self: Exploration, device: torch.device | str) -> Exploration:
        moved.append(device)
        return to(self, device)

    monkeypatch.setattr(Exploration, "to", recorded)
    found, _ = run(replace(ASKED, photo=other_photo(tmp_path / "image.png", 5)), "cpu")
    assert moved == ["cpu"]
    held = [*found.sampling.known().values(), found.picture, *closed_over(found.checking)]
    assert {tensor.device.type for tensor in held} == {"cpu"}
    # The check's own cut-out is no view of the photo, or else the photo were kept, too.
    assert max(tensor.numel() for tensor in closed_over(found.checking)) <= 3 * 64 * 64


def closed_over(function: Callable[..., object]) -> list[torch.Tensor]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [value for value in cells if isinstance(value, torch.Tensor)]


def test_what_is_kept_is_bounded_by_its_bytes(
    monkeypatch: pytest.MonkeyPatch, runs: list[Settings]
) -> None:
    one, _ = run(replace(ASKED, seed=100), "cpu")
    size = sum(once(t).nbytes for t in (*one.sampling.known().values(), one.picture))
    monkeypatch.setattr(web, "RUNS", Bounded(3 * size, web.RUNS._size))
    runs.clear()
    for seed in (100, 101, 102, 103, 103, 102, 101, 100):
        run(replace(ASKED, seed=seed), "cpu")
    assert [settings.seed for settings in runs] == [100, 101, 102, 103, 100]
    assert web.RUNS.held <= 3 * size


def test_a_photo_in_use_is_not_tidied_away(tmp_path: Path) -> None:
    """Gradio deletes files by the age of their last change."""
    path = other_photo(tmp_path / "image.png", 6)
    os.utime(path, (0, 0))
    run(replace(ASKED, photo=path), "cpu")
    assert Path(path).stat().st_mtime > time.time() - 60


# What is too much


def test_a_run_that_is_too_much_is_made_smaller_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (4096, 4096), (10, 200, 30)).save(path)
    asked = replace(ASKED, photo=str(path), side=1024, kernel_height=11, kernel_width=11)
    found, decoded = run(asked, "cpu")
    assert decoded.pixels.shape == (512, 512, 3)
    assert found.sampling.points().shape[-2:] == (512, 512)
    assert found.sampling.taps * 512 * 512 <= 32 * 2**20 < found.sampling.taps * 544 * 544
    *_, note = decoded.notes
    assert note == (
        "run at 512 x 512 pixels instead of 1024 x 1024: its taps at all positions would be "
        "127 million points, more than 34 million"
    )
    assert "shrunk from 4096 x 4096 to 512 x 512" in decoded.notes


def test_what_is_not_too_much_is_left_as_it_is(tmp_path: Path) -> None:
    """The photo's own size, even where it is no multiple of 32; and its shape, not its side."""
    path = tmp_path / "long.png"
    Image.new("RGB", (1000, 100), (10, 200, 30)).save(path)
    asked = replace(ASKED, photo=str(path), side=1024, kernel_height=11, kernel_width=11)
    found, decoded = run(asked, "cpu")
    assert decoded.pixels.shape == (100, 1000, 3)
    assert decoded.notes == ()
    assert found.sampling.output_size == (100, 1000)


# The five ways to shift


def test_five_ways_on_the_tensor_and_on_the_photo(photo: str) -> None:
    rows = five_ways(replace(ASKED, photo=photo, border="circular"), "cpu")["rows"]
    assert [row["strategy"] for row in rows] == [
        "slice",
        "roll",
        "deform_conv2d",
        "depthwise",
        "grid_sample",
    ]
    assert [row["image"]["difference"] for row in rows[:4]] == [0, 0, 0, 0]
    assert 0 < rows[4]["image"]["difference"] < 1e-4


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What is compared, for the asking; nothing is."""
    given: list[torch.Tensor] = []

    def compare(input: torch.Tensor, *_: Any) -> list[ShiftResult]:
        given.append(input)
        return [ShiftResult("slice", None, None, None)]

    monkeypatch.setattr(web, "compare_strategies", compare)
    return given


@pytest.mark.parametrize(
    ("side", "expected"),
    [(1024, (256, 192)), (288, (256, 192)), (256, (256, 192)), (128.0, (128, 96)), (32, (32, 24))],
)
def test_the_five_ways_are_compared_on_at_most_256_pixels(
    compared: list[torch.Tensor], tmp_path: Path, side: float, expected: tuple[int, int]
) -> None:
    """Whatever the working size: each way is run many times, and others wait for the device."""
    path = tmp_path / "large.png"
    Image.new("RGB", (600, 800), (int(side) // 8, 1, 2)).save(path)  # of each size another one
    five_ways(replace(ASKED, photo=str(path), side=side, directions="all eight"), "cpu")
    on_tensor, on_image = compared
    assert on_tensor.shape == (1, 8, 5, 5)
    assert on_image.shape == (1, 8 * 3, *expected)


def test_a_photo_that_is_small_already_is_compared_as_it_is(
    compared: list[torch.Tensor], photo: str
) -> None:
    five_ways(replace(ASKED, photo=photo, side=1024, directions="up, down"), "cpu")
    assert compared[1].shape == (1, 2 * 3, 23, 18)
    expected = torch.from_numpy(PHOTO).permute(2, 0, 1) / 255
    assert torch.equal(compared[1][0], expected.repeat(2, 1, 1))


def test_the_image_is_shifted_as_far_as_the_operator_does(
    monkeypatch: pytest.MonkeyPatch, photo: str
) -> None:
    given: list[tuple[Any, ...]] = []

    def compare(*arguments: Any) -> list[ShiftResult]:
        given.append(arguments[1:])
        return compare_strategies(*arguments, seconds=1e-4)

    monkeypatch.setattr(web, "compare_strategies", compare)
    asked = replace(ASKED, photo=photo, kernel_height=7, directions="diagonals", border="replicate")
    five_ways(asked, "cpu")
    (_, published), (shifts, border) = given
    assert published == border == "replicate"
    assert shifts == [(-3, -1), (-3, 1), (3, -1), (3, 1)]
    five_ways(asked, "cpu")
    assert len(given) == 2  # the same again is not timed again
