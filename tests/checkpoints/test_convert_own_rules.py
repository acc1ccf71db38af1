"""Families with a sampling rule of their own, each rule restated as loops over single numbers."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from layouts import Shapes, conv, norm
from restated import assert_same, bilinear, normal, only, read
from torch import Tensor
from torchvision.ops import deform_conv2d

from deformviz.checkpoints import Layer, to_canonical

# ---- the blogs' version (4uiiurz1): p = p_0 + p_n + offset on the padded map


def blog(kernel: int, masked: bool = True) -> Layer:
    taps = kernel * kernel
    shapes = conv("b.conv", (3, 4, kernel, kernel), False) | conv("b.p_conv", (2 * taps, 4, 3, 3))
    shapes |= conv("b.m_conv", (taps, 4, 3, 3)) if masked else {}
    return only(shapes, "blog v2" if masked else "blog v1")


def clamped_corners(image: Tensor, y: float, x: float) -> float:
    """Four neighbours, each clamped to the map, weighed by the distances to the clamped point."""
    height, width = image.shape
    corners = [
        (min(max(math.floor(y) + a, 0), height - 1), min(max(math.floor(x) + b, 0), width - 1))
        for a, b in ((0, 0), (1, 1), (0, 1), (1, 0))
    ]
    (top, left), (bottom, right), _, _ = corners
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    low_y, low_x, high_y, high_x = 1 + top - y, 1 + left - x, 1 - (bottom - y), 1 - (right - x)
    parts = (low_y * low_x, high_y * high_x, low_y * high_x, high_y * low_x)
    return sum(part * float(image[c]) for part, c in zip(parts, corners, strict=True))


def blog_output(
    x: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    padding: int,
    stride: int,
    rounds_down: bool = False,
) -> Tensor:
    """The published rule; `rounds_down` is that of its first version."""
    k = weight.shape[-1]
    padded = F.pad(x, (padding,) * 4)[0]
    h, w = offset.shape[-2:]
    result = torch.zeros(weight.shape[0], h, w, dtype=torch.float64)
    shape = range(-(k - 1) // 2, (k - 1) // 2 + 1)
    for oy, ox in product(range(h), range(w)):
        for n, (pn_y, pn_x) in enumerate(product(shape, shape)):
            y = 1 + oy * stride + pn_y + float(offset[0, n, oy, ox])
            col = 1 + ox * stride + pn_x + float(offset[0, k * k + n, oy, ox])
            if rounds_down:
                last = [size - 1 - padding for size in padded.shape[1:]]
                y = math.floor(y) if y < padding or y > last[0] else y
                col = math.floor(col) if col < padding or col > last[1] else col
            factor = 1.0 if mask is None else float(torch.sigmoid(mask[0, n, oy, ox]))
            for c in range(x.shape[1]):
                value = factor * clamped_corners(padded[c], y, col)
                result[:, oy, ox] += weight[:, c, n // k, n % k] * value
    return result


@pytest.mark.parametrize(
    ("kernel", "padding", "stride"),
    [(3, 1, 1), (3, 1, 2), (5, 2, 1), (5, 1, 1), (5, 2, 2), (7, 3, 1), (3, 0, 1), (1, 0, 1)],
)
def test_the_blogs_version(kernel: int, padding: int, stride: int) -> None:
    layer, x, weight = blog(kernel), normal(1, 4, 6, 5), normal(3, 4, kernel, kernel)
    h, w = (6 - 1) // stride + 1, (5 - 1) // stride + 1
    offset = normal(1, 2 * kernel**2, h, w, scale=1.5)
    mask = normal(1, kernel**2, h, w)
    canonical = to_canonical(layer, offset, mask, stride=stride, padding=padding, size=(6, 5))
    theirs = blog_output(x, offset, mask, weight, padding, stride)
    assert_same(read(canonical, x, weight), theirs)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_blogs_first_version_rounds_down_in_the_padding(stride: int) -> None:
    layer, x, weight = blog(3).override(outside="inside"), normal(1, 4, 6, 5), normal(3, 4, 3, 3)
    h, w = (6 - 1) // stride + 1, (5 - 1) // stride + 1
    offset, mask = normal(1, 18, h, w, scale=1.5), normal(1, 9, h, w)
    canonical = to_canonical(layer, offset, mask, stride=stride, padding=1, size=(6, 5))
    theirs = blog_output(x, offset, mask, weight, 1, stride, rounds_down=True)
    assert_same(read(canonical, x, weight), theirs)
    later = blog_output(x, offset, mask, weight, 1, stride)
    assert (theirs - later).abs().max() > 1e-3, "or the two versions would be one"


@pytest.mark.parametrize(("kernel", "constant"), [(3, 0.0), (5, -1.0), (7, -2.0)])
def test_the_blogs_anchor_is_off_by_a_constant(kernel: int, constant: float) -> None:
    """With padding k // 2, every tap is off by 1 - k // 2: torchvision can reproduce it."""
    layer, x, weight = blog(kernel, masked=False), normal(1, 4, 6, 5), normal(3, 4, kernel, kernel)
    raw = torch.zeros(1, 2 * kernel**2, 6, 5, dtype=torch.float64)
    canonical = to_canonical(layer, raw, padding=kernel // 2)
    assert canonical.mask is None
    assert canonical.offset.unique().tolist() == [constant]
    theirs = deform_conv2d(x, raw + constant, weight, padding=kernel // 2)[0]
    assert_same(read(canonical, x, weight), theirs)


def test_an_even_kernel_of_the_blogs_has_base_points_of_its_own() -> None:
    layer, x, weight = blog(2, masked=False), normal(1, 4, 5, 5), normal(3, 4, 2, 2)
    offset = normal(1, 8, 5, 5)
    canonical = to_canonical(layer, offset, padding=1, size=(5, 5))
    assert canonical.reference is not None
    assert_same(read(canonical, x, weight), blog_output(x, offset, None, weight, 1, 1))


# ---- LDConv (AKConv)


def ldconv(taps: int, buffer: bool = False) -> Layer:
    shapes = conv("m.conv.0", (3, 4, taps, 1), False) | conv("m.p_conv", (2 * taps, 4, 3, 3))
    return only(shapes | ({"m.p_n": (1, 2 * taps, 1, 1)} if buffer else {}), "LDConv")


SHAPES_OF_LDCONV = {
    1: [(0, 0)],
    3: [(0, 0), (0, 1), (1, 0)],
    5: [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)],
    7: [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)],
}
"""Rows of round(sqrt(N)), then the rest: counted out."""


def ldconv_output(x: Tensor, offset: Tensor, weight: Tensor, shape: list, stride: int) -> Tensor:
    count, (h, w) = len(shape), offset.shape[-2:]
    result = torch.zeros(weight.shape[0], h, w, dtype=torch.float64)
    for oy, ox, n, c in product(range(h), range(w), range(count), range(x.shape[1])):
        y = oy * stride + shape[n][0] + float(offset[0, n, oy, ox])
        col = ox * stride + shape[n][1] + float(offset[0, count + n, oy, ox])
        result[:, oy, ox] += weight[:, c, n, 0] * clamped_corners(x[0, c], y, col)
    return result


@pytest.mark.parametrize("taps", SHAPES_OF_LDCONV)
@pytest.mark.parametrize("stride", [1, 2])
def test_ldconv_reads_its_own_shape_and_counts_the_border_twice(taps: int, stride: int) -> None:
    layer, x, weight = ldconv(taps), normal(1, 4, 6, 5), normal(3, 4, taps, 1)
    offset = normal(1, 2 * taps, (6 - 1) // stride + 1, (5 - 1) // stride + 1, scale=1.5)
    canonical = to_canonical(layer, offset, stride=stride, size=(6, 5))
    theirs = ldconv_output(x, offset, weight, SHAPES_OF_LDCONV[taps], stride)
    assert_same(read(canonical, x, weight), theirs)


def test_ldconv_weighs_the_last_row_twice_and_the_corner_four_times() -> None:
    canonical = to_canonical(ldconv(1), torch.zeros(1, 2, 4, 5), size=(4, 5))
    assert canonical.mask is not None
    assert canonical.mask[0, 0, 0].tolist() == [[1, 1, 1, 1, 2]] * 3 + [[2, 2, 2, 2, 4]]


def test_ldconv_with_a_shape_in_the_file() -> None:
    layer, x, weight = ldconv(3, buffer=True), normal(1, 4, 6, 5), normal(3, 4, 3, 1)
    offset, shape = normal(1, 6, 6, 5), [(0, 2), (1, 1), (2, 0)]
    buffer = torch.tensor([[y for y, _ in shape] + [col for _, col in shape]]).view(1, 6, 1, 1)
    canonical = to_canonical(layer, offset, size=(6, 5), base=buffer)
    assert_same(read(canonical, x, weight), ldconv_output(x, offset, weight, shape, 1))


# ---- DSCNet


def snake(first: bool, taps: int = 5) -> Layer:
    shapes: Shapes = conv("s.offset_conv", (2 * taps, 4, 3, 3))
    shapes |= conv("s.dsc_conv_x", (3, 4, taps, 1)) | conv("s.dsc_conv_y", (3, 4, 1, taps))
    shapes |= norm("s.bn", 2 * taps) if first else conv("s.gn_offset", (2 * taps,))
    return only(shapes, "DSCNet, first release" if first else "DSCNet")


def wanders(steps: list[float], whole: bool) -> list[float]:
    """How far each tap has moved across: the loops of the two releases."""
    count, centre = len(steps), len(steps) // 2
    moved = list(steps)
    moved[centre] = 0.0
    for index in range(1, centre + 1 if whole else centre):
        moved[centre + index] = moved[centre + index - 1] + steps[centre + index]
        moved[centre - index] = moved[centre - index + 1] + steps[centre - index]
    assert len(moved) == count
    return moved


def edge_clamped(image: Tensor, y: float, x: float) -> float:
    height, width = image.shape
    return bilinear(image, min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0))


def dropped(image: Tensor, y: float, x: float) -> float:
    """DSCNet's first release: pixels clamped one by one, weights taken of indices clamped to H."""
    height, width = image.shape
    y0, x0 = math.floor(y), math.floor(x)
    total = 0.0
    for a, b in product((0, 1), (0, 1)):
        row, column = min(max(y0 + a, 0), height - 1), min(max(x0 + b, 0), width - 1)
        other_y = min(max(y0 + 1 - a, 0), height)
        other_x = min(max(x0 + 1 - b, 0), width)
        part_y = other_y - y if a == 0 else y - other_y
        part_x = other_x - x if b == 0 else x - other_x
        total += part_y * part_x * float(image[row, column])
    return total


def snake_output(x: Tensor, raw: Tensor, weight: Tensor, along_x: bool, first: bool) -> Tensor:
    count, (h, w) = raw.shape[1] // 2, raw.shape[-2:]
    tanh, fetch = torch.tanh(raw), dropped if first else edge_clamped
    result = torch.zeros(weight.shape[0], h, w, dtype=torch.float64)
    for oy, ox in product(range(h), range(w)):
        steps = tanh[0, :count, oy, ox] if along_x else tanh[0, count:, oy, ox]
        moved = wanders(steps.tolist(), whole=not first)
        for n, c in product(range(count), range(x.shape[1])):
            along = n - count // 2
            y, col = (oy + moved[n], ox + along) if along_x else (oy + along, ox + moved[n])
            result[:, oy, ox] += weight[:, c].flatten(1)[:, n] * fetch(x[0, c], y, col)
    return result


@pytest.mark.parametrize("first", [False, True], ids=["pro", "first release"])
@pytest.mark.parametrize("along_x", [True, False])
@pytest.mark.parametrize("taps", [1, 3, 7])
def test_dscnet_moves_as_a_chain(first: bool, along_x: bool, taps: int) -> None:
    size = (1, taps) if along_x else (taps, 1)
    layer = snake(first, taps).override(kernel_size=size)
    x, raw = normal(1, 4, 6, 5), normal(1, 2 * taps, 6, 5, scale=2.0)
    weight = normal(3, 4, *size)
    canonical = to_canonical(layer, raw, size=(6, 5))
    theirs = snake_output(x, raw, weight, along_x, first)
    assert_same(read(canonical, x, weight), theirs)


def test_the_two_releases_of_dscnet_differ() -> None:
    x, raw, weight = normal(1, 4, 6, 5), normal(1, 14, 6, 5, scale=2.0), normal(3, 4, 1, 7)
    later, first = (snake_output(x, raw, weight, True, release) for release in (False, True))
    assert (later - first).abs().max() > 0.1


def test_dscnets_scope_stretches_the_chain() -> None:
    raw = normal(1, 10, 9, 9)
    one = to_canonical(snake(False), raw, size=(200, 200))  # so that nothing is clamped above
    assert one.offset[0, 0, 2].abs().max() == 0
    inner = slice(3, 6)
    two = to_canonical(snake(False).override(scale=0.25), raw, size=(9, 9))
    torch.testing.assert_close(
        4 * two.offset[..., inner, inner], one.offset[..., inner, inner], rtol=1e-12, atol=1e-12
    )


# ---- Deformable Kernels


def scope_value(scope: Tensor, y: float, x: float, clamps: bool) -> float:
    return edge_clamped(scope, y, x) if clamps else bilinear(scope, y, x)


@pytest.mark.parametrize("clamps", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_local_deformable_kernels_resample_their_scope(clamps: bool, groups: int) -> None:
    shapes = conv("k.rotation_conv", (18 * groups, 4, 3, 3))
    shapes |= {"k.inner_conv.weight": (4, 1, 4, 5)}
    layer = only(shapes, "Deformable Kernels").override(outside="clamp" if clamps else "zero")
    scope, rotation = normal(4, 1, 4, 5), normal(1, 18 * groups, 3, 2, scale=1.5)
    canonical = to_canonical(layer, rotation)
    record = canonical.sampling("k", (4, 5))
    for g, i, j, oy, ox in product(range(groups), range(3), range(3), range(3), range(2)):
        k = i * 3 + j
        y = i + float(rotation[0, g * 18 + 2 * k, oy, ox]) + (4 - 3) / 2
        x = j + float(rotation[0, g * 18 + 2 * k + 1, oy, ox]) + (5 - 3) / 2
        theirs = scope_value(scope[g, 0], y, x, clamps)
        at = record.points_at(oy, ox)[g, k]
        assert bilinear(scope[g, 0], *at.tolist()) == pytest.approx(theirs, abs=1e-12)


def test_global_deformable_kernels_have_one_kernel_for_the_image() -> None:
    layer = only({"k.weight": (4, 1, 4, 4)} | conv("k.fc", (18, 4)), "Deformable Kernels, global")
    moves, scope = normal(1, 18, scale=1.5), normal(4, 4)
    record = to_canonical(layer, moves).sampling("k", (4, 4))
    assert record.output_size == (1, 1)
    for i, j in product(range(3), range(3)):
        start = (4 - 2 - 1) / 2
        y, x = (start + place + float(moves[0, 2 * (3 * i + j) + axis])
                for axis, place in enumerate((i, j)))  # fmt: skip
        at = record.points_at(0, 0)[0, 3 * i + j].tolist()
        expected = [min(max(y, 0.0), 3.0), min(max(x, 0.0), 3.0)]
        assert at == pytest.approx(expected, abs=1e-12)
        assert bilinear(scope, *at) == pytest.approx(edge_clamped(scope, y, x), abs=1e-12)


# ---- fixed steps, regions, coordinates


def test_cyclemlps_buffer_is_the_offset_of_each_channel() -> None:
    shapes = conv("c.sfc_h", (5, 4, 1, 1)) | {"c.sfc_h.offset": (1, 8, 1, 1)}
    layer, x, weight = only(shapes, "CycleMLP"), normal(1, 4, 5, 6), normal(5, 4, 1, 1)
    offset = torch.zeros(1, 8, 1, 1, dtype=torch.float64)
    for channel in range(4):  # kernel (1, 3): cycles through 0, 1, -1
        offset[0, 2 * channel + 1] = (channel + 1) % 3 - 1
    canonical = to_canonical(layer, offset, size=(5, 6))
    theirs = deform_conv2d(x, offset.expand(1, -1, 5, 6), weight)[0]
    assert_same(read(canonical, x, weight), theirs)


@pytest.mark.parametrize("name", ["DRConv", "megvii DRConv", "CoordConv"])
def test_what_does_not_move_its_taps_reads_the_regular_grid(name: str) -> None:
    shapes = {
        "DRConv": conv("d.conv_guide", (2, 4, 3, 3))
        | conv("d.conv_kernel.1", (4, 4, 1, 1))
        | conv("d.conv_kernel.3", (2 * 4 * 3, 2, 1, 1)),
        "megvii DRConv": {"d.weight": (3 * 4 * 9, 8), "d.bias": (3,)}
        | conv("d.routing_fc", (16, 4)),
        "CoordConv": conv("coordconv.conv", (3, 4, 3, 3)),
    }[name]
    layer, x, weight = only(shapes, name), normal(1, 4, 6, 7), normal(3, 4, 3, 3)
    canonical = to_canonical(layer, None, stride=2, padding=1, size=(6, 7))
    theirs = F.conv2d(x, weight, stride=2, padding=1)[0]
    assert_same(read(canonical, x, weight), theirs)
    with pytest.raises(ValueError, match="size="):
        to_canonical(layer, None)


# ---- the operator of 2017


def of_2017(image: Tensor, y: float, x: float) -> float:
    """Inside [0, H) x [0, W) alone; the last pixel is held up to H and W."""
    height, width = image.shape
    if not (0 <= y < height and 0 <= x < width):
        return 0.0
    return edge_clamped(image, y, x)


def test_mxnets_first_operator_drops_what_lies_outside() -> None:
    shapes = {"a_weight": (3, 4, 3, 3), "a_offset_weight": (36, 4, 3, 3)}
    layer, x, weight = only(shapes, "MXNet DCNv1"), normal(1, 4, 5, 6), normal(3, 4, 3, 3)
    raw = normal(1, 36, 5, 6, scale=1.5)
    theirs = torch.zeros(3, 5, 6, dtype=torch.float64)
    for oy, ox, c, i, j in product(range(5), range(6), range(4), range(3), range(3)):
        first = (c // 2) * 18 + 2 * (3 * i + j)
        y = oy - 1 + i + float(raw[0, first, oy, ox])
        col = ox - 1 + j + float(raw[0, first + 1, oy, ox])
        theirs[:, oy, ox] += weight[:, c, i, j] * of_2017(x[0, c], y, col)
    canonical = to_canonical(layer, raw, padding=1, size=(5, 6))
    assert_same(read(canonical, x, weight), theirs)
