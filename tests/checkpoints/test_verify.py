"""`verify` says yes to what is right and no to what is wrong, in every channel order."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from networks import Mixed
from torch import Tensor
from torchvision.ops import deform_conv2d

import deformviz
from deformviz import Sampling
from deformviz.checkpoints import Layer, find_layers
from deformviz.checkpoints.family import Order
from deformviz.checkpoints.verify import Verified, verify, verify_order, verify_sum
from deformviz.operators import ModulatedDeformConv2d, deform_conv2d_sampling

ORDERS: tuple[Order, ...] = get_args(Order)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def captured() -> list[Sampling]:
    model = Mixed()
    with torch.no_grad(), deformviz.capture(model) as samplings:
        model(torch.rand(1, 3, 48, 64))
    return samplings


def swapped(s: Sampling) -> Sampling:
    return replace(s, offset=s.offset.flip(2))


def by_columns(s: Sampling) -> Sampling:
    """The taps of a row-major kernel taken for column-major ones."""
    kh, kw = s.kernel.size
    index = torch.arange(kh * kw).reshape(kh, kw).T.flatten()
    return replace(s, offset=s.offset[:, index])


def blocked(s: Sampling) -> Sampling:
    g, k, _, h, w = s.offset.shape
    return replace(s, offset=s.offset.reshape(g, 2, k, h, w).transpose(1, 2))


def test_what_was_captured_is_right(captured: list[Sampling]) -> None:
    for s in captured:
        found = verify(s)
        assert found.ok
        assert 0 <= found.difference < 1e-5
        assert found.positions == 64
        assert str(found).startswith("order verified: difference ")


@pytest.mark.parametrize("wrong", [swapped, by_columns, blocked])
def test_offsets_in_another_order_are_not(captured: list[Sampling], wrong: Any) -> None:
    for s in captured:
        found = verify(wrong(s))
        assert not found.matches
        assert found.difference > 20 * found.tolerance
        assert str(found).startswith("order NOT verified: difference ")


@pytest.mark.parametrize("field", ["mask", "weight", "bias", "input", "output", "offset"])
def test_a_wrong_tensor_of_any_kind_is_noticed(captured: list[Sampling], field: str) -> None:
    s = captured[0] if field == "bias" else captured[1]
    tensor = getattr(s, field)
    changed: dict[str, Any] = {field: tensor + 0.05 * tensor.abs().max()}
    assert verify(s).matches
    assert not verify(replace(s, **changed)).matches


def test_a_wide_layer_in_float32_is_told_from_a_wrong_one() -> None:
    """576 products a value, most of which cancel: a wrong order changes little of their sum."""
    x, weight = torch.randn(1, 64, 40, 40), torch.randn(8, 64, 3, 3)
    s = deform_conv2d_sampling(x, 3 * torch.randn(1, 18, 40, 40), weight, padding=1)
    assert verify(s).matches
    assert not verify(swapped(s)).matches


@pytest.mark.parametrize("shift", [0, 400])
def test_rounding_of_coordinates_far_from_the_origin_is_explained(shift: int) -> None:
    """torchvision adds coordinates in float32, which is coarser at column 400 than at 0."""
    x = torch.zeros(1, 1, 4, shift + 40)
    x[..., shift:] = 1000 * torch.randn(40)
    offset = torch.randn(1, 18, 4, shift + 40)
    weight = torch.randn(1, 1, 3, 3)
    output = deform_conv2d(x, offset, weight, padding=1)
    s = deform_conv2d_sampling(x, offset, weight, padding=1)
    found = verify(replace(s, output=output[0]), positions=10**6)
    assert found.matches
    assert found.difference > 0


def test_no_number_is_no_match(captured: list[Sampling]) -> None:
    s = captured[1]
    found = verify(replace(s, output=torch.full_like(s.output, math.nan)))
    assert not found.matches
    assert str(found).startswith("order NOT verified: difference nan")


def test_half_precision_is_never_said_to_prove_much() -> None:
    layer = ModulatedDeformConv2d(4, 6, 3, padding=1)
    torch.nn.init.normal_(layer.offset_conv.weight, std=0.5)
    with torch.no_grad():
        s = layer.bfloat16().sampling(torch.rand(1, 4, 20, 300).bfloat16())
    found = verify(s)
    assert found.matches  # computed in float32 inside, rounded once
    assert found.tolerance <= 0.02 * float(s.output.abs().max() + s.weight.abs().sum())
    assert not verify(swapped(s)).matches


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_fewer_channels_and_positions(captured: list[Sampling], channels: int | None) -> None:
    layer = ModulatedDeformConv2d(4, 6, 3, padding=1)
    s = layer.sampling(torch.rand(1, 4, 9, 9))
    assert s.output is not None
    last_is_wrong = s.output.clone()
    last_is_wrong[5] += 1
    found = verify(replace(s, output=last_is_wrong), positions=7, channels=channels)
    assert found.positions == 7
    assert found.matches == (channels is not None)
    grouped = captured[1]  # groups: all channels are compared
    assert not verify(replace(grouped, output=grouped.output + 1), channels=channels).matches


def test_a_layer_too_wide_for_many_positions_takes_fewer() -> None:
    s = deform_conv2d_sampling(
        torch.rand(1, 512, 6, 6), torch.randn(1, 18, 6, 6), torch.rand(512, 512, 3, 3), padding=1
    )
    found = verify(s)
    assert found.matches
    assert 2 <= found.positions < 36


def test_without_an_output_there_is_nothing_to_compare(captured: list[Sampling]) -> None:
    with pytest.raises(ValueError, match="'plain' does not hold its output"):
        verify(replace(captured[0], output=None))
    with pytest.raises(ValueError, match="'plain' does not hold the map that was read"):
        verify(replace(captured[0], input=None))


def test_a_sum_of_records(captured: list[Sampling]) -> None:
    s = captured[0]
    assert s.output is not None
    assert verify_sum([s, s], 2 * s.output).matches
    assert not verify_sum([s, s], s.output).matches


# ---------------------------------------------------------------------------------- verify_order


def in_order(canonical: Tensor, order: Order, kernel: tuple[int, int]) -> Tensor:
    """Offsets [G, K, 2, h, w], (dy, dx) and row-major, as channels [1, R, h, w] in an order."""
    groups = []
    for group in canonical:
        taps = list(group)
        if order.startswith("columns"):
            kh, kw = kernel
            taps = [taps[i * kw + j] for j in range(kw) for i in range(kh)]
        pairs = [tap.flip(0) if order.endswith("-xy") else tap for tap in taps]
        if order.startswith("blocked"):
            groups += [pair[axis] for axis in (0, 1) for pair in pairs]
        else:
            groups += [axis for pair in pairs for axis in pair]
    return torch.stack(groups)[None]


def layer_of(kernel: tuple[int, int], rows: int) -> Layer:
    (layer,) = find_layers(
        {"a.weight": (4, 4, *kernel), "a.conv_offset.weight": (rows, 4, *kernel)}
    )
    return layer


def call(kernel: tuple[int, int], groups: int, sigma: float) -> tuple[Tensor, Tensor, Any]:
    x, weight = torch.randn(2, 4, 9, 8), torch.randn(4, 4, *kernel)
    taps = kernel[0] * kernel[1]
    h, w = 9 + 3 - kernel[0], 8 + 3 - kernel[1]
    offset = sigma * torch.randn(groups, taps, 2, h, w)
    flat = offset.reshape(1, -1, h, w)
    y = deform_conv2d(x[1:], flat, weight, padding=1)
    return offset, torch.cat([torch.zeros_like(y), y]), {"input": x, "weight": weight}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("groups", [1, 2])
def test_the_true_order_is_found_whatever_was_assumed(order: Order, groups: int) -> None:
    offset, output, rest = call((3, 3), groups, 2.0)
    raw = in_order(offset, order, (3, 3))
    raw = torch.cat([torch.zeros_like(raw), raw])
    layer = layer_of((3, 3), 18 * groups).override(offset_groups=groups)
    found = verify_order(layer, raw, output=output, image=1, padding=1, **rest)
    assert found.order == order
    assert found.ok
    assert set(found.others) == set(ORDERS) - {order}
    assert min(found.others.values()) > 100 * found.difference


def test_offsets_that_are_all_zero_decide_nothing() -> None:
    offset, output, rest = call((3, 3), 1, 0.0)
    raw = in_order(offset, "interleaved", (3, 3)).repeat(2, 1, 1, 1)
    found = verify_order(layer_of((3, 3), 18), raw, output=output, image=1, padding=1, **rest)
    assert found.matches
    assert not found.ok
    assert len(found.rivals) == 5
    assert str(found).startswith("order undecided: interleaved, ")


def test_orders_that_are_the_same_for_a_kernel_are_no_rivals() -> None:
    """A line of taps has no columns, a single tap no blocks."""
    offset, output, rest = call((1, 3), 1, 2.0)
    raw = in_order(offset, "interleaved", (1, 3)).repeat(2, 1, 1, 1)
    found = verify_order(layer_of((1, 3), 6), raw, output=output, image=1, padding=1, **rest)
    assert found.ok
    assert set(found.others) == {"interleaved-xy", "blocked", "blocked-xy"}


def test_no_order_gives_an_output_of_something_else() -> None:
    offset, output, rest = call((3, 3), 1, 2.0)
    raw = in_order(offset, "interleaved", (3, 3)).repeat(2, 1, 1, 1)
    found = verify_order(
        layer_of((3, 3), 18), raw.tanh(), output=output, image=1, padding=1, **rest
    )
    assert not found.matches
    assert str(found).startswith("order NOT verified")


def test_what_a_verdict_says() -> None:
    good = Verified(2e-6, 1e-4, 64, "interleaved", {"blocked": 0.3})
    assert (good.ok, str(good)) == (True, "order verified: difference 2e-06")
    torn = Verified(2e-6, 1e-4, 64, "interleaved", {"blocked": 3e-5})
    assert not torn.ok
    assert torn.rivals == ("blocked",)
    bad = Verified(0.2, 1e-4, 64)
    assert str(bad) == "order NOT verified: difference 2e-01, rounding explains 1e-04"
