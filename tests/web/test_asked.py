"""From the controls' values to a run."""

from __future__ import annotations

import contextlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deformviz import examples
from deformviz.analysis import ShiftResult, compare_strategies
from deformviz.explore import OPERATORS, Settings, explore
from deformviz.images import ImageError
from deformviz.web import asked as web
from deformviz.web.asked import Asked, five_ways, run

PHOTO = np.random.default_rng(0).integers(0, 256, (23, 18, 3), dtype=np.uint8)

ASKED = Asked(
    photo=None,
    example="cat",
    side=48,
    operator="Deformable Conv v2",
    kernel_height=3,
    kernel_width=3,
    stride=1,
    dilation=1,
    weights="mean",
    field="wave",
    strength=3.0,
    offset_groups=1,
    mask="radial",
    mask_strength=1.0,
    guide="by colour",
    regions=4,
    generated=False,
    radius=True,
    coordinate_weight=0.3,
    directions="up, down, left, right",
    strategy="slice",
    border="zero",
    seed=0,
)


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
    Image.new("RGB", (600, 800)).save(path)
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
