"""DCNv3, DCNv4 and the deformable attentions: the published loops and grids, restated."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from layouts import conv
from restated import assert_same, bilinear, normal, only, read
from torch import Tensor

from deformviz.checkpoints import Layer, to_canonical

# ---- DCNv3 and DCNv4


def dcnv3(groups: int, kernel: int, points: int, channels: int = 8) -> Layer:
    shapes = conv("d.offset", (2 * groups * points, channels))
    shapes |= conv("d.mask", (groups * points, channels))
    layer = only(shapes | conv("d.dw_conv.0", (channels, 1, 3, 3)), "DCNv3")
    return layer.override(kernel_size=(kernel, kernel), offset_groups=groups)


def aggregated(
    x: Tensor,
    steps: Tensor,
    masks: Tensor,
    kernel: int,
    scale: float,
    remove_centre: bool,
    stride: int = 1,
    padding: int = 1,
    dilation: int = 1,
) -> Tensor:
    """The kernel's loop: over columns, then rows; (dx, dy); x is [C, H, W], channels by group.

    Args:
        steps: [h, w, G, P, 2] and masks: [h, w, G, P], after the activation.
    """
    h, w, groups = masks.shape[:3]
    result = torch.zeros(x.shape[0], h, w, dtype=torch.float64)
    half = (dilation * (kernel - 1)) >> 1
    for oy, ox, c in product(range(h), range(w), range(x.shape[0])):
        g, p = c // (x.shape[0] // groups), 0
        first_x = half - padding + ox * stride - half * scale
        first_y = half - padding + oy * stride - half * scale
        for i in range(kernel):
            for j in range(kernel):
                if remove_centre and i == kernel // 2 and j == kernel // 2:
                    continue
                dx, dy = steps[oy, ox, g, p].tolist()
                col = first_x + (i * dilation + dx) * scale
                row = first_y + (j * dilation + dy) * scale
                result[c, oy, ox] += float(masks[oy, ox, g, p]) * bilinear(x[c], row, col)
                p += 1
    return result


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
@pytest.mark.parametrize(
    ("kernel", "groups", "less", "geometry"),
    [
        (3, 2, 0, {}),
        (3, 4, 1, {}),
        (5, 2, 0, {"padding": 2}),
        (5, 1, 1, {"padding": 2}),
        (3, 2, 0, {"stride": 2, "padding": 2, "dilation": 2}),
        (3, 2, 1, {"stride": 2, "padding": 2, "dilation": 2}),
    ],
)
def test_dcnv3(scale: float, kernel: int, groups: int, less: int, geometry: dict) -> None:
    points = kernel**2 - less
    layer, x = dcnv3(groups, kernel, points).override(scale=scale), normal(1, 8, 6, 5)
    h, w = (3, 3) if geometry.get("stride") else (6, 5)
    raw = normal(1, h, w, groups * points * 2, scale=1.5)  # channels last, as its Linear gives
    raw_mask = normal(1, h, w, groups * points)
    masks = torch.softmax(raw_mask.view(h, w, groups, points), dim=-1)
    steps = raw.view(h, w, groups, points, 2)
    theirs = aggregated(x[0], steps, masks, kernel, scale, bool(less), **geometry)
    canonical = to_canonical(layer, raw, raw_mask, **({"padding": 1} | geometry))
    assert_same(read(canonical, x), theirs)


def test_dcnv3_without_its_centre_has_eight_base_points() -> None:
    canonical = to_canonical(
        dcnv3(2, 3, 8), torch.zeros(1, 4, 4, 32), torch.zeros(1, 4, 4, 16), padding=1
    )
    record = canonical.sampling("d", (4, 4))
    around = [[y, x] for y in (1, 2, 3) for x in (1, 2, 3) if (y, x) != (2, 2)]
    assert record.points_at(2, 2)[0].tolist() == around
    assert record.mask is not None
    assert record.mask.unique().tolist() == [0.125]


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    ("channels", "groups", "points", "rows"),
    [(32, 2, 9, 54), (32, 2, 9, 56), (32, 1, 8, 24), (16, 1, 9, 32)],
    ids=["unpadded", "padded", "without the centre", "padded, one group"],
)
def test_dcnv4(scale: float, channels: int, groups: int, points: int, rows: int) -> None:
    shapes = conv("d.offset_mask", (rows, channels))
    layer = only(shapes | conv("d.value_proj", (channels, channels)), "DCNv4")
    layer = layer.override(scale=scale)
    assert (layer.offset_groups, layer.points) == (groups, points)
    x, raw = normal(1, channels, 5, 4), normal(1, 5, 4, rows)
    blocks = raw[0, ..., : groups * points * 3].reshape(5, 4, groups, points * 3)
    steps = blocks[..., : 2 * points].reshape(5, 4, groups, points, 2)
    masks = blocks[..., 2 * points :]
    assert masks.min() < 0, "unbounded"
    theirs = aggregated(x[0], steps, masks, 3, scale, points == 8)
    assert_same(read(to_canonical(layer, raw, padding=1), x), theirs)


# ---- multi-scale deformable attention


LEVELS = [(6, 5), (3, 4)]


def attention() -> Layer:
    shapes = {"t.level_embed": (2, 16)} | conv("t.sampling_offsets", (3 * 2 * 2 * 8, 16))
    shapes |= conv("t.attention_weights", (3 * 2 * 8, 16))
    layer = only(shapes, "deformable attention")
    return layer.override(offset_groups=8, points=3)


def attended(values: list[Tensor], locations: Tensor, weights: Tensor) -> Tensor:
    """grid_sample of each level at [Q, H, L, P, 2] in (x, y) of [0, 1]: [D, Q]."""
    queries, heads = weights.shape[:2]
    result: Tensor = torch.zeros(0)
    for level, value in enumerate(values):
        grid = 2 * locations[:, :, level].permute(1, 0, 2, 3) - 1  # [H, Q, P, 2]
        by_head = value.reshape(heads, -1, *value.shape[1:])
        read_at = F.grid_sample(by_head, grid, padding_mode="zeros", align_corners=False)
        part = (read_at * weights[:, :, level].permute(1, 0, 2)[:, None]).sum(-1)
        part = part.reshape(-1, queries)
        result = part if level == 0 else result + part
    return result


def ours(layer: Layer, raw: Tensor, logits: Tensor, base: Tensor, values: list[Tensor]) -> Tensor:
    parts = [
        read(
            to_canonical(layer, raw, logits, size=(value.shape[1], value.shape[2]), base=base,
                         level=level),
            value[None],
        )[..., 0]
        for level, value in enumerate(values)
    ]  # fmt: skip
    return torch.stack(parts).sum(0)


@pytest.mark.parametrize("axes", [2, 4], ids=["points", "boxes"])
def test_multi_scale_deformable_attention(axes: int) -> None:
    layer, queries = attention(), 7
    values = [normal(16, *size) for size in LEVELS]
    raw, logits = normal(1, queries, 96, scale=1.5), normal(1, queries, 48)
    base = torch.sigmoid(normal(1, queries, 2, axes))
    steps = raw.view(queries, 8, 2, 3, 2)
    weights = torch.softmax(logits.view(queries, 8, 2 * 3), dim=-1).view(queries, 8, 2, 3)
    where = base[0][:, None, :, None]
    if axes == 2:
        sizes = torch.tensor([[w, h] for h, w in LEVELS]).double()
        locations = where + steps / sizes[None, None, :, None]
    else:
        locations = where[..., :2] + steps / 3 * where[..., 2:] * 0.5
    assert_same(ours(layer, raw, logits, base, values), attended(values, locations, weights))


def test_each_level_has_its_part_of_one_softmax() -> None:
    layer, raw, logits = attention(), normal(1, 4, 96), normal(1, 4, 48)
    base = torch.full((1, 4, 2, 2), 0.5)
    masks = [
        to_canonical(layer, raw, logits, size=size, base=base, level=level).mask
        for level, size in enumerate(LEVELS)
    ]
    total = sum(mask.sum(dim=2) for mask in masks if mask is not None)
    assert isinstance(total, Tensor)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_a_reference_point_is_a_part_of_the_map() -> None:
    layer = attention()
    base = torch.tensor([0.5, 0.25]).expand(1, 1, 2, 2)  # (x, y)
    raw = torch.zeros(1, 1, 96)
    raw[..., 1] = 1.0  # dy of head 0, level 0, point 0
    canonical = to_canonical(layer, raw, torch.zeros(1, 1, 48), size=(8, 10), base=base)
    points = canonical.sampling("t", (8, 10)).points_at(0, 0)
    assert points[0].tolist() == [[0.25 * 8 - 0.5 + 1, 4.5], [1.5, 4.5], [1.5, 4.5]]


def test_without_reference_points_queries_are_pixels() -> None:
    layer = attention()
    canonical = to_canonical(layer, torch.zeros(1, 30, 96), torch.zeros(1, 30, 48), size=(6, 5))
    record = canonical.sampling("t", (6, 5))
    assert record.output_size == (6, 5)
    assert record.points_at(4, 3).unique(dim=1).tolist() == [[[4.0, 3.0]]] * 8
    with pytest.raises(ValueError, match="30 queries are not the pixels of a 3 x 4 map"):
        to_canonical(layer, torch.zeros(1, 30, 96), torch.zeros(1, 30, 48), size=(3, 4))


def test_a_level_that_is_not_there_is_refused() -> None:
    base = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="level 2 is not one of the 2"):
        to_canonical(
            attention(), torch.zeros(1, 1, 96), torch.zeros(1, 1, 48), size=(3, 4), base=base,
            level=2,
        )  # fmt: skip


# ---- DAT


def dat() -> Layer:
    shapes = conv("a.conv_offset.0", (4, 1, 3, 3)) | conv("a.conv_offset.3", (2, 4, 1, 1), False)
    for name in ("proj_q", "proj_k", "proj_v", "proj_out"):
        shapes |= conv(f"a.{name}", (12, 12, 1, 1))
    return only(shapes, "DAT")


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0])
@pytest.mark.parametrize("keys", [(6, 5), (3, 2)], ids=["a key for each pixel", "fewer"])
def test_dat_reads_a_grid_of_keys(factor: float, keys: tuple[int, int]) -> None:
    layer, x, (h, w) = dat().override(scale=factor), normal(1, 12, 6, 5), keys
    raw = normal(3, 2, h, w)  # a group is an image
    rows, columns = torch.arange(h).double() + 0.5, torch.arange(w).double() + 0.5
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
    reference = grid / torch.tensor([h - 1.0, w - 1.0]).double() * 2 - 1
    step = raw.permute(0, 2, 3, 1)
    if factor >= 0:
        step = torch.tanh(step) * torch.tensor([h - 1, w - 1]).double().reciprocal() * factor
        position = reference + step
    else:
        position = (reference + step).clamp(-1, 1)
    groups = x.reshape(3, 4, 6, 5)
    theirs = F.grid_sample(groups, position.flip(-1), align_corners=True).reshape(12, h, w)
    assert_same(read(to_canonical(layer, raw, size=(6, 5)), x), theirs)


def test_dats_zero_offsets_lie_half_a_pixel_off() -> None:
    layer = dat().override(scale=2.0)
    record = to_canonical(layer, torch.zeros(3, 2, 6, 5), size=(6, 5)).sampling("a", (6, 5))
    assert record.points_at(0, 0)[0, 0].tolist() == [0.5, 0.5]
    assert record.points_at(5, 4)[0, 0].tolist() == [5.5, 4.5]


def test_dat_has_no_positions_on_a_grid_of_one() -> None:
    with pytest.raises(ValueError, match="no positions"):
        to_canonical(dat(), torch.zeros(3, 2, 1, 5), size=(6, 5))


# ---- lucidrains


def lucidrains() -> Layer:
    shapes = conv("a.to_offsets.0", (4, 1, 6, 6)) | conv("a.to_offsets.2", (2, 4, 1, 1), False)
    for name in ("to_q", "to_k", "to_v"):
        shapes |= conv(f"a.{name}", (12, 4, 1, 1), False)
    return only(shapes | conv("a.to_out", (12, 12, 1, 1)), "lucidrains deformable attention")


@pytest.mark.parametrize("first", [False, True], ids=["now", "first releases"])
@pytest.mark.parametrize("keys", [(3, 3), (4, 3), (2, 3), (1, 2)])
def test_lucidrains_grid_of_keys(first: bool, keys: tuple[int, int]) -> None:
    layer, x, (h, w) = lucidrains().override(scale=0.6), normal(1, 12, 8, 6), keys
    if first:
        layer = layer.override(relative_to="key grid, transposed")
    raw = normal(3, 2, h, w)
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack([rows, columns] if first else [columns, rows])  # channel 0 is read as x
    moved = grid.double() + 0.6 * torch.tanh(raw)
    first_axis = 2 * moved[:, 0] / max(h - 1, 1) - 1  # always by the rows
    second_axis = 2 * moved[:, 1] / max(w - 1, 1) - 1
    sampled = F.grid_sample(
        x.reshape(3, 4, 8, 6), torch.stack([first_axis, second_axis], dim=-1),
        padding_mode="zeros", align_corners=False,
    )  # fmt: skip
    canonical = to_canonical(layer, raw, size=(8, 6))
    assert_same(read(canonical, x), sampled.reshape(12, h, w))
