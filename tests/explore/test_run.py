"""Every operator on small random images, against second implementations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.explore import (
    MAX_POINTS,
    OPERATORS,
    Exploration,
    Settings,
    explore,
    largest_side,
    points,
)
from deformviz.fields import FIELDS, MASKS
from deformviz.guides import GUIDES
from deformviz.kernels import KERNELS, kernel_weight
from deformviz.operators.spatial_shift import DIRECTIONS

SIZES = (1, 2, 3, 4, 5, 7, 11)
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "coarse": {
        "stride": 2,
        "dilation": 3,
        "weights": "Sobel x",
        "field": "random",
        "mask": "random",
        "guide": "random",
        "directions": "diagonals",
        "strategy": "roll",
        "border": "circular",
        "radius": False,
        "seed": 7,
    },
    "in three groups": {
        "weights": "identity",
        "field": "rotate",
        "strength": -130.0,
        "offset_groups": 3,
        "mask": "edge-following",
        "mask_strength": 0.4,
        "guide": "by edges",
        "regions": 8,
        "generated": True,
        "directions": "all eight",
        "border": "keep",
        "coordinate_weight": -1.0,
    },
    "far away": {
        "dilation": 16,
        "weights": "random",
        "field": "saddle",
        "strength": 80.0,
        "mask": "one",
        "regions": 1,
        "directions": "up, down",
        "strategy": "grid_sample",
        "border": "replicate",
        "seed": 2**31 - 1,
    },
}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


IMAGE = noise(24, 17)


def tensor(image: np.ndarray) -> Tensor:
    """[1, 3, H, W], in [0, 1]."""
    return torch.tensor(image).movedim(2, 0)[None] / 255


def assert_checks_pass(result: Exploration) -> None:
    failed = [check for check in result.checks if not check.passed]
    assert not failed
    assert len(result.checks) == 2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_passes_its_checks(operator: str, size: int, variant: str) -> None:
    asked = Settings(operator=operator, kernel_size=(size, size), **VARIANTS[variant])
    result = explore(IMAGE, asked)
    assert_checks_pass(result)
    assert result.settings == asked
    assert result.picture.shape == (3, *result.sampling.output_size)
    assert result.picture.isfinite().all()
    assert result.sampling.name == operator
    assert result.sampling.input_size == (24, 17)
    assert result.milliseconds > 0
    assert result.device == "cpu"


@pytest.mark.parametrize("size", [(1, 7), (5, 2), (11, 1)], ids=str)
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_kernel_need_not_be_square(operator: str, size: tuple[int, int]) -> None:
    assert_checks_pass(explore(IMAGE, Settings(operator=operator, kernel_size=size)))


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_same_settings_give_the_same_picture(operator: str) -> None:
    asked = Settings(operator=operator, field="random", generated=True, seed=3)
    assert torch.equal(explore(IMAGE, asked).picture, explore(IMAGE, asked).picture)


OTHERWISE: dict[str, Any] = {
    "stride": 3,
    "dilation": 2,
    "weights": "Sobel y",
    "field": "rotate",
    "strength": 4.0,
    "offset_groups": 3,
    "mask": "random",
    "mask_strength": 0.5,
    "guide": "random",
    "regions": 3,
    "generated": True,
    "radius": False,
    "coordinate_weight": 0.7,
    "parameters": "learned",
    "directions": "diagonals",
    "border": "replicate",
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_picture_depends_on_the_controls_and_on_nothing_else(operator: str) -> None:
    """The strategy is left out: each gives the same picture, which is the point of them."""
    asked = Settings(operator=operator)
    picture = explore(IMAGE, asked).picture
    for name, value in OTHERWISE.items():
        other = explore(IMAGE, replace(asked, **{name: value})).picture
        differs = not torch.equal(picture, other)
        assert differs == (name in OPERATORS[operator].controls), name


def test_a_run_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for operator in OPERATORS:
        explore(IMAGE, Settings(operator=operator, field="random", generated=True))
    assert torch.equal(torch.rand(3), expected)


def test_a_run_leaves_the_image_alone() -> None:
    image = IMAGE.copy()
    for operator in OPERATORS:
        explore(image, Settings(operator=operator))
    assert (image == IMAGE).all()


@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_convolution_with_the_mean_is_average_pooling(size: int) -> None:
    result = explore(IMAGE, Settings(operator="Convolution", kernel_size=(size, size)))
    expected = F.avg_pool2d(tensor(IMAGE), size, 1, size // 2)[0]
    torch.testing.assert_close(result.picture, expected)


@pytest.mark.parametrize("weights", KERNELS)
def test_convolution_is_conv2d_on_each_colour(weights: str) -> None:
    asked = Settings(
        operator="Convolution", kernel_size=(3, 5), stride=2, dilation=2, weights=weights
    )
    weight = kernel_weight(weights, (3, 5))[None, None]
    for colour, seen in enumerate(explore(IMAGE, asked).picture):
        one = tensor(IMAGE)[:, colour : colour + 1]
        expected = F.conv2d(one, weight, stride=2, padding=(2, 4), dilation=2)
        torch.testing.assert_close(seen, expected[0, 0])


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("operator", ["Deformable Conv v1", "Deformable Conv v2"])
def test_deformable_convolution_equals_torchvision(operator: str, field: str, groups: int) -> None:
    asked = Settings(
        operator=operator,
        kernel_size=(3, 4),
        stride=2,
        dilation=2,
        weights="random",
        field=field,
        mask="random",
        offset_groups=groups,
    )
    seen = explore(IMAGE, asked).sampling
    assert (seen.mask is None) == (operator == "Deformable Conv v1")
    expected = torchvision_deform_conv2d(
        tensor(IMAGE),
        seen.offset.reshape(1, -1, *seen.output_size),
        kernel_weight("random", (3, 4)).expand(3, 1, 3, 4).contiguous(),
        stride=2,
        padding=(2, 3),
        dilation=2,
        mask=None if seen.mask is None else seen.mask.reshape(1, -1, *seen.output_size),
    )
    torch.testing.assert_close(seen.output, expected[0], atol=1e-5, rtol=0)


def test_deformable_convolution_by_hand() -> None:
    """A 1 x 1 identity that reads 3 rows down and 4 columns to the right."""
    asked = Settings(
        operator="Deformable Conv v1",
        kernel_size=(1, 1),
        weights="identity",
        field="shift",
        strength=5.0,
    )
    expected = F.pad(tensor(IMAGE)[0, :, 3:, 4:], (0, 4, 0, 3))
    torch.testing.assert_close(explore(IMAGE, asked).picture, expected, atol=1e-5, rtol=0)


def test_three_offset_groups_move_the_colours_apart() -> None:
    asked = Settings(
        kernel_size=(1, 1), weights="identity", field="shift", strength=5.0, offset_groups=3
    )
    result = explore(IMAGE, asked)
    x = tensor(IMAGE)[0]
    assert result.sampling.groups == 3
    shown = result.picture
    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(shown[0], F.pad(x[0, 3:, 4:], (0, 4, 0, 3)), **close)
    torch.testing.assert_close(shown[1], x[1], **close)
    torch.testing.assert_close(shown[2], F.pad(x[2, :-3, :-4], (4, 0, 3, 0)), **close)


def test_the_mask_is_what_v2_adds_to_v1() -> None:
    v1 = explore(IMAGE, Settings(operator="Deformable Conv v1", mask="random"))
    ones = explore(IMAGE, Settings(mask="random", mask_strength=0.0))
    full = explore(IMAGE, Settings(mask="random"))
    torch.testing.assert_close(ones.picture, v1.picture)
    assert (full.picture - v1.picture).abs().max() > 0.05


def test_a_mask_that_does_not_vary_takes_no_memory_for_it() -> None:
    """Of the mask that a radial field gives, exp(-2 r²), 1 at the centre and e⁻² at the corners."""
    seen = explore(IMAGE, Settings(mask="radial")).sampling
    assert seen.mask is not None
    assert list(seen.mask.shape) == [1, 9, *seen.output_size]
    assert seen.mask.untyped_storage().nbytes() <= 4 * 9
    corner, edge = math.exp(-2), math.exp(-1)
    expected = torch.tensor([corner, edge, corner, edge, 1, edge, corner, edge, corner])
    for y, x in ((0, 0), (seen.output_size[0] - 1, seen.output_size[1] - 1)):
        torch.testing.assert_close(seen.mask[0, :, y, x], expected)


def test_dr_conv_gives_each_region_its_own_kernel() -> None:
    """Identity, the first of the kernels, for the dark half, and the next, mean, for the light."""
    image = noise(12, 20) // 4
    image[:, 10:] += 190
    asked = Settings(operator="DRConv", weights="identity", guide="by colour", regions=2)
    result = explore(image, asked)
    x = tensor(image)
    assert result.sampling.region is not None
    assert result.sampling.region.tolist() == [[0] * 10 + [1] * 10] * 12
    expected = torch.cat((x[..., :10], F.avg_pool2d(x, 3, 1, 1)[..., 10:]), dim=3)[0]
    torch.testing.assert_close(result.picture, expected)


def test_dr_convs_generator_depends_on_the_seed_and_the_image() -> None:
    asked = Settings(operator="DRConv", generated=True)
    one = explore(IMAGE, asked).sampling.weight
    assert one is not None
    for other in (explore(IMAGE, replace(asked, seed=1)), explore(255 - IMAGE, asked)):
        assert other.sampling.weight is not None
        assert not torch.equal(one, other.sampling.weight)


def test_coord_conv_adds_x_to_red_y_to_green_and_the_radius_to_blue() -> None:
    asked = Settings(
        operator="CoordConv", kernel_size=(1, 1), weights="identity", coordinate_weight=0.5
    )
    y = torch.linspace(-1, 1, 24)[:, None].expand(24, 17)
    x = torch.linspace(-1, 1, 17).expand(24, 17)
    added = torch.stack((x, y, (x**2 + y**2).sqrt())) / 2
    torch.testing.assert_close(explore(IMAGE, asked).picture, tensor(IMAGE)[0] + added)
    added[2] = 0
    without = explore(IMAGE, replace(asked, radius=False)).picture
    torch.testing.assert_close(without, tensor(IMAGE)[0] + added)


@pytest.mark.parametrize("border", ["zero", "replicate", "circular"])
@pytest.mark.parametrize("size", [3, 5, 11])
def test_spatial_shift_shows_the_average_of_the_shifted_photos(size: int, border: str) -> None:
    reach = size // 2
    mode = {"zero": "constant", "replicate": "edge", "circular": "wrap"}[border]
    padded = np.pad(IMAGE / 255, ((reach, reach), (reach, reach), (0, 0)), mode)
    h, w = IMAGE.shape[:2]
    copies = [
        padded[reach - dy : reach - dy + h, reach - dx : reach - dx + w]
        for dy, dx in ((-reach, 0), (reach, 0), (0, -reach), (0, reach))
    ]
    expected = torch.tensor(np.mean(copies, axis=0)).float().movedim(2, 0)
    asked = Settings(operator="Spatial shift", kernel_size=(size, size), border=border)
    result = explore(IMAGE, asked)
    torch.testing.assert_close(result.picture, expected, atol=1e-6, rtol=0)
    assert result.sampling.groups == 4


@pytest.mark.parametrize("strategy", ["roll", "deform_conv2d", "depthwise", "grid_sample"])
def test_only_slicing_can_keep_what_was_there(strategy: Any) -> None:
    asked = Settings(operator="Spatial shift", strategy=strategy, border="keep")
    with pytest.raises(ValueError, match="cannot honour the border rule 'keep': it can do zero"):
        explore(IMAGE, asked)


@pytest.mark.parametrize("width", [1, 3, 4, 11])
def test_cycle_fc_averages_a_row_of_pixels(width: int) -> None:
    half = width // 2
    padded = F.pad(tensor(IMAGE), (half, width - 1 - half))
    expected = F.avg_pool2d(padded, (1, width), 1)[0]
    result = explore(IMAGE, Settings(operator="CycleFC", kernel_size=(3, width)))
    torch.testing.assert_close(result.picture, expected)


def test_active_shift_averages_four_shifts_within_the_kernel() -> None:
    asked = Settings(operator="Active Shift", kernel_size=(3, 7))
    result = explore(IMAGE, asked)
    shifts = result.sampling.offset[:, 0, :, 0, 0]  # [4, 2], one for each copy of the photo
    assert len(shifts.unique(dim=0)) == 4
    assert shifts[:, 0].abs().max() <= 1
    assert shifts[:, 1].abs().max() <= 3
    x, expected = tensor(IMAGE), 0
    for shift in shifts:
        offset = shift[None, :, None, None].expand(1, 2, 24, 17)
        expected = expected + torchvision_deform_conv2d(x, offset, torch.eye(3)[..., None, None])
    torch.testing.assert_close(result.picture, expected[0] / 4, atol=1e-5, rtol=0)


def test_active_shift_with_a_kernel_of_one_moves_nothing() -> None:
    asked = Settings(operator="Active Shift", kernel_size=(1, 1))
    torch.testing.assert_close(explore(IMAGE, asked).picture, tensor(IMAGE)[0])


# What is refused.


def test_an_unknown_operator_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'Involution'") as caught:
        explore(IMAGE, Settings(operator="Involution"))
    assert all(name in str(caught.value) for name in OPERATORS)


@pytest.mark.parametrize(
    ("shape", "groups", "million"), [((600, 600), 1, "44"), ((320, 320), 3, "37")]
)
def test_too_many_points_are_refused(shape: tuple[int, int], groups: int, million: str) -> None:
    asked = Settings(kernel_size=(11, 11), offset_groups=groups)
    with pytest.raises(ValueError, match="take a smaller working size") as caught:
        explore(np.zeros((*shape, 3), np.uint8), asked)
    message = str(caught.value)
    assert f"121 taps at {shape[0]} x {shape[1]} positions" in message
    assert f"{million} million points, more than 34" in message
    assert "kernel, or a larger stride" in message
    longest = largest_side(asked, shape)
    assert longest % 32 == 0
    assert 121 * groups * longest**2 <= MAX_POINTS < 121 * groups * (longest + 32) ** 2


@pytest.mark.parametrize("shape", [(500, 2000), (2000, 500), (3, 900_000), (4096, 4096)])
@pytest.mark.parametrize("stride", [1, 3])
def test_what_is_told_to_fit_can_be_run(shape: tuple[int, int], stride: int) -> None:
    """Of the same shape, whichever way its shorter side is rounded."""
    asked = Settings(kernel_size=(11, 7), stride=stride, offset_groups=3)
    longest = largest_side(asked, shape, most_points=500_000)
    short = math.ceil(min(shape) * longest / max(shape))
    image = np.zeros((short, longest, 3) if shape[0] < shape[1] else (longest, short, 3), np.uint8)
    sampling = explore(image, asked).sampling
    found = sampling.taps * sampling.groups * math.prod(sampling.output_size)
    assert found == points(asked, image.shape[:2]) <= 500_000


def test_what_fits_is_not_made_smaller() -> None:
    assert largest_side(Settings(), (777, 333)) == 777


CONVOLUTIONS = [name for name, row in OPERATORS.items() if "weights" in row.controls]


@pytest.mark.parametrize("operator", CONVOLUTIONS)
def test_a_kernel_that_leaves_nothing_of_one_pixel_is_refused(operator: str) -> None:
    with pytest.raises(ValueError, match="take a smaller kernel or dilation, more padding"):
        explore(noise(1, 1), Settings(operator=operator, kernel_size=(2, 2)))


# Sizes.


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 9), (65, 64)], ids=str)
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_small_image_is_taken(operator: str, shape: tuple[int, int]) -> None:
    for size in (1, 3, 11):
        result = explore(noise(*shape), Settings(operator=operator, kernel_size=(size, size)))
        assert_checks_pass(result)
        assert result.picture.shape == (3, *shape)


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 1), (640, 480)], ids=str)
@pytest.mark.parametrize("weights", ["identity", "mean"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_large_or_long_image_passes_the_checks(
    operator: str, weights: str, shape: tuple[int, int]
) -> None:
    """Noise has the steepest slopes: a coordinate's last bit shows in the value read there."""
    asked = Settings(operator=operator, kernel_size=(1, 3), weights=weights, field="random")
    assert_checks_pass(explore(noise(*shape), asked))


def test_a_long_image_passes_the_checks_with_normalised_coordinates() -> None:
    asked = Settings(operator="Spatial shift", strategy="grid_sample")
    assert_checks_pass(explore(noise(1, 4000), asked))


# Whatever the settings.

FIELD_AND_STRENGTH = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.fixed_dictionaries(
        {
            "field": st.just(name),
            "strength": st.none() | st.floats(-FIELDS[name].maximum, FIELDS[name].maximum),
        }
    )
)
OTHERS = st.fixed_dictionaries(
    {
        "operator": st.sampled_from(list(OPERATORS)),
        "kernel_size": st.tuples(st.integers(1, 11), st.integers(1, 11)),
        "stride": st.integers(1, 8),
        "dilation": st.integers(1, 16),
        "weights": st.sampled_from(list(KERNELS)),
        "offset_groups": st.sampled_from([1, 3]),
        "mask": st.sampled_from(list(MASKS)),
        "mask_strength": st.floats(0, 1),
        "guide": st.sampled_from(list(GUIDES)),
        "regions": st.integers(1, 8),
        "generated": st.booleans(),
        "radius": st.booleans(),
        "coordinate_weight": st.floats(-1, 1),
        "directions": st.sampled_from(list(DIRECTIONS)),
        "strategy": st.sampled_from(["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]),
        "border": st.sampled_from(["zero", "replicate", "circular", "keep"]),
        "seed": st.integers(0, 2**31 - 1),
    }
)


def refusal(image: np.ndarray, asked: Settings) -> str | None:
    """Run, and return what was said against it; a run that is not refused passes its checks."""
    try:
        result = explore(image, asked)
    except ValueError as error:
        return str(error)
    assert_checks_pass(result)
    assert result.picture.shape == (3, *result.sampling.output_size)
    return None


@settings(max_examples=200)
@given(OTHERS, FIELD_AND_STRENGTH)
def test_any_settings_run_or_say_why_not(others: dict[str, Any], field: dict[str, Any]) -> None:
    asked = Settings(**others, **field)
    refused = refusal(IMAGE, asked)
    shift = asked.operator == "Spatial shift"
    assert bool(refused) == (shift and asked.border == "keep" and asked.strategy != "slice")


@settings(max_examples=50)
@given(OTHERS, FIELD_AND_STRENGTH, st.integers(1, 5), st.integers(1, 5))
def test_any_settings_on_a_tiny_image_run_or_say_why_not(
    others: dict[str, Any], field: dict[str, Any], height: int, width: int
) -> None:
    refused = refusal(noise(height, width), Settings(**others, **field))
    assert refused is None or "take a smaller kernel" in refused or "border rule" in refused
