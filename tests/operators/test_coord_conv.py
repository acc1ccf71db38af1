"""CoordConv's channels against values written by hand, its output against F.conv2d."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from deformviz.operators import CoordConv2d, add_coordinates, coordinate_channels

ROOT2 = math.sqrt(2)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_channels_of_a_small_map_in_the_order_x_y_radius() -> None:
    x, y, radius = coordinate_channels((3, 5), radius=True).tolist()
    assert x == [[-1.0, -0.5, 0.0, 0.5, 1.0]] * 3
    assert y == [[-1.0] * 5, [0.0] * 5, [1.0] * 5]
    edge = math.sqrt(1.25)
    expected = [[ROOT2, edge, 1, edge, ROOT2], [1, 0.5, 0, 0.5, 1], [ROOT2, edge, 1, edge, ROOT2]]
    torch.testing.assert_close(torch.tensor(radius), torch.tensor(expected))


def test_channels_without_the_radius() -> None:
    assert coordinate_channels((2, 2)).tolist() == [[[-1, 1], [-1, 1]], [[-1, -1], [1, 1]]]


@pytest.mark.parametrize(
    ("size", "x", "y", "radius"),
    [
        ((1, 1), [[0.0]], [[0.0]], [[0.0]]),
        ((1, 3), [[-1.0, 0.0, 1.0]], [[0.0] * 3], [[1.0, 0.0, 1.0]]),
        ((2, 1), [[0.0], [0.0]], [[-1.0], [1.0]], [[1.0], [1.0]]),
    ],
    ids=["1x1", "1x3", "2x1"],
)
def test_a_map_one_pixel_wide_is_all_centre_and_finite(
    size: tuple[int, int], x: list[list[float]], y: list[list[float]], radius: list[list[float]]
) -> None:
    """Dividing by the size less one would give 0 / 0 here."""
    assert coordinate_channels(size, radius=True).tolist() == [x, y, radius]
    layer = CoordConv2d(2, 3, 3, padding=1, radius=True)
    assert layer(torch.randn(1, 2, *size)).isfinite().all()


@pytest.mark.parametrize("radius", [False, True])
def test_coordinates_come_after_the_input_in_every_image(radius: bool) -> None:
    x = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    got = add_coordinates(x, radius)
    assert got.shape == (3, 5 if radius else 4, 4, 5)
    assert got.dtype == torch.float64
    assert torch.equal(got[:, :2], x)
    for image in got:
        torch.testing.assert_close(image[2, 1], torch.linspace(-1, 1, 5, dtype=torch.float64))
        torch.testing.assert_close(image[3, :, 2], torch.linspace(-1, 1, 4, dtype=torch.float64))
        if radius:
            torch.testing.assert_close(image[4], (image[2] ** 2 + image[3] ** 2).sqrt())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_rounds_the_coordinates_once(dtype: torch.dtype) -> None:
    _, x, y, radius = add_coordinates(torch.zeros(1, 1, 300, 400, dtype=dtype), radius=True)[0]
    columns = torch.tensor([2 * i / 399 - 1 for i in range(400)], dtype=torch.float64)
    rows = torch.tensor([[2 * i / 299 - 1] for i in range(300)], dtype=torch.float64)
    assert x.dtype == dtype
    half_a_step = 0.501 * torch.finfo(dtype).eps  # of the numbers between 1 and 2
    for got, exact in ((x, columns), (y, rows), (radius, (columns**2 + rows**2).sqrt())):
        assert (got.double() - exact).abs().max() <= half_a_step


@pytest.mark.parametrize("radius", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_conv2d_over_input_and_coordinates(radius: bool, stride: int) -> None:
    layer = CoordConv2d(3, 4, (3, 2), stride, padding=1, dilation=2, radius=radius).double()
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    columns = torch.linspace(-1, 1, 7, dtype=torch.float64).expand(5, 7)
    rows = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None].expand(5, 7)
    extra = [columns, rows, (columns**2 + rows**2).sqrt()][: 3 if radius else 2]
    full = torch.cat([x, torch.stack(extra).expand(2, -1, -1, -1)], dim=1)
    weight, bias = layer.conv.weight, layer.conv.bias
    assert weight.shape == (4, 6 if radius else 5, 3, 2)
    expected = F.conv2d(full, weight, bias, stride, 1, 2)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("radius", [False, True])
def test_zero_coordinate_weights_are_a_convolution(radius: bool) -> None:
    layer = CoordConv2d(3, 4, 3, padding=1, radius=radius)
    with torch.no_grad():
        layer.conv.weight[:, 3:] = 0
    x = torch.randn(2, 3, 6, 5)
    expected = F.conv2d(x, layer.conv.weight[:, :3], layer.conv.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)


def test_is_not_translation_equivariant_while_a_convolution_is() -> None:
    layer = CoordConv2d(1, 1, 3, padding=1, bias=False).double()
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 3:5, 3:5] = torch.randn(2, 2)
    moved = x.roll((1, 2), dims=(2, 3))
    inner = (..., slice(2, 7), slice(3, 7))

    def gap(run: torch.nn.Module) -> float:
        return (run(moved) - run(x).roll((1, 2), dims=(2, 3)))[inner].abs().max().item()

    assert gap(layer) > 0.01
    with torch.no_grad():
        layer.conv.weight[:, 1:] = 0
    assert gap(layer) < 1e-12


def test_the_record_holds_the_coordinates_that_were_read() -> None:
    layer = CoordConv2d(2, 3, 3, stride=2, padding=1, radius=True)
    x = torch.randn(2, 2, 5, 6)
    s = layer.sampling(x, 1)
    assert s.name == "CoordConv"
    assert s.input is not None
    torch.testing.assert_close(s.input[2, 0], torch.linspace(-1, 1, 6))
    assert torch.equal(s.input[:2], x[1])
    torch.testing.assert_close(s.output, layer(x)[1])
