"""Where a feature map lies on the image that its model was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import log2

from torch import Tensor

from ...geometry import ImageMap, Pair
from ...sampling import Sampling
from .recorded import Recorded, totals_of

_LARGEST_POWER = 8
"""2^8: no network for images has a larger stride."""


def image_map_of(image_size: Pair, map_size: Pair) -> ImageMap:
    """The map of a network whose pixels tile the image: p lies at (p + 0.5) * stride - 0.5.

    The stride is the quotient of the sizes where that is the same whole number on both axes. Else
    it is the power of two that leaves a map of this size, both sides rounded up or both down: of
    225 x 224 pixels a stride of 8 leaves 29 x 28. Where there is none, it is the quotient after
    all, for each axis.

    The tiling is a convention: a convolution of size 3, stride 2 and padding 1 centres its pixels
    half a pixel before it. What a model pads or resizes inside is not seen from the sizes either.

    Args:
        image_size: (H, W) of the image.
        map_size: (H, W) of the map.

    Example:
        >>> image_map_of((225, 224), (29, 28))
        ImageMap(origin=(3.5, 3.5), stride=(8.0, 8.0))
    """
    quotients = (image_size[0] / map_size[0], image_size[1] / map_size[1])
    whole = quotients[0] == quotients[1] and quotients[0].is_integer()
    # A map of one pixel fits every large stride: it stands for the whole image.
    power = None if whole or map_size == (1, 1) else _power(image_size, map_size)
    return ImageMap.of_stride(quotients if power is None else float(power))


def _power(image_size: Pair, map_size: Pair) -> int | None:
    """The power of two that leaves a map of this size: of several, the nearest to the quotients."""
    middle = sum(log2(n / pixels) for n, pixels in zip(image_size, map_size, strict=True)) / 2
    nearest = sorted(range(_LARGEST_POWER + 1), key=lambda exponent: abs(exponent - middle))
    for exponent in nearest:
        step = 1 << exponent
        rounded_up = tuple(-(-n // step) for n in image_size)
        rounded_down = tuple(n // step for n in image_size)
        if map_size in (rounded_up, rounded_down):
            return step
    return None


def on_photo(samplings: Sequence[Sampling], photo: Pair, size: Pair) -> list[Sampling]:
    """The same records on the photo that the image was resized from.

    Args:
        samplings: whose maps lie on the image.
        photo: (H, W) of the photo.
        size: (H, W) of the image.

    Example:
        >>> from deformviz import Kernel
        >>> s = Sampling.regular("map", Kernel.of(1), (8, 8), image_map=ImageMap.of_stride(4))
        >>> on_photo([s], (64, 48), (32, 32))[0].image_map
        ImageMap(origin=(3.5, 2.5), stride=(8.0, 6.0))
    """
    scale = (photo[0] / size[0], photo[1] / size[1])
    placed = [replace(s, image_map=_enlarged(s.image_map, scale)) for s in samplings]
    return Recorded(placed, totals_of(samplings))


def _enlarged(image_map: ImageMap, scale: tuple[float, float]) -> ImageMap:
    (top, left), (down, right), (by_y, by_x) = image_map.origin, image_map.stride, scale
    origin = ((top + 0.5) * by_y - 0.5, (left + 0.5) * by_x - 0.5)
    return ImageMap(origin, (down * by_y, right * by_x))


def image_size_of(arguments: object, image: int = 0) -> Pair | None:
    """(H, W) of the image among a model's arguments: of the first tensor that could be one.

    Args:
        arguments: tuples, lists and mappings of tensors, however nested.
        image: which one of a list of [C, H, W].

    Returns:
        The size of the first [B, C, H, W] or [B, T, C, H, W], or of one of a list of [C, H, W];
        None where there is none.

    Example:
        >>> import torch
        >>> image_size_of(({"pixel_values": torch.rand(2, 3, 48, 64)},))
        (48, 64)
    """
    if isinstance(arguments, Tensor):
        return _size(arguments, (4, 5))
    if isinstance(arguments, list) and 0 <= image < len(arguments):
        # Detectors of torchvision take a list of images, each of a size of its own.
        chosen = arguments[image]
        if isinstance(chosen, Tensor) and (size := _size(chosen, (3,))):
            return size
    inner = _parts(arguments)
    return next((size for part in inner if (size := image_size_of(part, image))), None)


def _parts(arguments: object) -> Iterable[object]:
    if isinstance(arguments, Mapping):
        return arguments.values()
    if isinstance(arguments, list | tuple):
        return arguments
    # DETR's NestedTensor and torchvision's ImageList hold the padded batch under this name.
    held = getattr(arguments, "tensors", None)
    return (held,) if isinstance(held, Tensor) else ()


def _size(tensor: Tensor, axes: tuple[int, ...]) -> Pair | None:
    if tensor.dim() not in axes or not tensor.is_floating_point():
        return None
    return (tensor.shape[-2], tensor.shape[-1])
