"""DRConv against a loop over pixels, F.conv2d and a dense straight-through formulation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import reference
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deformviz.operators import (
    DRConv2d,
    dr_conv,
    dr_conv2d,
    dr_conv2d_sampling,
    dr_conv_sorted,
    dr_conv_strips,
)

Pair = tuple[int, int]
Geometry = tuple[Pair, Pair, Pair]

GEOMETRIES: dict[str, tuple[Pair, Geometry]] = {  # kernel, (stride, padding, dilation)
    "1x1": ((1, 1), ((1, 1), (0, 0), (1, 1))),
    "1x1 padded": ((1, 1), ((1, 1), (1, 1), (1, 1))),
    "1x1 strided": ((1, 1), ((2, 1), (0, 0), (1, 1))),
    "3x3": ((3, 3), ((1, 1), (1, 1), (1, 1))),
    "2x3 strided dilated": ((2, 3), ((2, 1), (0, 2), (3, 2))),
    "2x3 dilated along y": ((2, 3), ((1, 2), (2, 1), (2, 1))),
}
geometries = pytest.mark.parametrize(
    ("kernel", "geometry"), list(GEOMETRIES.values()), ids=list(GEOMETRIES)
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


WAYS = {  # fewer channels than which, rows and numbers up to which
    "all regions": (1000, 256, 2**22),
    "sorted": (0, 0, 2**22),
    "sorted, filled up": (0, 256, 2**22),
    "sorted, in strips": (0, 256, 500),
}


@pytest.fixture(autouse=True, params=WAYS, scope="module")
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """All ways to compute it, whatever the number of channels."""
    few, rows, elements = WAYS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dr_conv, "_FEW_CHANNELS", few)
        patch.setattr(dr_conv_strips, "SMALL_ROWS", rows)
        patch.setattr(dr_conv_sorted, "STRIP_ELEMENTS", elements)
        yield


def arguments(
    kernel: Pair = (3, 3),
    geometry: Geometry = ((1, 1), (1, 1), (1, 1)),
    regions: int = 3,
    groups: int = 1,
    batch: int = 2,
    channels: int = 4,
    outputs: int = 6,
    size: Pair = (5, 6),
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Random input, weight and guide in float64."""
    g = torch.Generator().manual_seed(seed)
    h, w = reference.output_size(size, kernel, *geometry)
    shapes = (
        (batch, channels, *size),
        (batch, regions, outputs, channels // groups, *kernel),
        (batch, regions, h, w),
    )
    x, weight, guide = (torch.randn(s, generator=g, dtype=torch.float64) for s in shapes)
    return x, weight, guide


def dense(x: Tensor, weight: Tensor, guide: Tensor, geometry: Geometry) -> Tensor:
    """m whole convolutions for each image, mixed by one-hot + softmax - softmax.detach()."""
    soft = guide.softmax(1)
    hard = F.one_hot(guide.argmax(1), guide.shape[1]).movedim(-1, 1).to(guide)
    choice = hard + soft - soft.detach()
    groups = x.shape[1] // weight.shape[3]
    images = [
        sum(
            choice[b, t] * F.conv2d(x[b : b + 1], weight[b, t], None, *geometry, groups)[0]
            for t in range(guide.shape[1])
        )
        for b in range(x.shape[0])
    ]
    return torch.stack(images)


# --- the output ------------------------------------------------------------------------------


@geometries
@pytest.mark.parametrize("groups", [1, 2])
def test_equals_the_loop_over_pixels(kernel: Pair, geometry: Geometry, groups: int) -> None:
    x, weight, guide = arguments(kernel, geometry, groups=groups)
    expected = reference.dr_conv2d(x, weight, guide, *geometry)
    torch.testing.assert_close(dr_conv2d(x, weight, guide, *geometry), expected, rtol=0, atol=1e-10)


@given(
    regions=st.integers(1, 9),
    groups=st.integers(1, 3),
    batch=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_equals_the_dense_formulation(
    regions: int, groups: int, batch: int, kernel: Pair, stride: Pair, seed: int
) -> None:
    geometry = (stride, (1, 2), (1, 1))
    x, weight, guide = arguments(
        kernel, geometry, regions, groups, batch, 2 * groups, 3 * groups, (4, 3), seed
    )
    got = dr_conv2d(x, weight, guide, *geometry)
    torch.testing.assert_close(got, dense(x, weight, guide, geometry), rtol=0, atol=1e-10)


@geometries
@pytest.mark.parametrize("groups", [1, 2])
def test_one_region_is_a_convolution(kernel: Pair, geometry: Geometry, groups: int) -> None:
    x, weight, guide = arguments(kernel, geometry, regions=1, groups=groups, batch=1)
    expected = F.conv2d(x, weight[0, 0], None, *geometry, groups)
    torch.testing.assert_close(dr_conv2d(x, weight, guide, *geometry), expected, rtol=0, atol=1e-12)


def test_relabelling_the_regions_with_their_filters_changes_nothing() -> None:
    x, weight, guide = arguments(regions=5)
    order = torch.tensor([3, 0, 4, 1, 2])
    expected = dr_conv2d(x, weight, guide, padding=1)
    # Not bit for bit: a library may sum the channels of another block in another order.
    torch.testing.assert_close(
        dr_conv2d(x, weight[:, order], guide[:, order], padding=1), expected, rtol=0, atol=1e-13
    )
    assert (dr_conv2d(x, weight[:, order], guide, padding=1) - expected).abs().max() > 0.1


@pytest.mark.parametrize("regions", [1, 4, 40], ids="m={}".format)
def test_the_regions_cover_each_pixel_once(regions: int) -> None:
    """Filter t writes a one into channel t: each pixel must hold one 1, at its argmax."""
    guide = torch.randn(2, regions, 5, 6)
    one_hot = torch.eye(regions).reshape(1, regions, regions, 1, 1, 1).expand(2, -1, -1, -1, -1, -1)
    got = dr_conv2d(torch.ones(2, 1, 5, 6), one_hot, guide)
    assert torch.equal(got.sum(1), torch.ones(2, 5, 6))
    assert torch.equal(got.max(1).values, torch.ones(2, 5, 6))
    torch.testing.assert_close((got * guide).sum(1), guide.max(1).values, rtol=0, atol=0)


def test_each_image_of_a_batch_has_filters_of_its_own() -> None:
    """A copied version uses the first image's filters for the whole batch."""
    x, weight, guide = arguments(batch=3)
    together = dr_conv2d(x, weight, guide, padding=1)
    for b in range(3):
        one = slice(b, b + 1)
        alone = dr_conv2d(x[one], weight[one], guide[one], padding=1)
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-12)
    first = dr_conv2d(x, weight[:1].expand_as(weight), guide, padding=1)
    assert (first[1:] - together[1:]).abs().max() > 0.1


# --- the gradients ---------------------------------------------------------------------------


@geometries
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_equal_autograd_through_the_dense_formulation(
    kernel: Pair, geometry: Geometry, groups: int
) -> None:
    leaves = [t.requires_grad_() for t in arguments(kernel, geometry, groups=groups)]
    expected, got = dense(*leaves, geometry), dr_conv2d(*leaves, *geometry)
    upstream = torch.randn_like(expected)
    for name, w, g in zip(
        ("input", "weight", "guide"),
        torch.autograd.grad(expected, leaves, upstream),
        torch.autograd.grad(got, leaves, upstream),
        strict=True,
    ):
        assert w.abs().max() > 0, name
        torch.testing.assert_close(g, w, rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@geometries
def test_gradcheck_of_input_and_weight(kernel: Pair, geometry: Geometry) -> None:
    x, weight, guide = arguments(
        kernel, geometry, regions=2, channels=2, outputs=2, batch=1, size=(4, 4)
    )
    assert torch.autograd.gradcheck(
        lambda a, b: dr_conv2d(a, b, guide, *geometry),
        (x.requires_grad_(), weight.requires_grad_()),
    )


@geometries
@pytest.mark.parametrize("wanted", [0, 1, 2], ids=["input", "weight", "guide"])
def test_each_gradient_alone(kernel: Pair, geometry: Geometry, wanted: int) -> None:
    """One argument that wants a gradient while the others do not, as in a frozen network."""
    arguments_ = list(arguments(kernel, geometry))
    leaf = arguments_[wanted].requires_grad_()
    (expected,) = torch.autograd.grad(dense(*arguments_, geometry).square().sum(), leaf)
    (got,) = torch.autograd.grad(dr_conv2d(*arguments_, *geometry).square().sum(), leaf)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_gradients_of_many_positions_and_few_channels() -> None:
    """Where the filters are less to copy than what is read is to reorder."""
    x, weight, guide = arguments(size=(12, 11), channels=2, outputs=3)
    leaves = [t.requires_grad_() for t in (x, weight, guide)]
    geometry = ((1, 1), (1, 1), (1, 1))
    expected, got = dense(*leaves, geometry), dr_conv2d(*leaves, *geometry)
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    for w, g in zip(
        torch.autograd.grad(expected, leaves, upstream),
        torch.autograd.grad(got, leaves, upstream),
        strict=True,
    ):
        torch.testing.assert_close(g, w, rtol=0, atol=1e-9)


def test_a_batch_of_none_gives_an_output_of_none() -> None:
    shapes = ((0, 4, 5, 6), (0, 3, 6, 4, 3, 3), (0, 3, 5, 6))
    assert dr_conv2d(*map(torch.zeros, shapes), padding=1).shape == (0, 6, 5, 6)


def test_an_infinity_reaches_no_region_that_does_not_read_it() -> None:
    """Filters of the other regions, and what they give, do not matter."""
    x, weight, guide = arguments(regions=3)
    weight[:, 1] = torch.inf
    expected = reference.dr_conv2d(x, weight.nan_to_num(posinf=0.0), guide, padding=(1, 1))
    there = (guide.argmax(1, keepdim=True) != 1).expand_as(expected)
    assert there.any()
    got = dr_conv2d(x, weight, guide, padding=1)
    torch.testing.assert_close(got[there], expected[there], rtol=0, atol=1e-10)


def test_gradients_under_autocast_are_those_of_float32() -> None:
    leaves = [t.float().requires_grad_() for t in arguments()]
    geometry = ((1, 1), (1, 1), (1, 1))
    expected = torch.autograd.grad(dense(*leaves, geometry).square().sum(), leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = torch.autograd.grad(dr_conv2d(*leaves, *geometry).square().sum(), leaves)
    for w, g in zip(expected, got, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-4, atol=1e-3)


def test_a_region_that_nobody_chose_has_no_gradient_but_can_still_be_learned() -> None:
    x, weight, guide = arguments(regions=3)
    guide[:, 2] = -3
    leaves = [t.requires_grad_() for t in (x, weight, guide)]
    dr_conv2d(*leaves, padding=1).square().sum().backward()
    assert weight.grad is not None
    assert guide.grad is not None
    assert weight.grad[:, 2].count_nonzero() == 0
    assert weight.grad[:, :2].count_nonzero() > 0
    assert guide.grad[:, 2].abs().max() > 0


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_guide_learns_in_training_and_in_evaluation(training: bool) -> None:
    """A copied version turns the straight-through gradient off in evaluation."""
    layer = DRConv2d(3, 4, 3, regions=4, padding=1).double().train(training)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    by_hand = dense(x, layer.filters(x), layer.guide_conv(x), ((1, 1), (1, 1), (1, 1)))
    leaf = layer.guide_conv.weight
    (expected,) = torch.autograd.grad(by_hand.square().sum(), leaf)
    (got,) = torch.autograd.grad(layer(x).square().sum(), leaf)
    assert expected.abs().max() > 0
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


# --- the layer -------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 3)], ids=str)
def test_the_filters_are_generated_as_the_paper_says(groups: int, kernel: Pair) -> None:
    """Pool to the kernel's size, 1 x 1 to m² channels and a sigmoid, then m separate 1 x 1."""
    m, channels, outputs = 3, 4, 6
    layer = DRConv2d(channels, outputs, kernel, regions=m, padding=1, groups=groups).double()
    state = {n: p.detach() for n, p in layer.filter_generator.named_parameters()}
    (w1, b1, w2, b2) = state.values()
    assert w1.shape == (m * m, channels, 1, 1)
    x = torch.randn(2, channels, 6, 7, dtype=torch.float64)
    pooled = F.adaptive_avg_pool2d(x, kernel)
    hidden = torch.sigmoid(F.conv2d(pooled, w1, b1))
    per_region = outputs * channels // groups
    expected = []
    for t in range(m):  # region t sees the m hidden channels of its own group
        rows = slice(t * per_region, (t + 1) * per_region)
        one = F.conv2d(hidden[:, t * m : (t + 1) * m], w2[rows], b2[rows])
        expected.append(one.reshape(2, outputs, channels // groups, *kernel))
    torch.testing.assert_close(layer.filters(x), torch.stack(expected, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_layer_equals_the_loop(groups: int, stride: int) -> None:
    layer = DRConv2d(4, 6, 3, regions=3, stride=stride, padding=2, dilation=2, groups=groups)
    layer.double()
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    conv = layer.guide_conv
    guide = F.conv2d(x, conv.weight, conv.bias, stride, 2, 2)
    expected = reference.dr_conv2d(x, layer.filters(x), guide, (stride, stride), (2, 2), (2, 2))
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)


def test_an_exported_layer_has_the_same_gradients() -> None:
    layer = DRConv2d(4, 6, 3, regions=3, padding=1).double()
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64, requires_grad=True)
    exported = torch.export.export(layer, (x.detach(),)).module()
    expected, got = layer(x), exported(x)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    (found,) = torch.autograd.grad(got.square().sum(), x)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)


# --- the record ------------------------------------------------------------------------------


def test_the_record_holds_the_region_that_each_pixel_chose() -> None:
    x, weight, guide = arguments(regions=4, batch=3)
    s = dr_conv2d_sampling(x, weight, guide, padding=1, index=2)
    assert s.region is not None
    for y in range(5):
        for column in range(6):
            scores = guide[2, :, y, column].tolist()
            assert int(s.region[y, column]) == scores.index(max(scores))
    expected = reference.dr_conv2d(x, weight, guide, padding=(1, 1))[2]
    torch.testing.assert_close(s.output, expected, rtol=0, atol=1e-10)
    assert torch.equal(s.weight, weight[2])
    assert torch.equal(s.guide, guide[2])
    assert torch.equal(s.input, x[2])


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": torch.zeros(4, 5, 6)}, ["input must be [B, C, H, W]", "[4, 5, 6]"]),
        ({"weight": torch.zeros(3, 6, 4, 3, 3)}, ["[B, m, O, C / groups", "[3, 6, 4, 3, 3]"]),
        ({"weight": torch.zeros(1, 3, 6, 4, 3, 3)}, ["[2, 4, 5, 6]", "[1, 3, 6, 4, 3, 3]"]),
        ({"weight": torch.zeros(2, 3, 6, 3, 3, 3)}, ["4 channels", "divide"]),
        ({"weight": torch.zeros(2, 3, 5, 2, 3, 3)}, ["[2, 3, 5, 2, 3, 3]", "divide"]),
        ({"guide": torch.zeros(2, 4, 5, 6)}, ["[2, 3, 5, 6]", "[2, 4, 5, 6]"]),
        ({"guide": torch.zeros(2, 3, 4, 4)}, ["[2, 3, 5, 6]", "[2, 3, 4, 4]"]),
        ({"guide": torch.zeros(1, 3, 5, 6)}, ["[2, 3, 5, 6]", "[1, 3, 5, 6]"]),
        ({"dilation": 4}, ["9 x 9", "5 x 6", "larger input"]),
    ],
    ids=[
        "input 3-D", "weight without a batch", "weight of one image", "groups do not divide C",
        "groups do not divide O", "guide of another m", "guide too small", "guide of one image",
        "no output left",
    ],
)  # fmt: skip
def test_errors_name_what_was_expected_and_what_came(
    change: dict[str, object], words: list[str]
) -> None:
    good: dict[str, object] = {
        "input": torch.zeros(2, 4, 5, 6),
        "weight": torch.zeros(2, 3, 6, 4, 3, 3),
        "guide": torch.zeros(2, 3, 5, 6),
        "padding": 1,
    }
    assert dr_conv2d(**good).shape == (2, 6, 5, 6)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        dr_conv2d(**{**good, **change})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"regions": 0}, {"groups": 3}, {"groups": 0}], ids=["m=0", "groups=3", "groups=0"]
)
def test_a_layer_that_cannot_be(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"regions must be at least 1 and groups must divide"):
        DRConv2d(4, 6, 3, **options)
