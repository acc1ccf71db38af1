"""The convolution and its record against F.conv2d and the definition written as a loop."""

from __future__ import annotations

import pytest
import reference
import torch
import torch.nn.functional as F

from deformviz.operators import Conv2d, conv2d_sampling

Pair = tuple[int, int]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3), (1, 1), (1, 1), (1, 1)),
        ((2, 5), (2, 1), (0, 3), (3, 1)),
        ((1, 1), (3, 2), (0, 0), (1, 1)),
    ],
    ids=["3x3", "2x5 strided dilated", "1x1 strided"],
)
def test_the_record_holds_the_convolution_of_that_image(
    groups: int, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    x = torch.randn(3, 4, 6, 7, dtype=torch.float64)
    weight = torch.randn(6, 4 // groups, *kernel, dtype=torch.float64)
    bias = torch.randn(6, dtype=torch.float64)
    s = conv2d_sampling(x, weight, bias, stride, padding, dilation, groups, index=1)
    expected = F.conv2d(x, weight, bias, stride, padding, dilation, groups)[1]
    torch.testing.assert_close(s.output, expected, rtol=0, atol=1e-12)
    still = torch.zeros(1, 2 * kernel[0] * kernel[1], *expected.shape[1:])
    loop = reference.deform_conv2d(x[1:2], still, weight, bias, stride, padding, dilation)
    torch.testing.assert_close(s.output, loop[0], rtol=0, atol=1e-12)
    assert torch.equal(s.input, x[1])
    assert torch.equal(s.weight, weight)
    assert torch.equal(s.bias, bias)
    assert s.offset.count_nonzero() == 0
    assert s.mask is None
    assert s.region is None


def test_the_layer_is_torchs() -> None:
    torch.manual_seed(5)
    layer = Conv2d(3, 4, (3, 2), stride=2, padding=(1, 0), dilation=2)
    torch.manual_seed(5)
    plain = torch.nn.Conv2d(3, 4, (3, 2), stride=2, padding=(1, 0), dilation=2)
    x = torch.randn(2, 3, 7, 8)
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=0)
    s = layer.sampling(x, 1)
    torch.testing.assert_close(s.output, plain(x)[1])
    assert (s.kernel.size, s.kernel.stride) == ((3, 2), (2, 2))
    assert (s.kernel.padding, s.kernel.dilation) == ((1, 0), (2, 2))


def test_the_record_of_a_grid_costs_no_memory() -> None:
    s = conv2d_sampling(torch.rand(1, 1, 50, 50), torch.rand(1, 1, 3, 3), padding=1)
    assert s.offset.shape == (1, 9, 2, 50, 50)
    assert s.offset.untyped_storage().nbytes() == s.offset.element_size()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"padding": "same"}, "padding='same', padding_mode='zeros'"),
        ({"padding": 1, "padding_mode": "reflect"}, r"padding=\(1, 1\), padding_mode='reflect'"),
    ],
    ids=["padding as a word", "padding mode"],
)
def test_a_grid_that_the_record_cannot_speak_of(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"needs zero padding given in numbers, got {words}"):
        Conv2d(2, 2, 3, **options).sampling(torch.rand(1, 2, 5, 5))


def test_no_output_left() -> None:
    with pytest.raises(ValueError, match=r"spans 5 x 3 .* map of 4 x 4: take a smaller kernel"):
        conv2d_sampling(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 3, 3), dilation=(2, 1))
