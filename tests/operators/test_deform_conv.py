"""Deformable convolution against torchvision, F.conv2d and the definition written as a loop."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from dataclasses import dataclass, fields, replace
from unittest import mock

import pytest
import reference
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.geometry import Kernel
from deformviz.operators import (
    Backend,
    DeformConv2d,
    ModulatedDeformConv2d,
    activate_mask,
    deform_conv2d,
    deform_conv2d_sampling,
    deform_conv_backends,
    deform_conv_bag,
    deform_conv_compiled,
    deform_conv_grid,
    parameter_groups,
)
from deformviz.operators.deform_conv_call import Call, strips

Pair = tuple[int, int]

every_backend = pytest.mark.parametrize("backend", ["grid_sample", "embedding_bag", "torchvision"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@dataclass
class Case:
    """One call's arguments, named as torchvision names them."""

    input: Tensor
    offset: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: Pair
    dilation: Pair
    mask: Tensor | None

    def arguments(self) -> dict[str, object]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def ours(self, backend: Backend) -> Tensor:
        return deform_conv2d(**self.arguments(), backend=backend)

    def torchvision(self) -> Tensor:
        return torchvision_deform_conv2d(**self.arguments())

    def loop(self) -> Tensor:
        return reference.deform_conv2d(**self.arguments())

    def to(self, dtype: torch.dtype) -> Case:
        return Case(
            **{k: v.to(dtype) if isinstance(v, Tensor) else v for k, v in self.arguments().items()}
        )

    def leaves(self) -> dict[str, Tensor]:
        """Turn every tensor into a leaf that wants a gradient, and return them by name."""
        found = {k: v for k, v in self.arguments().items() if isinstance(v, Tensor)}
        for name, tensor in found.items():
            setattr(self, name, tensor.detach().clone().requires_grad_())
        return {name: getattr(self, name) for name in found}


def make_case(
    batch: int = 1,
    channels: int = 4,
    outputs: int = 4,
    size: Pair = (6, 7),
    kernel: Pair = (3, 3),
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    offset_groups: int = 1,
    sigma: float = 5.0,
    grain: float | None = None,
    masked: bool = True,
    biased: bool = True,
    seed: int = 0,
) -> Case:
    """Random tensors in float64; `grain` rounds the offsets to its multiples."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    h, w = reference.output_size(size, kernel, stride, padding, dilation)
    taps = kernel[0] * kernel[1]
    offset = sigma * normal(batch, 2 * offset_groups * taps, h, w)
    return Case(
        input=normal(batch, channels, *size),
        offset=offset if grain is None else (offset / grain).round() * grain,
        weight=normal(outputs, channels // groups, *kernel),
        bias=normal(outputs) if biased else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        mask=normal(batch, offset_groups * taps, h, w) if masked else None,
    )


def pairs(low: int, high: int) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups, offset_groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, dilation = draw(pairs(1, 5)), draw(pairs(1, 3))
    padding, beyond = draw(pairs(0, 4)), draw(pairs(0, 5))
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, e - 2 * p) for e, p in zip(extent, padding, strict=True)]
    return make_case(
        batch=draw(st.integers(1, 3)),
        channels=math.lcm(groups, offset_groups) * draw(st.integers(1, 2)),
        outputs=groups * draw(st.integers(1, 3)),
        size=(least[0] + beyond[0], least[1] + beyond[1]),
        kernel=kernel,
        stride=draw(pairs(1, 3)),
        padding=padding,
        dilation=dilation,
        groups=groups,
        offset_groups=offset_groups,
        sigma=draw(st.sampled_from([0.3, 5.0])),
        grain=draw(st.sampled_from([None, None, 1.0, 0.5])),
        masked=draw(st.booleans()),
        biased=draw(st.booleans()),
        seed=draw(st.integers(0, 2**31)),
    )


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


def assert_same_gradients(case: Case, backend: Backend) -> None:
    leaves = case.leaves()
    expected, ours = case.torchvision(), case.ours(backend)
    upstream = torch.randn(expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, list(leaves.values()), upstream)
    got = torch.autograd.grad(ours, list(leaves.values()), upstream)
    for name, w, g in zip(leaves, wanted, got, strict=True):
        torch.testing.assert_close(g, w, rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


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
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_working_in_strips_changes_nothing(
    rows: int, threads: int, batch: int, backend: Backend
) -> None:
    case = make_case(batch=batch, size=(21, 6), stride=(2, 1), padding=(2, 1), offset_groups=2)
    assert case.offset.shape[2:] == (12, 6)
    elements = rows * (4 + 4 * 2) * 9 * 6
    with (
        mock.patch.object(torch, "get_num_threads", return_value=threads),
        mock.patch.object(deform_conv_grid, "FORWARD_ELEMENTS", elements),
        mock.patch.object(deform_conv_grid, "backward_elements", return_value=elements),
        mock.patch.object(deform_conv_bag, "STRIP_ELEMENTS", rows * batch * (4 + 32) * 9 * 6),
    ):
        torch.testing.assert_close(case.ours(backend), case.torchvision(), rtol=0, atol=1e-10)
        assert_same_gradients(case, backend)


@pytest.mark.parametrize("elements", [1, 500, 2000, 10**6])
@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("offset_groups", [1, 2])
def test_strips_cover_each_output_position_once(
    elements: int, threads: int, offset_groups: int
) -> None:
    x, weight = torch.zeros(3, 4, 7, 5), torch.zeros(4, 4, 3, 3)
    call = Call(x, torch.zeros(3, offset_groups, 9, 2, 7, 5), weight, None, Kernel.of(3, padding=1))
    seen = torch.zeros(3, 7)
    for strip in strips(call, elements, threads):
        seen[strip.images, strip.rows] += 1
        assert strip.parts * strip.part_rows == strip.rows.stop - strip.rows.start
    assert seen.eq(1).all()


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


@every_backend
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=str)
def test_memory_layout_does_not_matter(
    memory_format: torch.memory_format, backend: Backend
) -> None:
    case = make_case(batch=2, padding=(1, 1))
    case.input = case.input.contiguous(memory_format=memory_format)
    strided = torch.stack([case.offset, case.offset], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    expected = case.torchvision()
    case.offset = strided
    torch.testing.assert_close(case.ours(backend), expected, rtol=0, atol=1e-10)


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


# --- the choice of a backend -----------------------------------------------------------------


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match=r"backend must be one of .*grid_sample.*, got 'cudnn'"):
        bad_call(backend="cudnn")


def test_a_backend_by_name_is_not_compiled() -> None:
    with pytest.raises(ValueError, match=r"compile=True needs .*auto.*got 'embedding_bag'"):
        bad_call(backend="embedding_bag", compile=True)


def test_the_choice_is_torchvision_on_a_gpu_and_never_on_a_cpu() -> None:
    x, offset, weight = (
        torch.zeros(1, 4, 5, 5),
        torch.zeros(1, 1, 9, 2, 5, 5),
        torch.zeros(4, 4, 3, 3),
    )
    call = Call(x, offset, weight, None, Kernel.of(3, padding=1))
    assert deform_conv_backends.choose(call) == "grid_sample"
    there = mock.Mock(input=mock.Mock(device=torch.device("cuda")))
    assert deform_conv_backends.choose(there) == "torchvision"


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")
@pytest.mark.parametrize("masked", [False, True], ids=["v1", "v2"])
def test_compiled_equals_torchvision(masked: bool) -> None:
    case = make_case(
        batch=2, channels=64, size=(9, 7), stride=(2, 1), padding=(1, 2), offset_groups=2,
        masked=masked,
    )  # fmt: skip
    case.offset[0, 3] = math.nan
    told = replace(case, offset=case.offset.nan_to_num(nan=1e4))
    with (
        mock.patch.object(deform_conv_compiled, "STRIP_ELEMENTS", 2 * 64 * 9 * 9),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", UserWarning)
        got = deform_conv2d(**case.arguments(), compile=True)
    torch.testing.assert_close(got, told.torchvision(), rtol=0, atol=1e-9)
    assert not deform_conv_compiled._broken


def test_without_a_compiler_it_warns_once_and_goes_on() -> None:
    case = make_case(channels=64, padding=(1, 1))
    with (
        mock.patch.object(deform_conv_compiled, "_broken", False),
        mock.patch.object(deform_conv_compiled, "_compiled", side_effect=RuntimeError("no g++")),
    ):
        with pytest.warns(UserWarning, match=r"compile=True has no effect.*no g\+\+") as caught:
            first = deform_conv2d(**case.arguments(), compile=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            second = deform_conv2d(**case.arguments(), compile=True)
    assert len(caught) == 1
    assert torch.equal(first, second)
    torch.testing.assert_close(first, case.torchvision(), rtol=0, atol=1e-10)


def test_gradients_under_autocast_are_those_of_float32() -> None:
    case = make_case(channels=8, padding=(1, 1)).to(torch.float32)
    leaves = case.leaves()
    expected = torch.autograd.grad(case.torchvision().square().sum(), list(leaves.values()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = case.ours("grid_sample").square().sum()
        got = torch.autograd.grad(loss, list(leaves.values()))
    for name, g, e in zip(leaves, got, expected, strict=True):
        assert g.dtype == torch.float32
        torch.testing.assert_close(g, e, rtol=1e-4, atol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def test_an_exported_layer_has_the_same_gradients() -> None:
    layer, x = wake(ModulatedDeformConv2d(4, 6, 3, padding=1)).double(), torch.randn(2, 4, 6, 5)
    x = x.double().requires_grad_()
    exported = torch.export.export(layer, (x.detach(),)).module()
    (expected,) = torch.autograd.grad(layer(x).square().sum(), x)
    (got,) = torch.autograd.grad(exported(x).square().sum(), x)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)


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


@pytest.mark.parametrize("activation", ["tanh", "Sigmoid", ""])
def test_an_unknown_mask_activation_is_named(activation: str) -> None:
    with pytest.raises(ValueError, match=rf"sigmoid.*2sigmoid.*softmax.*{activation!r}"):
        activate_mask(torch.zeros(1, 9, 1, 1), 9, activation)
    with pytest.raises(ValueError, match="mask_activation"):
        ModulatedDeformConv2d(2, 2, 3, mask_activation=activation)


def test_offset_groups_that_do_not_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="offset_groups must divide in_channels, got 3 and 4"):
        DeformConv2d(4, 4, 3, offset_groups=3)


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


# --- the layers ------------------------------------------------------------------------------


def wake(layer: DeformConv2d, std: float = 0.5) -> DeformConv2d:
    """Give the offset and mask convolutions, which start at zero, something to say."""
    for name, parameter in layer.named_parameters():
        if "_conv." in name:
            nn.init.normal_(parameter, std=std)
    return layer


@pytest.mark.parametrize("kernel", [1, 2, 3, (5, 2)], ids=str)
@pytest.mark.parametrize("offset_groups", [1, 2])
def test_v1_layer_equals_torchvision_with_its_own_offsets(
    kernel: int | Pair, offset_groups: int
) -> None:
    layer = DeformConv2d(
        4, 6, kernel, stride=(2, 1), padding=2, dilation=(1, 2), groups=2,
        offset_groups=offset_groups,
    )  # fmt: skip
    wake(layer).double()
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    conv = layer.offset_conv
    offset = F.conv2d(x, conv.weight, conv.bias, (2, 1), 2, (1, 2))
    expected = torchvision_deform_conv2d(
        x, offset, layer.weight, layer.bias, (2, 1), (2, 2), (1, 2)
    )
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", ["sigmoid", "2sigmoid", "softmax"])
def test_v2_layer_equals_torchvision_with_its_own_offsets_and_mask(activation: str) -> None:
    layer = ModulatedDeformConv2d(4, 6, 3, padding=1, offset_groups=2, mask_activation=activation)
    wake(layer).double()
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    offset = F.conv2d(x, layer.offset_conv.weight, layer.offset_conv.bias, padding=1)
    raw = F.conv2d(x, layer.mask_conv.weight, layer.mask_conv.bias, padding=1)
    if activation == "softmax":  # over the nine taps of each group
        mask = torch.cat([raw[:, :9].softmax(1), raw[:, 9:].softmax(1)], dim=1)
    else:
        mask = (2 if activation == "2sigmoid" else 1) / (1 + torch.exp(-raw))
    expected = torchvision_deform_conv2d(x, offset, layer.weight, layer.bias, padding=1, mask=mask)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        (DeformConv2d(4, 6, 3, stride=2, padding=1, groups=2), 1),
        (ModulatedDeformConv2d(4, 6, 3, stride=2, padding=1, groups=2), 0.5),
        (
            ModulatedDeformConv2d(
                4, 6, 3, stride=2, padding=1, groups=2, mask_activation="2sigmoid"
            ),
            1,
        ),
        (
            ModulatedDeformConv2d(
                4, 6, 3, stride=2, padding=1, groups=2, mask_activation="softmax"
            ),
            1 / 9,
        ),
    ],
    ids=["v1", "v2 sigmoid", "v2 2sigmoid", "v2 softmax"],
)
def test_a_new_layer_is_a_convolution_times_its_first_mask(
    layer: DeformConv2d, factor: float
) -> None:
    x = torch.randn(2, 4, 7, 6)
    expected = F.conv2d(x, layer.weight * factor, layer.bias, 2, 1, 1, 2)
    torch.testing.assert_close(layer(x), expected)


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


@pytest.mark.parametrize("kind", [DeformConv2d, ModulatedDeformConv2d])
def test_offset_and_mask_convolutions_start_at_zero_in_weight_and_bias(
    kind: type[DeformConv2d],
) -> None:
    """Copies zero the weight alone, so that torch's default bias moves the first points."""
    started = {n: p for n, p in kind(4, 4, 3).named_parameters() if "_conv." in n}
    assert {n.rsplit(".")[-1] for n in started} == {"weight", "bias"}
    assert len(started) == (2 if kind is DeformConv2d else 4)
    for name, parameter in started.items():
        assert parameter.count_nonzero() == 0, name


def sgd_steps(layer: DeformConv2d, groups: list[dict[str, object]]) -> dict[str, Tensor]:
    """How far one step of plain SGD moves each parameter, from fixed data."""
    before = {n: p.detach().clone() for n, p in layer.named_parameters()}
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(7), requires_grad=True)
    optimizer = torch.optim.SGD(groups)
    layer(x).square().sum().backward()
    optimizer.step()
    return {n: p.detach() - before[n] for n, p in layer.named_parameters()}


def fresh_layer() -> ModulatedDeformConv2d:
    torch.manual_seed(3)
    return ModulatedDeformConv2d(4, 4, 3, padding=1)


def test_parameter_groups_move_offsets_a_tenth_as_far() -> None:
    plain = fresh_layer()
    full = sgd_steps(plain, [{"params": plain.parameters(), "lr": 0.01}])
    layer = fresh_layer()
    grouped = sgd_steps(layer, parameter_groups(layer, lr=0.01))
    assert set(full) == {
        "weight", "bias", "offset_conv.weight", "offset_conv.bias", "mask_conv.weight",
        "mask_conv.bias",
    }  # fmt: skip
    for name, step in full.items():
        assert step.abs().max() > 0, name
        factor = 0.1 if "_conv." in name else 1.0
        torch.testing.assert_close(grouped[name], factor * step, msg=lambda m, n=name: f"{n}: {m}")


def test_the_copied_backward_hook_changes_no_step() -> None:
    """The copied hook rebinds its own arguments and returns nothing."""

    def copied_hook(module: nn.Module, grad_input: object, grad_output: object) -> None:
        grad_input = tuple(g * 0.1 for g in grad_input if g is not None)
        grad_output = tuple(g * 0.1 for g in grad_output if g is not None)

    plain = fresh_layer()
    full = sgd_steps(plain, [{"params": plain.parameters(), "lr": 0.01}])
    hooked = fresh_layer()
    hooked.offset_conv.register_full_backward_hook(copied_hook)
    got = sgd_steps(hooked, [{"params": hooked.parameters(), "lr": 0.01}])
    assert full["offset_conv.weight"].abs().max() > 0
    torch.testing.assert_close(got["offset_conv.weight"], full["offset_conv.weight"])


def test_parameter_groups_hold_each_parameter_once() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), DeformConv2d(4, 4, 3), nn.Sequential(ModulatedDeformConv2d(4, 2, 3))
    )
    groups = parameter_groups(model, lr=1.0, offset_factor=0.25)
    assert [g["lr"] for g in groups] == [1.0, 0.25]
    ids = [id(p) for g in groups for p in g["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    slow = {id(p) for p in groups[1]["params"]}
    assert slow == {id(p) for n, p in model.named_parameters() if "_conv." in n}


def test_parameter_groups_hold_a_shared_offset_convolution_once() -> None:
    model = nn.Sequential(DeformConv2d(4, 4, 3), DeformConv2d(4, 4, 3))
    model[1].offset_conv = model[0].offset_conv
    ids = [id(p) for g in parameter_groups(model, lr=1.0) for p in g["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())


def test_parameter_groups_of_a_model_without_offsets() -> None:
    model = nn.Linear(2, 2)
    torch.optim.SGD(groups := parameter_groups(model, lr=1.0))
    assert [len(g["params"]) for g in groups] == [2, 0]
