"""The regular grid of a convolution, and where a feature map lies on the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Pair = tuple[int, int]
"""(y, x)."""


def as_pair(value: int | tuple[int, ...] | list[int], name: str = "value") -> Pair:
    """Return `value` as a (y, x) pair; one integer stands for both.

    >>> as_pair(3)
    (3, 3)
    """
    if isinstance(value, int):
        return (value, value)
    pair = isinstance(value, tuple | list) and len(value) == 2
    if not pair or not all(isinstance(v, int) for v in value):
        raise ValueError(f"{name} must be an integer or a (y, x) pair of integers, got {value!r}")
    return (value[0], value[1])


def check_batch(input: Tensor) -> None:
    """Refuse an input that is not a floating-point batch [B, C, H, W]."""
    if input.dim() != 4 or not input.is_floating_point():
        raise ValueError(
            f"input must be [B, C, H, W] of floating point, got {input.dtype} {list(input.shape)}"
        )


def one_image(batch: Tensor, index: int) -> Tensor:
    """Image `index` of a batch, as a batch of one: [B, ...] to [1, ...].

    >>> one_image(torch.zeros(2, 3, 8, 8), 1).shape
    torch.Size([1, 3, 8, 8])
    """
    if not 0 <= index < batch.shape[0]:
        raise IndexError(f"image {index} is not one of the {batch.shape[0]} of the batch")
    return batch[index : index + 1]


def once(tensor: Tensor) -> Tensor:
    """Without the axes' repetitions: those that `expand` made have length 1.

    >>> once(torch.zeros(1, 9, 1).expand(4, 9, 8)).shape
    torch.Size([1, 9, 1])
    """
    for axis, (length, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if stride == 0 and length > 1:
            tensor = tensor.narrow(axis, 0, 1)
    return tensor


@dataclass(frozen=True)
class Kernel:
    """The regular grid of a convolution; every field is a (y, x) pair.

    >>> Kernel.of(3, padding=1).output_size((32, 32))
    (32, 32)
    """

    size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def of(
        cls,
        size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
    ) -> Kernel:
        """Build from integers or pairs, as the arguments of `torch.nn.Conv2d` are given."""
        kernel = cls(
            as_pair(size, "kernel size"),
            as_pair(stride, "stride"),
            as_pair(padding, "padding"),
            as_pair(dilation, "dilation"),
        )
        if min(kernel.size + kernel.stride + kernel.dilation) < 1 or min(kernel.padding) < 0:
            raise ValueError(
                "kernel size, stride and dilation must be at least 1 and padding at least 0, "
                f"got {kernel}"
            )
        return kernel

    @property
    def taps(self) -> int:
        """K, the number of taps."""
        return self.size[0] * self.size[1]

    @property
    def extent(self) -> Pair:
        """Rows and columns from the first tap to the last, both counted."""
        return (
            self.dilation[0] * (self.size[0] - 1) + 1,
            self.dilation[1] * (self.size[1] - 1) + 1,
        )

    def output_size(self, input_size: Pair) -> Pair:
        """(h, w) of the output for a map of (H, W); ValueError where no output is left."""
        h, w = (
            (n + 2 * p - e) // s + 1
            for n, p, e, s in zip(input_size, self.padding, self.extent, self.stride, strict=True)
        )
        if h < 1 or w < 1:
            raise ValueError(
                f"a kernel that spans {self.extent[0]} x {self.extent[1]} pixels with padding "
                f"{self.padding[0]} x {self.padding[1]} leaves no output on a map of "
                f"{input_size[0]} x {input_size[1]}: take a smaller kernel or dilation, more "
                "padding, or a larger input"
            )
        return (h, w)

    def tap_positions(self, like: Tensor | None = None) -> Tensor:
        """The taps relative to the first one, in pixels: [K, 2], (y, x), row-major."""
        y = torch.arange(self.size[0]) * self.dilation[0]
        x = torch.arange(self.size[1]) * self.dilation[1]
        taps = torch.cartesian_prod(y, x).reshape(-1, 2)  # [K, 2]
        return taps.to(like) if like is not None else taps.to(torch.float32)

    def centred_taps(self, like: Tensor | None = None) -> Tensor:
        """The taps relative to the kernel's centre, in pixels: [K, 2], (y, x)."""
        taps = self.tap_positions(like)
        return taps - taps.mean(dim=0)

    def anchors(self, output_size: Pair, like: Tensor | None = None) -> Tensor:
        """Where the first tap of each output position lies: [2, h, w], (y, x), in pixels."""
        y = torch.arange(output_size[0]) * self.stride[0] - self.padding[0]
        x = torch.arange(output_size[1]) * self.stride[1] - self.padding[1]
        anchors = torch.stack(torch.meshgrid(y, x, indexing="ij"))  # [2, h, w]
        return anchors.to(like) if like is not None else anchors.to(torch.float32)

    def regular_grid(self, output_size: Pair, like: Tensor | None = None) -> Tensor:
        """Every position's undeformed taps: [K, 2, h, w], (y, x), in pixels of the input map."""
        taps = self.tap_positions(like)  # [K, 2]
        return taps[:, :, None, None] + self.anchors(output_size, like)


@dataclass(frozen=True)
class ImageMap:
    """Where pixel p of a feature map lies on the image: origin + p * stride, per axis.

    >>> ImageMap.of_stride(4).to_image(torch.tensor([0.0, 0.0]))
    tensor([1.5000, 1.5000])
    """

    origin: tuple[float, float] = (0.0, 0.0)
    stride: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of_stride(cls, stride: float | tuple[float, float]) -> ImageMap:
        """The map of a network whose pixels tile the image: (p + 0.5) * stride - 0.5."""
        sy, sx = stride if isinstance(stride, tuple) else (stride, stride)
        return cls(origin=(0.5 * sy - 0.5, 0.5 * sx - 0.5), stride=(sy, sx))

    def to_image(self, points: Tensor) -> Tensor:
        """Map points (..., 2) in (y, x) from pixels of the map to pixels of the image."""
        points = points if points.is_floating_point() else points.to(torch.float32)
        return points * points.new_tensor(self.stride) + points.new_tensor(self.origin)
