"""The weights to play with, against the filters that they are named after."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deformviz.kernels import KERNELS, kernel_weight

SIZES = [(1, 1), (1, 3), (2, 2), (3, 1), (3, 3), (3, 4), (4, 5), (7, 7), (11, 11), (11, 2)]


def photo() -> Tensor:
    return torch.rand(1, 1, 20, 23, generator=torch.Generator().manual_seed(1))


def ramp(size: int) -> Tensor:
    """A value that rises by one for each pixel to the right: [1, 1, size, size]."""
    return torch.arange(float(size)).expand(1, 1, size, size)


def applied(name: str, size: tuple[int, int], image: Tensor) -> Tensor:
    return F.conv2d(image, kernel_weight(name, size)[None, None])


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_has_its_size(name: str, size: tuple[int, int]) -> None:
    weight = kernel_weight(name, size)
    assert weight.shape == size
    assert weight.dtype == torch.float32
    assert weight.isfinite().all()
    assert weight.any()


@pytest.mark.parametrize("length", [1, 3, 5, 11])
def test_identity_returns_the_image(length: int) -> None:
    weight = kernel_weight("identity", (length, length))
    image = photo()
    assert torch.equal(F.conv2d(image, weight[None, None], padding=length // 2), image)


def test_identity_of_an_even_size_takes_the_upper_left_of_the_middle() -> None:
    assert kernel_weight("identity", (2, 2)).tolist() == [[1, 0], [0, 0]]
    assert kernel_weight("identity", (4, 3)).nonzero().tolist() == [[1, 1]]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_mean_is_average_pooling(size: tuple[int, int]) -> None:
    torch.testing.assert_close(applied("mean", size, photo()), F.avg_pool2d(photo(), size, 1))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gaussian_sums_to_one_and_is_symmetric(size: tuple[int, int]) -> None:
    weight = kernel_weight("Gaussian", size)
    assert weight.sum().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(weight, weight.flip(0, 1))
    assert (weight > 0).all()


def test_gaussian_is_binomial_and_separable() -> None:
    rows, columns = torch.tensor([1.0, 3, 3, 1]) / 8, torch.tensor([1.0, 4, 6, 4, 1]) / 16
    torch.testing.assert_close(kernel_weight("Gaussian", (4, 5)), rows[:, None] * columns)


def test_gaussian_is_a_two_tap_mean_again_and_again() -> None:
    image = photo()
    for _ in range(6):
        image = F.avg_pool2d(image, 2, 1)
    torch.testing.assert_close(applied("Gaussian", (7, 7), photo()), image)


def test_sobel_is_the_classic_filters_eighth() -> None:
    classic = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    torch.testing.assert_close(kernel_weight("Sobel x", (3, 3)), classic / 8)
    torch.testing.assert_close(kernel_weight("Sobel y", (3, 3)), classic.T / 8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sobel_y_is_sobel_x_on_its_side(size: tuple[int, int]) -> None:
    upright = kernel_weight("Sobel y", size)
    assert torch.equal(upright, kernel_weight("Sobel x", size[::-1]).T)


@pytest.mark.parametrize("width", [2, 3, 4, 5, 7, 11])
def test_sobel_measures_the_slope_at_every_size(width: int) -> None:
    slope = applied("Sobel x", (3, width), ramp(12))
    torch.testing.assert_close(slope, torch.ones_like(slope))


@pytest.mark.parametrize("width", [2, 3, 4, 5, 7, 11])
def test_sobel_sees_nothing_in_a_plain_or_crosswise_image(width: int) -> None:
    size = (width, width)
    for image in (torch.ones(1, 1, 12, 12), ramp(12).mT):
        result = applied("Sobel x", size, image)
        torch.testing.assert_close(result, torch.zeros_like(result), atol=1e-5, rtol=0)


def test_sobel_rises_from_dark_to_light() -> None:
    assert (applied("Sobel x", (5, 5), ramp(12)) > 0).all()
    assert (applied("Sobel y", (5, 5), ramp(12).mT) > 0).all()


def test_sobel_of_five_taps_smooths_the_difference_of_three() -> None:
    row = kernel_weight("Sobel x", (1, 5))[0]
    torch.testing.assert_close(row / row[4], torch.tensor([-1.0, -2, 0, 2, 1]))


@pytest.mark.parametrize("height", [1, 2, 5])
def test_sobel_of_one_tap_hands_the_value_on(height: int) -> None:
    upright = kernel_weight("Gaussian", (height, 1))
    assert torch.equal(kernel_weight("Sobel x", (height, 1)), upright)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_random_keeps_the_output_within_the_images_range(size: tuple[int, int]) -> None:
    assert kernel_weight("random", size, seed=4).abs().sum().item() == pytest.approx(1, abs=1e-5)


def test_random_is_the_same_for_the_same_seed_alone() -> None:
    first, again, other = (kernel_weight("random", (5, 5), seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'Laplace'") as caught:
        kernel_weight("Laplace", (3, 3))
    assert all(name in str(caught.value) for name in KERNELS)
