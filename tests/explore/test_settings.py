"""What settings are taken, and what is said about those that are not."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from deformviz import Kernel
from deformviz.explore import (
    GUIDE_NAMES,
    MASK_NAMES,
    MAX_KERNEL,
    OFFSETS,
    OPERATORS,
    PARAMETER_NAMES,
    Settings,
)
from deformviz.kernels import KERNELS
from deformviz.operators.spatial_shift import DIRECTIONS

NAN, INFINITY = float("nan"), float("inf")

NAMES: dict[str, list[str]] = {
    "weights": list(KERNELS),
    "field": list(OFFSETS),
    "mask": list(MASK_NAMES),
    "guide": list(GUIDE_NAMES),
    "parameters": list(PARAMETER_NAMES),
    "directions": list(DIRECTIONS),
    "strategy": ["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"],
    "border": ["zero", "replicate", "circular", "keep"],
}
LIMITS: dict[str, tuple[float, float]] = {
    "stride": (1, 8),
    "dilation": (1, 16),
    "regions": (1, 8),
    "learned_layer": (1, 3),
    "mask_strength": (0, 1),
    "coordinate_weight": (-1, 1),
    "seed": (0, 2**31 - 1),
}


def test_the_default_settings_are_settings() -> None:
    assert Settings().operator in OPERATORS


@pytest.mark.parametrize("name", NAMES)
def test_every_known_name_is_taken(name: str) -> None:
    for value in NAMES[name]:
        Settings(**{name: value})


@pytest.mark.parametrize("value", ["unheard of", "", "ZERO", None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_name_is_answered_with_the_known_ones(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be one of") as caught:
        Settings(**{name: value})
    assert all(known in str(caught.value) for known in NAMES[name])
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_themselves_are_taken(name: str) -> None:
    for value in LIMITS[name]:
        Settings(**{name: value})


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("beyond", ["below", "above", "NaN", "infinite"])
def test_a_number_out_of_range_is_answered_with_the_limits(name: str, beyond: str) -> None:
    low, high = LIMITS[name]
    value = {"below": low - 1, "above": high + 1, "NaN": NAN, "infinite": INFINITY}[beyond]
    with pytest.raises(ValueError, match="must be between") as caught:
        Settings(**{name: value})
    message = f"{name.replace('_', ' ')} must be between {low} and {high}, got {value}"
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [0, MAX_KERNEL + 1])
def test_a_kernel_out_of_range_is_answered_with_the_limits(value: int) -> None:
    with pytest.raises(ValueError, match=f"kernel height must be between 1 and 11, got {value}"):
        Settings(kernel_size=(value, 3))
    with pytest.raises(ValueError, match=f"kernel width must be between 1 and 11, got {value}"):
        Settings(kernel_size=(3, value))


@pytest.mark.parametrize("name", OFFSETS)
def test_the_strength_is_limited_by_its_field(name: str) -> None:
    limit = OFFSETS[name].maximum
    for strength in (-limit, 0.0, limit, None):
        Settings(field=name, strength=strength)
    for strength in (-limit - 0.1, limit + 0.1, NAN, INFINITY, -INFINITY):
        with pytest.raises(ValueError, match="strength of the field") as caught:
            Settings(field=name, strength=strength)
        assert f"{name!r} must be between {-limit} and {limit}, got {strength}" in str(caught.value)


@pytest.mark.parametrize("groups", [0, 2, 4, -1, NAN])
def test_offset_groups_are_one_or_three(groups: int) -> None:
    Settings(offset_groups=1)
    Settings(offset_groups=3)
    with pytest.raises(ValueError, match=f"must be 1, or 3 .*got {groups}"):
        Settings(offset_groups=groups)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 3, 5, 11])
def test_padding_keeps_the_size_of_the_image(length: int, dilation: int) -> None:
    kernel = Settings(kernel_size=(length, length), dilation=dilation).kernel
    assert kernel.output_size((40, 23)) == (40, 23)


@pytest.mark.parametrize(("dilation", "lost"), [(1, 1), (2, 0), (3, 1)])
def test_padding_of_an_even_size_loses_at_most_one(dilation: int, lost: int) -> None:
    kernel = Settings(kernel_size=(4, 2), dilation=dilation).kernel
    assert kernel.output_size((40, 23)) == (40 - lost, 23 - lost)


def test_the_kernel_follows_the_settings() -> None:
    kernel = Settings(kernel_size=(3, 5), stride=2, dilation=3).kernel
    assert kernel == Kernel((3, 5), (2, 2), (3, 6), (3, 3))


def test_the_shifts_reach_half_the_kernel() -> None:
    assert Settings(kernel_size=(3, 11)).reach == (1, 5)
    assert Settings(kernel_size=(1, 4)).reach == (0, 2)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_controls_of_an_operator_are_settings(name: str) -> None:
    known = {field.name for field in fields(Settings)}
    assert set(OPERATORS[name].controls) <= known - {"operator", "kernel_size", "seed"}
