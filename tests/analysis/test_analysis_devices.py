"""Everything is computed where the record's tensors lie, and gives what it gives on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from made_samplings import layer, normal, random_layer, uniform
from sick_samplings import SICK, sick
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from deformviz import Kernel, Sampling
from deformviz.analysis import (
    Level,
    affine_fit,
    effective_dilation,
    findings,
    histogram,
    outside_share,
    static_and_adaptive,
    statistics,
    trace,
)
from deformviz.analysis.reader import Reader
from deformviz.analysis.strips import exact_dtype
from deformviz.device import available

ACCELERATORS = [name for name in available() if name != "cpu"] or [
    pytest.param("cuda", marks=pytest.mark.skip(reason="no accelerator here"))
]


def tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    parts = result if isinstance(result, tuple) else vars(result).values()
    return [part for part in parts if isinstance(part, Tensor)]


MEASURES: dict[str, Callable[[Sampling], Any]] = {
    "dilation": effective_dilation,
    "affine": affine_fit,
    "outside": outside_share,
    "parts": static_and_adaptive,
    "parts' share": lambda s: static_and_adaptive(s).share,
    "units": lambda s: Reader(s, None, True, True).at_units(s.offset.new_zeros(5, 2).long()),
    "points": lambda s: Reader(s, None, True, True).at_points(
        s.offset.new_zeros(5, 2, dtype=exact_dtype(s.offset.device))
    ),
    "heat": lambda s: Level("", (4, 4), s.offset.new_zeros(5, 2), s.offset.new_zeros(5), None,
                            s.image_map).heat(),
}  # fmt: skip


@pytest.mark.parametrize("reference", [False, True], ids=["grid", "reference"])
@pytest.mark.parametrize("name", MEASURES)
def test_no_tensor_is_made_on_another_device(name: str, reference: bool) -> None:
    """On a CUDA that torch only pretends: it refuses to mix devices as the real one does."""
    with FakeTensorMode():
        offset = torch.empty(2, 9, 2, 16, 16, device="cuda")
        s = Sampling(
            "pretended", (16, 16), (16, 16), Kernel.of(3, padding=1), offset,
            reference=torch.empty_like(offset) if reference else None,
            mask=torch.empty(2, 9, 16, 16, device="cuda"),
            input=torch.empty(4, 16, 16, device="cuda"),
            weight=torch.empty(4, 4, 3, 3, device="cuda"),
        )  # fmt: skip
        found = tensors(MEASURES[name](s))
        assert found
        assert {tensor.device.type for tensor in found} == {"cuda"}


@pytest.mark.parametrize("device", ACCELERATORS)
@pytest.mark.parametrize("name", [n for n in MEASURES if n != "heat"])
def test_measures_are_those_of_the_cpu(name: str, device: str) -> None:
    s = random_layer((3, 3))
    s = replace(s, mask=uniform(*s.offset[:, :, 0].shape), weight=uniform(2, 2, 3, 3))
    for found, expected in zip(
        tensors(MEASURES[name](s.to(device))), tensors(MEASURES[name](s)), strict=True
    ):
        assert found.device.type == device
        torch.testing.assert_close(found.cpu(), expected, equal_nan=True, check_dtype=False)


@pytest.mark.parametrize("device", ACCELERATORS)
@pytest.mark.parametrize("name", SICK)
def test_findings_are_those_of_the_cpu(name: str, device: str) -> None:
    _, sampling, known = sick(name)
    found, expected = findings(sampling.to(device), **known), findings(sampling, **known)
    assert [one.sentence for one in found] == [one.sentence for one in expected]


@pytest.mark.parametrize("device", ACCELERATORS)
def test_traces_histograms_and_statistics_are_those_of_the_cpu(device: str) -> None:
    s = layer(normal(2, 9, 2, 8, 8), mask=uniform(2, 9, 8, 8))
    for mode in ("exact", "interp", "paper"):
        for merge in (False, True):
            traced = [trace([one] * 2, 3, 4, mode, merge=merge) for one in (s.to(device), s)]
            heat = [one.levels[-1].heat().cpu() for one in traced]
            torch.testing.assert_close(heat[0], heat[1])
    assert (histogram(s.to(device), "dy").counts == histogram(s, "dy").counts).all()
    found, expected = vars(statistics(s.to(device))), vars(statistics(s))
    assert found == pytest.approx(expected, nan_ok=True)
