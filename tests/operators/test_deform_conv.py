"""Deformable convolution against torchvision, F.conv2d and the definition written as a loop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import reference
import torch
import torch.nn.functional as F
from deform_cases import Case, Pair, assert_same_gradients, cases, every_backend, make_case
from hypothesis import given, settings
from torch import Tensor
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.operators import Backend, deform_conv2d, deform_conv2d_sampling


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# --- against torchvision ---------------------------------------------------------------------


@every_backend
@given(case=cases())
@settings(max_examples=120, deadline=None)
def test_equals_torchvision(case: Case, backend: Backend) -> None:
    torch.testing.assert_close(case.ours(backend), case.torchvision(), rtol=0, atol=1e-10)


@every_backend
@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_float32_is_as_near_to_the_truth_as_float32_goes(case: Case, backend: Backend) -> None:
    single = case.to(torch.float32)
    truth = single.to(torch.float64).torchvision()
    ours = single.ours(backend)
    assert ours.dtype == torch.float32
    scale = 1 + truth.abs().max().item()
    torch.testing.assert_close(ours.double(), truth, rtol=1e-5, atol=1e-5 * scale)
    torch.testing.assert_close(ours, single.torchvision(), rtol=1e-5, atol=2e-5 * scale)


# On integer coordinates a derivative has two sides; grain=None keeps away from them.
@every_backend
@given(case=cases().filter(lambda c: not torch.equal(c.offset * 2, (c.offset * 2).round())))
@settings(max_examples=60, deadline=None)
def test_gradients_equal_torchvisions(case: Case, backend: Backend) -> None:
    assert_same_gradients(case, backend)


@every_backend
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (3, 2)], ids=str)
@pytest.mark.parametrize("sigma", [0.0, 5.0], ids=["zero offset", "whole-pixel offsets"])
def test_gradients_equal_torchvisions_on_integer_coordinates(
    sigma: float, padding: Pair, backend: Backend
) -> None:
    case = make_case(batch=2, offset_groups=2, padding=padding, sigma=sigma, grain=1.0)
    assert torch.equal(case.offset, case.offset.round())
    assert_same_gradients(case, backend)


@every_backend
def test_the_gradient_of_a_zero_offset_is_the_slope_to_the_right(backend: Backend) -> None:
    """By hand: x = 0, 1, 4, 9 read at pixel 1 has the slopes 1 to the left and 3 to the right."""
    x = torch.tensor([0.0, 1.0, 4.0, 9.0], dtype=torch.float64).reshape(1, 1, 1, 4)
    offset = torch.zeros(1, 2, 1, 4, dtype=torch.float64, requires_grad=True)
    deform_conv2d(x, offset, x.new_ones(1, 1, 1, 1), backend=backend).sum().backward()
    assert offset.grad is not None
    assert offset.grad[0, 1, 0].tolist() == [1.0, 3.0, 5.0, -9.0]


@every_backend
@pytest.mark.parametrize("wanted", ["input", "offset", "weight", "bias", "mask"])
def test_each_gradient_alone(wanted: str, backend: Backend) -> None:
    """One argument that wants a gradient while the others do not, as in a frozen network."""
    case = make_case(batch=2, padding=(1, 1), sigma=1.3)
    leaf = case.leaves()[wanted]
    alone = replace(
        case,
        **{
            k: v.detach() if k != wanted else v
            for k, v in case.arguments().items()
            if isinstance(v, Tensor)
        },
    )
    (got,) = torch.autograd.grad(alone.ours(backend).square().sum(), leaf)
    (expected,) = torch.autograd.grad(case.torchvision().square().sum(), leaf)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@every_backend
@pytest.mark.parametrize("kernel", [(11, 11), (11, 1), (4, 4), (2, 6)], ids=str)
@pytest.mark.parametrize("masked", [False, True], ids=["v1", "v2"])
def test_large_and_even_kernels_equal_torchvision(
    kernel: Pair, masked: bool, backend: Backend
) -> None:
    padding = (kernel[0] // 2, kernel[1] // 2)
    case = make_case(
        batch=2, channels=8, size=(20, 40), kernel=kernel, padding=padding, masked=masked,
        offset_groups=2,
    )  # fmt: skip
    torch.testing.assert_close(case.ours(backend), case.torchvision(), rtol=0, atol=1e-9)


@every_backend
@pytest.mark.parametrize("masked", [False, True], ids=["v1", "v2"])
def test_gradients_equal_finite_differences(masked: bool, backend: Backend) -> None:
    case = make_case(
        batch=2, size=(4, 3), kernel=(2, 2), groups=2, offset_groups=2, sigma=0.3, masked=masked
    )
    case.offset = 0.8 * case.offset.tanh() * 0.4 + 0.5  # away from pixels, where the slope jumps
    leaves = case.leaves()

    def ours(*tensors: Tensor) -> Tensor:
        return replace(case, **dict(zip(leaves, tensors, strict=True))).ours(backend)

    assert torch.autograd.gradcheck(ours, tuple(leaves.values()))


# --- against the definition ------------------------------------------------------------------


@every_backend
@pytest.mark.parametrize(
    "options",
    [
        {"padding": (1, 1)},
        {"padding": (1, 0), "stride": (2, 1), "masked": False},
        {"kernel": (2, 3), "dilation": (1, 2), "groups": 2, "biased": False},
        {"size": (1, 7), "padding": (1, 2), "offset_groups": 4},
        {"groups": 2, "offset_groups": 4, "grain": 0.5},
    ],
    ids=["padded", "strided v1", "dilated even kernel", "one row, G=C", "half pixels, groups"],
)
def test_equals_the_loop(options: dict[str, object], backend: Backend) -> None:
    case = make_case(**{"batch": 2, "size": (4, 5), **options})
    torch.testing.assert_close(case.ours(backend), case.loop(), rtol=0, atol=1e-10)
    torch.testing.assert_close(case.torchvision(), case.loop(), rtol=0, atol=1e-10)


@every_backend
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)], ids=str)
def test_zero_offset_and_unit_mask_equal_conv2d(
    groups: int, stride: Pair, dilation: Pair, backend: Backend
) -> None:
    case = make_case(
        batch=2, groups=groups, stride=stride, padding=(2, 1), dilation=dilation, sigma=0
    )
    assert case.mask is not None
    case.mask = torch.ones_like(case.mask)
    expected = F.conv2d(case.input, case.weight, case.bias, stride, (2, 1), dilation, groups)
    torch.testing.assert_close(case.ours(backend), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(replace(case, mask=None).ours(backend), expected, rtol=0, atol=1e-12)


@every_backend
@pytest.mark.parametrize("dy", [-2, 0, 1, 9])
@pytest.mark.parametrize("dx", [-1, 0, 3])
def test_integer_offsets_equal_a_shifted_input(dy: int, dx: int, backend: Backend) -> None:
    """A field that is (dy, dx) everywhere reads x(p + (dy, dx)): the input moved the other way."""
    case = make_case(sigma=0, masked=False, padding=(1, 1))
    case.offset[:, 0::2], case.offset[:, 1::2] = dy, dx
    far = F.pad(case.input, (11, 11, 11, 11))
    window = far[..., 10 + dy : 10 + dy + 8, 10 + dx : 10 + dx + 9]  # one pixel more each way
    expected = F.conv2d(window, case.weight, case.bias)
    torch.testing.assert_close(case.ours(backend), expected, rtol=0, atol=1e-12)


# --- the border ------------------------------------------------------------------------------


@every_backend
@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize(
    ("at", "share_first", "share_last"),
    [
        (-1.5, 0, 0), (-1.0, 0, 0), (-0.5, 0.5, 0), (-0.25, 0.75, 0), (0.0, 1, 0),
        (4.0, 0, 1), (4.25, 0, 0.75), (4.5, 0, 0.5), (5.0, 0, 0), (5.5, 0, 0),
    ],
)  # fmt: skip
def test_a_point_fades_over_one_pixel_outside_the_map(
    axis: int, at: float, share_first: float, share_last: float, backend: Backend
) -> None:
    """On a map of length 5: half of the edge pixel is read at -0.5 and at 4.5, none from 5 on."""
    line = torch.tensor([3.0, 50.0, 60.0, 70.0, 7.0], dtype=torch.float64)
    x = line.reshape(1, 1, 5, 1) if axis == 0 else line.reshape(1, 1, 1, 5)
    offset = torch.zeros(1, 2, *x.shape[2:], dtype=torch.float64)
    offset[0, axis] = at - torch.arange(5.0, dtype=torch.float64).reshape(x.shape[2:])
    weight = x.new_ones(1, 1, 1, 1)
    expected = torch.full_like(x, share_first * 3.0 + share_last * 7.0)
    torch.testing.assert_close(
        deform_conv2d(x, offset, weight, backend=backend), expected, rtol=0, atol=0
    )
    torch.testing.assert_close(
        torchvision_deform_conv2d(x, offset, weight), expected, rtol=0, atol=1e-15
    )


@every_backend
@pytest.mark.parametrize("at", [-1.0, -0.5, 4.5, 5.0])
def test_gradients_on_the_border_equal_torchvisions(at: float, backend: Backend) -> None:
    case = make_case(size=(5, 5), kernel=(1, 1), sigma=0)
    case.offset[:, 0] = at - torch.arange(5.0, dtype=torch.float64)[:, None]
    assert_same_gradients(case, backend)


@every_backend
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e30, -1e30], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_an_offset_that_is_not_finite_reads_zero(
    value: float, dtype: torch.dtype, backend: Backend
) -> None:
    case = make_case(padding=(1, 1), sigma=0.5).to(dtype)
    case.offset[0, 2 * 4] = value  # dy of the middle tap
    got = case.ours(backend)
    case.weight[:, :, 1, 1] = 0
    case.offset[0, 2 * 4] = 0
    assert got.isfinite().all()
    torch.testing.assert_close(got, case.ours(backend))


@every_backend
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
def test_an_offset_that_is_not_finite_leaves_the_gradients_finite(
    value: float, backend: Backend
) -> None:
    case = make_case(padding=(1, 1), sigma=0.5)
    case.offset[0, 3] = value
    leaves = case.leaves()
    for name, grad in zip(
        leaves, torch.autograd.grad(case.ours(backend).sum(), list(leaves.values())), strict=True
    ):
        assert grad.isfinite().all(), name


@every_backend
@pytest.mark.parametrize("value", [math.inf, math.nan], ids=str)
@pytest.mark.parametrize("corner", [(0, 0), (5, 5)], ids=str)
def test_a_point_outside_reads_nothing_of_a_broken_edge_pixel(
    value: float, corner: Pair, backend: Backend
) -> None:
    """All points lie 50 pixels beyond the corner that holds an infinity or a NaN."""
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    x[0, 0, corner[0], corner[1]] = value
    offset = torch.full((1, 2, 6, 6), -50.0 if corner == (0, 0) else 50.0, dtype=torch.float64)
    weight = x.new_ones(1, 1, 1, 1)
    assert torchvision_deform_conv2d(x, offset, weight).abs().max() == 0
    assert deform_conv2d(x, offset, weight, backend=backend).abs().max() == 0


@every_backend
def test_a_map_of_one_pixel(backend: Backend) -> None:
    case = make_case(size=(1, 1), padding=(1, 1), sigma=0.7)
    torch.testing.assert_close(case.ours(backend), case.torchvision(), rtol=0, atol=1e-12)


@every_backend
def test_a_batch_of_none_gives_an_output_of_none(backend: Backend) -> None:
    x, offset, weight = torch.rand(0, 4, 5, 5), torch.rand(0, 18, 5, 5), torch.rand(6, 4, 3, 3)
    expected = torchvision_deform_conv2d(x, offset, weight, padding=1)
    assert (
        deform_conv2d(x, offset, weight, padding=1, backend=backend).shape
        == expected.shape
        == (0, 6, 5, 5)
    )


# --- dtypes ----------------------------------------------------------------------------------


@every_backend
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_computes_in_float32(dtype: torch.dtype, backend: Backend) -> None:
    """Half precision cannot tell 600.0 from 600.4; only the result may be rounded to it."""
    case = make_case(size=(3, 620), padding=(1, 1), sigma=2).to(dtype)
    got = case.ours(backend)
    assert got.dtype == dtype
    expected = case.to(torch.float64).torchvision().to(dtype)
    torch.testing.assert_close(got, expected, rtol=1e-2, atol=1e-2)


@every_backend
def test_autocast_equals_torchvisions_dtype_and_the_float32_values(backend: Backend) -> None:
    case = make_case(padding=(1, 1)).to(torch.float32)
    expected = case.ours(backend)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, theirs = case.ours(backend), case.torchvision()
    assert got.dtype == theirs.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


# --- errors ----------------------------------------------------------------------------------


def bad_call(**change: object) -> None:
    good: dict[str, object] = {
        "input": torch.zeros(2, 4, 6, 7),
        "offset": torch.zeros(2, 18, 6, 7),
        "weight": torch.zeros(8, 4, 3, 3),
        "bias": torch.zeros(8),
        "padding": 1,
        "mask": torch.zeros(2, 9, 6, 7),
    }
    deform_conv2d(**{**good, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": torch.zeros(4, 6, 7)}, ["[B, channels", "[4, 6, 7]"]),
        ({"offset": torch.zeros(18, 6, 7)}, ["[B, channels", "[18, 6, 7]"]),
        ({"offset": torch.zeros(2, 27, 6, 7)}, ["27 channels", "2 * G * 9", "3 x 3"]),
        ({"offset": torch.zeros(2, 9, 6, 7)}, ["9 channels", "2 * G * 9"]),
        ({"offset": torch.zeros(2, 54, 6, 7)}, ["54 channels", "4 channels"]),  # G = 3
        ({"offset": torch.zeros(2, 18, 4, 5)}, ["[2, 18, 6, 7]", "[2, 18, 4, 5]"]),
        ({"offset": torch.zeros(1, 18, 6, 7)}, ["[2, 18, 6, 7]", "[1, 18, 6, 7]"]),
        ({"mask": torch.zeros(2, 18, 6, 7)}, ["mask", "[2, 9, 6, 7]", "[2, 18, 6, 7]"]),
        ({"mask": torch.zeros(2, 9, 7, 6)}, ["mask", "[2, 9, 6, 7]", "[2, 9, 7, 6]"]),
        ({"weight": torch.zeros(8, 3, 3, 3)}, ["weight [8, 3, 3, 3]", "4 channels"]),
        ({"weight": torch.zeros(7, 2, 3, 3)}, ["weight [7, 2, 3, 3]", "divide"]),
        ({"weight": torch.zeros(8, 4, 3)}, ["kernel size", "(3,)"]),
        ({"bias": torch.zeros(7)}, ["bias", "[8]", "[7]"]),
        ({"bias": torch.zeros(1)}, ["bias", "[8]", "[1]"]),
        ({"stride": 0}, ["stride", "at least 1", "(0, 0)"]),
        ({"dilation": 0}, ["dilation", "at least 1", "(0, 0)"]),
        ({"padding": -1}, ["padding", "at least 0", "(-1, -1)"]),
        ({"padding": (1, 1, 1)}, ["padding", "pair", "(1, 1, 1)"]),
        ({"padding": 0, "dilation": 4}, ["9 x 9", "6 x 7", "larger input"]),
    ],
    ids=[
        "input 3-D", "offset 3-D", "offset that is offset and mask", "offset half as long",
        "offset groups do not divide C", "offset too small a map", "offset of one image",
        "mask twice as long", "mask transposed", "weight groups do not divide C",
        "weight groups do not divide O", "weight 3-D", "bias too short", "bias of one",
        "stride 0", "dilation 0", "negative padding", "padding of three", "no output left",
    ],
)  # fmt: skip
def test_errors_name_what_was_expected_and_what_came(
    change: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        bad_call(**change)
    for word in words:
        assert word in str(caught.value)


def test_the_good_call_that_the_bad_ones_change_is_good() -> None:
    bad_call()


# --- the record ------------------------------------------------------------------------------


def test_the_record_holds_the_points_that_torchvision_reads() -> None:
    """A ramp in y and one in x, read by a kernel that is 1 at one tap, tell where it reads."""
    case = make_case(
        batch=2, channels=4, offset_groups=2, size=(40, 50), stride=(2, 3), padding=(1, 0),
        dilation=(2, 1), sigma=1.0, biased=False,
    )  # fmt: skip
    index = 1
    s = deform_conv2d_sampling(**case.arguments(), index=index)
    grid = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    rows, columns = (axis.double().expand(2, 4, -1, -1) for axis in grid)
    inner = (slice(2, -2), slice(2, -2))  # away from the border, where the ramps end
    for group, tap in [(0, 0), (0, 5), (1, 1), (1, 8)]:
        weight = torch.zeros(1, 4, 3, 3, dtype=torch.float64)
        weight[0, 2 * group, tap // 3, tap % 3] = 1
        for axis, ramp in enumerate((rows, columns)):
            read = replace(case, input=ramp, weight=weight, mask=None).torchvision()
            points = s.points()[group, tap, axis]
            torch.testing.assert_close(points[inner], read[index, 0][inner], rtol=0, atol=1e-9)
    assert case.mask is not None
    torch.testing.assert_close(s.mask, case.mask[index].reshape(2, 9, *s.output_size))
    torch.testing.assert_close(s.output, case.torchvision()[index], rtol=0, atol=1e-10)
    assert torch.equal(s.input, case.input[index])


@pytest.mark.parametrize(
    ("masked", "name"), [(False, "Deformable Conv v1"), (True, "Deformable Conv v2")]
)
def test_the_record_names_the_version(masked: bool, name: str) -> None:
    case = make_case(masked=masked)
    assert deform_conv2d_sampling(**case.arguments()).name == name
    assert deform_conv2d_sampling(**case.arguments(), name="mine").name == "mine"
    assert (deform_conv2d_sampling(**case.arguments()).mask is None) is not masked


# --- what popular copies get wrong -----------------------------------------------------------


def copied_pure_pytorch_deform_conv(x: Tensor, offset: Tensor, weight: Tensor, p: int) -> Tensor:
    """The arithmetic of a much-copied version, for one channel and stride 1.

    It pads the map, starts its anchors at 1 whatever the kernel, and adds centred taps.
    """
    k = weight.shape[-1]
    padded = F.pad(x, (p, p, p, p))[0, 0].tolist()
    first = -((k - 1) // 2)
    h, w = offset.shape[2:]
    result = torch.zeros(1, 1, h, w, dtype=torch.float64)
    for oy in range(h):
        for ox in range(w):
            for n in range(k * k):
                y = (oy + 1) + (first + n // k) + offset[0, 2 * n, oy, ox].item()
                x_ = (ox + 1) + (first + n % k) + offset[0, 2 * n + 1, oy, ox].item()
                result[0, 0, oy, ox] += weight[0, 0, n // k, n % k] * reference.bilinear(
                    padded, y, x_
                )
    return result


def one_channel(k: int) -> Case:
    return make_case(
        channels=1, outputs=1, size=(6, 6), kernel=(k, k), padding=(k // 2, k // 2), sigma=1.0,
        masked=False, biased=False,
    )  # fmt: skip


def test_the_copied_pure_pytorch_version_is_right_for_kernel_3() -> None:
    case = one_channel(3)
    copied = copied_pure_pytorch_deform_conv(case.input, case.offset, case.weight, 1)
    torch.testing.assert_close(copied, case.torchvision(), rtol=0, atol=1e-10)


@every_backend
@pytest.mark.parametrize("k", [1, 5, 7])
def test_the_copied_pure_pytorch_version_is_off_by_whole_pixels_for_any_other_kernel(
    k: int, backend: Backend
) -> None:
    case = one_channel(k)
    expected = case.torchvision()
    copied = copied_pure_pytorch_deform_conv(case.input, case.offset, case.weight, k // 2)
    assert (copied - expected).abs().max() > 0.1
    torch.testing.assert_close(case.ours(backend), expected, rtol=0, atol=1e-10)
    moved = replace(case, offset=case.offset + (1 - k // 2))
    torch.testing.assert_close(copied, moved.ours(backend), rtol=0, atol=1e-10)


@every_backend
@pytest.mark.parametrize("axis", [0, 1], ids=["dy alone", "dx alone"])
def test_offset_channels_are_interleaved_dy_first_and_not_blocked(
    axis: int, backend: Backend
) -> None:
    """A field with dy alone moves what is read by rows; in blocked order it would tear taps."""
    case = make_case(sigma=0, masked=False, padding=(1, 1))
    case.offset[:, axis::2] = 2  # the even channels are dy, the odd ones dx
    by_rows = F.pad(case.input, (1, 1, 0, 0))
    by_columns = F.pad(case.input, (0, 0, 1, 1))
    moved = [
        F.pad(by_rows[:, :, 1:], (0, 0, 0, 3))[:, :, :8],  # two rows on, and one of padding
        F.pad(by_columns[:, :, :, 1:], (0, 3, 0, 0))[..., :9],
    ]
    expected = F.conv2d(moved[axis], case.weight, case.bias)
    torch.testing.assert_close(case.ours(backend), expected, rtol=0, atol=1e-12)
    blocked = torch.zeros_like(case.offset)
    blocked[:, 9 * axis : 9 * axis + 9] = 2
    assert (replace(case, offset=blocked).ours(backend) - expected).abs().max() > 0.1
