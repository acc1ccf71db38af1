"""The backends of deformable convolution: the choice among them, their strips, compile=True."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from dataclasses import replace
from unittest import mock

import pytest
import torch
from deform_cases import Pair, assert_same_gradients, every_backend, make_case

from deformviz.geometry import Kernel
from deformviz.operators import (
    Backend,
    deform_conv2d,
    deform_conv_backends,
    deform_conv_bag,
    deform_conv_compiled,
    deform_conv_grid,
)
from deformviz.operators.deform_conv_call import Call, strips


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


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


@every_backend
@pytest.mark.parametrize("size", [(5, 9), (4, 5), (9, 8), (17, 3), (8, 8)], ids=str)
@pytest.mark.parametrize("offset_groups", [1, 2])
def test_a_size_beside_a_power_of_two_changes_nothing(
    size: Pair, offset_groups: int, backend: Backend
) -> None:
    """Of many channels, whose gradients are found in parts; and pixels that hold infinities."""
    case = make_case(
        batch=2, channels=32, size=size, padding=(1, 1), offset_groups=offset_groups, sigma=2.0
    )
    torch.testing.assert_close(case.ours(backend), case.torchvision(), rtol=0, atol=1e-10)
    assert_same_gradients(case, backend)
    with mock.patch.object(torch, "get_num_threads", return_value=3):
        assert_same_gradients(case, backend)
    far = replace(case, offset=torch.full_like(case.offset, 20.0), bias=None)
    far.input = torch.full_like(case.input, math.inf)
    assert far.ours(backend).detach().abs().max() == 0


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


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match=r"backend must be one of .*grid_sample.*, got 'cudnn'"):
        deform_conv2d(**make_case().arguments(), backend="cudnn")


def test_a_backend_by_name_is_not_compiled() -> None:
    with pytest.raises(ValueError, match=r"compile=True needs .*auto.*got 'embedding_bag'"):
        deform_conv2d(**make_case().arguments(), backend="embedding_bag", compile=True)


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
