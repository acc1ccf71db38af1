"""Stand-ins for modules whose packages need a compiler: mmcv, DCNv3, DCNv4, Deformable DETR.

Class names, attributes, arguments and parameters are the published ones; what they compute is
restated in plain PyTorch by `grid_sample`, from the published definition, without torchvision's
operator and without this project's converters.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.utils import _pair


def read_map(x: Tensor, points: Tensor) -> Tensor:
    """A map [N, C, H, W] at points [N, h, w, 2], (y, x) in pixels, zero outside: [N, C, h, w]."""
    size = torch.tensor(x.shape[-2:], dtype=points.dtype)
    grid = ((points + 0.5) * 2 / size - 1).flip(-1)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


def deform(
    x: Tensor, offset: Tensor, mask: Tensor | None, layer: DeformConv2d, bias: Tensor | None
) -> Tensor:
    """Deformable convolution by mmcv's rule: (dy, dx) of each tap, groups outermost."""
    kh, kw = layer.kernel_size
    batch, _, h, w = offset.shape
    groups, taps = layer.deform_groups, kh * kw
    steps = offset.reshape(batch, groups, taps, 2, h, w)
    y = torch.arange(h)[:, None] * layer.stride[0] - layer.padding[0]
    left = torch.arange(w)[None, :] * layer.stride[1] - layer.padding[1]
    parts = x.chunk(groups, dim=1)
    columns = []
    for k in range(taps):
        i, j = divmod(k, kw)
        rows, places = y + i * layer.dilation[0], left + j * layer.dilation[1]
        base = torch.stack(torch.broadcast_tensors(rows, places), dim=-1)  # [h, w, 2]
        for g, part in enumerate(parts):
            read = read_map(part, base + steps[:, g, k].permute(0, 2, 3, 1))
            if mask is not None:
                read = read * mask[:, None, g * taps + k]
            columns.append(read)
    # [B, K, C, h, w]: taps outermost, each with all of its channels.
    stacked = torch.cat(columns, dim=1).reshape(batch, taps, -1, h, w)
    output = [
        torch.einsum("bkchw,ock->bohw", part, weight.flatten(2))
        for part, weight in zip(
            stacked.chunk(layer.groups, dim=2), layer.weight.chunk(layer.groups), strict=True
        )
    ]
    result = torch.cat(output, dim=1)
    return result if bias is None else result + bias[:, None, None]


class DeformConv2d(nn.Module):
    """mmcv/ops/deform_conv.py; it has no bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        deform_groups: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels, self.groups, self.deform_groups = in_channels, groups, deform_groups
        self.kernel_size = _pair(kernel_size)
        self.stride, self.padding, self.dilation = _pair(stride), _pair(padding), _pair(dilation)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(in_channels))

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        return deform(x, offset, None, self, None)

    def make_conv_offset(self, per_tap: int) -> nn.Conv2d:
        rows = per_tap * self.deform_groups * self.kernel_size[0] * self.kernel_size[1]
        return nn.Conv2d(
            self.in_channels, rows, self.kernel_size, self.stride, self.padding, self.dilation
        )


class ModulatedDeformConv2d(DeformConv2d):
    """mmcv/ops/modulated_deform_conv.py."""

    def __init__(self, *args: int, bias: bool = True, **kwargs: int) -> None:
        super().__init__(*args, **kwargs)
        self.bias = nn.Parameter(torch.randn(self.weight.shape[0])) if bias else None

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return deform(x, offset, mask, self, self.bias)


class DeformConv2dPack(DeformConv2d):
    def __init__(self, *args: int, **kwargs: int) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self.make_conv_offset(2)

    def forward(self, x: Tensor) -> Tensor:
        return deform(x, self.conv_offset(x), None, self, None)


class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    def __init__(self, *args: int, **kwargs: int) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self.make_conv_offset(3)

    def forward(self, x: Tensor) -> Tensor:
        first, second, mask = self.conv_offset(x).chunk(3, dim=1)
        offset = torch.cat([first, second], dim=1)
        return deform(x, offset, mask.sigmoid(), self, self.bias)


class CenterFeatureScaleModule(nn.Module):
    def forward(self, query: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.linear(query, weight, bias).sigmoid()


class _Aggregation(nn.Module):
    """What DCNv3 and DCNv4 share: the attributes, and the core."""

    def __init__(
        self,
        channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        pad: int = 1,
        dilation: int = 1,
        group: int = 4,
        offset_scale: float = 1.0,
        center_feature_scale: bool = False,
        remove_center: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.kernel_size, self.stride, self.pad = channels, kernel_size, stride, pad
        self.dilation, self.group, self.offset_scale = dilation, group, offset_scale
        self.center_feature_scale, self.remove_center = center_feature_scale, int(remove_center)
        self.points = kernel_size**2 - self.remove_center
        self.output_proj = nn.Linear(channels, channels)
        if center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.randn(group, channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.randn(group))
            self.center_feature_scale_module = CenterFeatureScaleModule()

    def core(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """x [N, H, W, C], offset [N, H, W, G, P, 2] in (x, y), mask [N, H, W, G, P].

        The map is padded; a point is (centre + (tap + offset) * offset_scale), taps column by
        column, as parts of the padded map.
        """
        count, h, w = offset.shape[:3]
        padded = F.pad(x, [0, 0, self.pad, self.pad, self.pad, self.pad])
        size = torch.tensor([padded.shape[2], padded.shape[1]])  # (x, y)
        half = self.dilation * (self.kernel_size - 1) // 2
        centre = torch.stack(
            torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), dim=-1
        ) * self.stride + half + 0.5  # [h, w, 2], (x, y)  # fmt: skip
        line = torch.arange(self.kernel_size) * self.dilation - half
        taps = torch.cartesian_prod(line, line)  # the first of each pair is x: columns outermost
        if self.remove_center:
            taps = taps[(taps != 0).any(1)]
        places = centre[:, :, None, None] + (taps + offset) * self.offset_scale
        grid = (2 * places / size - 1).permute(0, 3, 1, 2, 4, 5)  # [N, G, h, w, P, 2]
        maps = padded.permute(0, 3, 1, 2).reshape(count * self.group, -1, *padded.shape[1:3])
        read = F.grid_sample(maps, grid.flatten(0, 1).flatten(2, 3), align_corners=False)
        read = read.reshape(count, self.group, -1, h, w, self.points)
        mixed = (read * mask.permute(0, 3, 1, 2, 4)[:, :, None]).sum(-1)
        return mixed.flatten(1, 2).permute(0, 2, 3, 1)

    def with_centre(self, x: Tensor, query: Tensor, projected: Tensor) -> Tensor:
        if not self.center_feature_scale:
            return x
        scale = self.center_feature_scale_module(
            query, self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
        )
        scale = scale.repeat_interleave(self.channels // self.group, dim=-1)
        return x * (1 - scale) + projected * scale


class DCNv3(_Aggregation):
    """OpenGVLab/InternImage, ops_dcnv3/modules/dcnv3.py."""

    def __init__(self, channels: int, **kwargs: float) -> None:
        super().__init__(channels, **kwargs)
        k = self.kernel_size
        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, k, padding=(k - 1) // 2, groups=channels), nn.GELU()
        )
        self.offset = nn.Linear(channels, self.group * self.points * 2)
        self.mask = nn.Linear(channels, self.group * self.points)
        self.input_proj = nn.Linear(channels, channels)

    def forward(self, input: Tensor) -> Tensor:
        n, h, w, _ = input.shape
        x = projected = self.input_proj(input)
        query = self.dw_conv(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        offset = self.offset(query).reshape(n, h, w, self.group, self.points, 2)
        mask = self.mask(query).reshape(n, h, w, self.group, self.points).softmax(-1)
        x = self.with_centre(self.core(x, offset, mask), query, projected)
        return self.output_proj(x)


class DCNv4(_Aggregation):
    """OpenGVLab/DCNv4, DCNv4_op/DCNv4/modules/dcnv4.py; takes tokens."""

    def __init__(self, channels: int, **kwargs: float) -> None:
        super().__init__(channels, **kwargs)
        rows = math.ceil(3 * self.group * self.points / 8) * 8
        self.offset_mask = nn.Linear(channels, rows)
        self.value_proj = nn.Linear(channels, channels)

    def forward(self, input: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
        n, length, channels = input.shape
        h, w = shape if shape is not None else (int(length**0.5),) * 2
        x = projected = self.value_proj(input).reshape(n, h, w, channels)
        raw = self.offset_mask(input)[..., : 3 * self.group * self.points]
        raw = raw.reshape(n, h, w, self.group, 3 * self.points)
        offset = raw[..., : 2 * self.points].unflatten(-1, (self.points, 2))
        x = self.core(x, offset, raw[..., 2 * self.points :])
        x = self.with_centre(x, x, projected)
        return self.output_proj(x.reshape(n, length, channels))


class MSDeformAttn(nn.Module):
    """fundamentalvision/Deformable-DETR, models/ops/modules/ms_deform_attn.py."""

    def __init__(self, d_model: int, n_levels: int, n_heads: int, n_points: int) -> None:
        super().__init__()
        self.n_levels, self.n_heads, self.n_points = n_levels, n_heads, n_points
        points = n_heads * n_levels * n_points
        self.sampling_offsets = nn.Linear(d_model, points * 2)
        self.attention_weights = nn.Linear(d_model, points)
        self.value_proj = nn.Linear(d_model, d_model)
        self.output_proj = nn.Linear(d_model, d_model)

    def forward(
        self,
        query: Tensor,
        reference_points: Tensor,
        input_flatten: Tensor,
        input_spatial_shapes: Tensor,
        input_level_start_index: Tensor,
        input_padding_mask: Tensor | None = None,
    ) -> Tensor:
        n, q = query.shape[:2]
        value = self.value_proj(input_flatten)
        if input_padding_mask is not None:
            value = value.masked_fill(input_padding_mask[..., None], 0.0)
        shape = (n, q, self.n_heads, self.n_levels, self.n_points)
        weights = self.attention_weights(query).reshape(n, q, self.n_heads, -1).softmax(-1)
        steps = self.sampling_offsets(query).reshape(*shape, 2)
        reference = reference_points[:, :, None, :, None]
        if reference.shape[-1] == 2:
            places = reference + steps / input_spatial_shapes.flip(-1)[None, None, None, :, None]
        else:
            places = reference[..., :2] + steps / self.n_points * reference[..., 2:] * 0.5
        start, total = 0, 0
        for level, (h, w) in enumerate(input_spatial_shapes.tolist()):
            tokens = value[:, start : start + h * w]
            start += h * w
            maps = tokens.reshape(n, h, w, self.n_heads, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)
            grid = 2 * places[:, :, :, level].permute(0, 2, 1, 3, 4).flatten(0, 1) - 1
            read = F.grid_sample(maps, grid, align_corners=False)  # [N * heads, D, Q, P]
            share = weights.reshape(shape)[:, :, :, level].permute(0, 2, 1, 3).flatten(0, 1)
            total = total + (read * share[:, None]).sum(-1)
        return self.output_proj(total.reshape(n, -1, q).transpose(1, 2))
