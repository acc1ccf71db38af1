"""The numbers as the browser gets them, read back by safetensors itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from records import CASES, attention, record, run, tensors
from safetensors.torch import load
from torch import Tensor

from deformviz import Kernel, Sampling
from deformviz.explore import OPERATORS, Settings, explore
from deformviz.viewer.wire import rounded, to_bytes, wire_size

REGULAR = ("Convolution", "DRConv", "CoordConv")
ITEM_BYTES = {"F32": 4, "F16": 2, "I32": 4}
"""The kinds of numbers that the browser's reader knows."""


def head(content: bytes) -> tuple[dict[str, Any], int]:
    """The file's header, and where its numbers begin; by the format's own definition."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), 8 + length


def assert_sent(sampling: Sampling, sent: dict[str, Tensor]) -> None:
    """What was sent, broadcast along the axes that were sent once, is the record's every tensor."""
    expected = tensors(sampling)
    assert set(sent) == set(expected)
    for name, tensor in expected.items():
        assert sent[name].dim() == tensor.dim(), name
        assert torch.equal(sent[name].expand(tensor.shape), tensor.detach()), name


# What is sent


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_what_is_sent_is_the_record(operator: str, variant: str) -> None:
    s = record(operator, variant)
    content = to_bytes(s)
    assert_sent(s, load(content))
    header, _ = head(content)
    assert json.loads(header["__metadata__"]["deformviz"]) == s.header()


def test_base_points_of_their_own_are_sent() -> None:
    s = attention()
    assert_sent(s, load(to_bytes(s)))


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_size_is_known_before(operator: str, variant: str) -> None:
    s = record(operator, variant)
    for limit in (0, 2**40):
        sent = load(to_bytes(s, half_above=limit))
        assert wire_size(s, half_above=limit) == sum(tensor.nbytes for tensor in sent.values())


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_file_is_hardly_more_than_its_numbers(operator: str) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    s = explore(photo, Settings(operator=operator, field="random")).sampling
    content = to_bytes(s)
    raw = sum(tensor.nbytes for tensor in load(content).values())
    assert len(content) <= 1.15 * raw


@pytest.mark.parametrize("limit", [0, 2**40])
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_typed_array_can_lie_on_each_tensor(operator: str, limit: int) -> None:
    """A browser refuses one that does not begin at a multiple of its numbers' size."""
    content = to_bytes(run(operator, field="random", kernel_size=(1, 3)), half_above=limit)
    header, start = head(content)
    del header["__metadata__"]
    assert header
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        size = ITEM_BYTES[entry["dtype"]]
        assert (start + first) % size == 0, name
        assert last - first == size * np.prod(entry["shape"]), name


# What takes no room


@pytest.mark.parametrize("operator", REGULAR)
def test_a_regular_grid_takes_no_room(operator: str) -> None:
    offset = load(to_bytes(run(operator)))["offset"]
    assert (offset.shape, offset.item()) == ((1, 1, 1, 1, 1), 0)


@pytest.mark.parametrize("operator", ["Active Shift", "CycleFC"])
def test_shifts_that_are_the_same_everywhere_are_sent_once(operator: str) -> None:
    s = run(operator)
    offset = load(to_bytes(s))["offset"]
    assert offset.shape == (s.groups, 1, 2, 1, 1)
    assert torch.equal(offset[..., 0, 0], s.offset[..., 5, 7])


@pytest.mark.parametrize("name", ["offset", "reference", "mask", "region"])
def test_what_is_one_value_expanded_is_sent_once(name: str) -> None:
    s = attention()
    shapes = {"mask": s.offset.shape[:2] + s.output_size, "region": s.output_size}
    shape = shapes.get(name, s.offset.shape)
    value = torch.tensor(3, dtype=torch.int64 if name == "region" else torch.float32)
    expanded = replace(s, **{name: value.expand(shape)})
    sent = load(to_bytes(expanded))
    assert sent[name].numel() == 1
    assert_sent(expanded, sent)


@pytest.mark.parametrize("name", ["input", "output", "weight", "bias", "guide"])
def test_a_length_that_the_browser_reads_off_a_tensor_is_kept(name: str) -> None:
    """How many channels, filters and regions there are is said nowhere else: a grey photo seen as
    three colours still has three.
    """
    kernel = Kernel.of(3, padding=1)
    shapes = {
        "input": (6, 5, 4),
        "output": (8, 5, 4),
        "weight": (3, 8, 6, 3, 3),
        "bias": (8,),
        "guide": (3, 5, 4),
    }
    whole = {other: torch.rand(shape) for other, shape in shapes.items()}
    whole["region"] = torch.zeros(5, 4, dtype=torch.int64)
    for fixed in range(len(shapes[name])):
        axes = [n if axis == fixed else 1 for axis, n in enumerate(shapes[name])]
        changed = whole | {name: torch.rand(axes).expand(shapes[name])}
        s = Sampling.regular("made up", kernel, (5, 4), **changed)
        sent = load(to_bytes(s))
        assert sent[name].shape == shapes[name]
        assert_sent(s, sent)


# Kinds of numbers


def test_regions_are_whole_numbers_of_32_bits() -> None:
    s = run("DRConv", regions=5, guide="random")
    region = load(to_bytes(s))["region"]
    assert region.dtype == torch.int32
    assert s.region is not None
    assert region.tolist() == s.region.tolist()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64], ids=str)
def test_regions_may_come_as_any_whole_numbers(dtype: torch.dtype) -> None:
    region = torch.arange(42).reshape(6, 7).to(dtype)
    sent = load(to_bytes(replace(attention(), region=region)))["region"]
    assert sent.dtype == torch.int32
    assert sent.tolist() == region.tolist()


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float32], ids=str
)
def test_numbers_of_any_precision_come_as_32_bits(dtype: torch.dtype) -> None:
    s = attention()
    kept = {name: tensor.to(dtype) for name, tensor in tensors(s).items()}
    sent = load(to_bytes(replace(s, **kept)))
    for name, tensor in kept.items():
        assert sent[name].dtype == torch.float32, name
        # numpy knows no bfloat16, but float64 holds each of them exactly.
        expected = tensor.double().numpy().astype(np.float32)
        assert np.array_equal(sent[name].numpy(), expected), name


@pytest.mark.parametrize(("more", "dtype"), [(0, torch.float32), (-1, torch.float16)])
def test_offsets_are_halved_above_the_limit_alone(more: int, dtype: torch.dtype) -> None:
    s = attention()
    sent = load(to_bytes(s, half_above=4 * s.offset.numel() + more))
    assert sent.pop("offset").dtype == dtype
    assert {tensor.dtype for tensor in sent.values()} == {torch.float32}  # larger ones, too


def test_halved_offsets_are_the_nearest_of_16_bits() -> None:
    exact = torch.cat((torch.logspace(-7, 4, 41), torch.zeros(1))).repeat(20).reshape(2, 5, 2, 6, 7)
    s = replace(attention(), offset=exact)
    sent = load(to_bytes(s, half_above=0))["offset"]
    assert sent.dtype == torch.float16
    # float16 has 11 digits of 2; below 2**-14 its steps are 2**-24 wide.
    gap = (sent.double() - exact.double()).abs()
    assert (gap <= torch.maximum(exact.double() * 2**-11, torch.tensor(2.0**-25).double())).all()
    assert gap.max() > 0


@pytest.mark.parametrize(("width", "bytes_each"), [(4096, 4), (4097, 2)])
def test_the_limit_is_128_mebibytes(width: int, bytes_each: int) -> None:
    offset = torch.empty(1, 1, 2, 4096, width, device="meta")
    s = Sampling("wide", (4096, width), (4096, width), Kernel.of(1), offset)
    assert wire_size(s) == 2 * 4096 * width * bytes_each


def test_offsets_that_are_the_same_everywhere_are_never_too_many() -> None:
    offset = torch.full((1, 1, 1, 1, 1), 0.1).expand(1, 1, 2, 9000, 9000)
    s = Sampling("wide", (9000, 9000), (9000, 9000), Kernel.of(1), offset)
    assert load(to_bytes(s))["offset"].dtype == torch.float32


# How tensors may lie in memory


def test_tensors_that_are_still_being_learned_are_sent() -> None:
    s = attention()
    learned = {name: tensor.clone().requires_grad_() for name, tensor in tensors(s).items()}
    learned["offset"] = 2 * learned["offset"]  # of a graph
    sent = load(to_bytes(replace(s, **learned)))
    assert torch.equal(sent.pop("offset"), 2 * s.offset)
    for name, tensor in sent.items():
        assert torch.equal(tensor, getattr(s, name)), name


def test_tensors_in_any_order_are_sent_in_their_own() -> None:
    s = attention()
    assert s.mask is not None
    assert s.input is not None
    assert s.reference is not None
    turned = replace(
        s,
        offset=s.offset.permute(4, 2, 0, 3, 1).contiguous().permute(2, 4, 1, 3, 0),
        reference=torch.stack((s.reference, s.reference + 9), dim=-1)[..., 1],  # every other one
        mask=s.mask.repeat_interleave(2, dim=3)[..., ::2],
        input=torch.cat((s.input, s.input), dim=2)[:, :, 14:],  # from the middle of another
    )
    for name in ("offset", "reference", "mask", "input"):
        assert not getattr(turned, name).is_contiguous()
    assert_sent(turned, load(to_bytes(turned)))


def test_tensors_that_share_memory_are_sent_each() -> None:
    """An identity hands its input on, and offset and mask are often slices of one tensor."""
    image, raw = torch.rand(3, 5, 5), torch.rand(3, 5, 5)
    s = Sampling(
        "identity", (5, 5), (5, 5), Kernel.of(1), offset=raw[:2].reshape(1, 1, 2, 5, 5),
        mask=raw[2:].reshape(1, 1, 5, 5), input=image, output=image,
    )  # fmt: skip
    assert_sent(s, load(to_bytes(s)))


def test_numbers_that_are_not_finite_are_sent_as_they_are() -> None:
    s = attention()
    s.offset.view(-1)[:3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    for limit in (0, 2**40):
        sent = load(to_bytes(s, half_above=limit))["offset"].reshape(-1)[:3].tolist()
        assert sent[0] != sent[0]
        assert sent[1:] == [float("inf"), -float("inf")]


def test_offsets_that_are_rounded_are_told_of() -> None:
    s = attention()
    bytes_ = 4 * s.offset.numel()
    for limit, kind in ((bytes_ - 1, "F16"), (bytes_, "F32")):
        sent, _ = head(to_bytes(s, half_above=limit))
        assert sent["offset"]["dtype"] == kind
        assert bool(rounded(s, half_above=limit)) == (kind == "F16")
    grid = Sampling.regular("grid", Kernel.of(3, padding=1), (64, 64))
    assert rounded(grid, half_above=8) == "", "one value is sent once, however many stand for it"
