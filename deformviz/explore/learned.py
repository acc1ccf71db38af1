"""What shipped networks learned, in place of something made up: their layers, on any photo.

A layer reads the network's own features, which `image_map` lays over the photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..fields import mask_field, offset_field
from ..geometry import ImageMap
from ..operators import COORDINATES, channel_shift_sampling, deform_conv2d_sampling
from ..sampling import Sampling
from ..training import coordinates, shipped, watch
from .recipe import COLORS, TOLERANCE, Check, feature_unit, gap
from .second import by_torchvision, with_coordinates
from .settings import LEARNED, LEARNED_LAYERS, OFFSETS, Settings


@dataclass(frozen=True)
class Network:
    """A row of `NETWORKS`.

    Attributes:
        file: its name in `deformviz.training.shipped`.
        asked: the fields of `Settings` that may be "learned".
        taught: what it learned, and how the photo is handed to it; CoordConv's says what it finds.
        layers: how many it has of the operator's.
    """

    file: str
    asked: tuple[str, ...]
    taught: str
    layers: int = LEARNED_LAYERS


_GLYPHS = "it learned to name glyphs of many sizes and angles; the photo is handed to it as it is"
_TINTS = (
    "it learned to filter each tint of a picture in its own way; the photo is handed to it as it is"
)
_SQUARE = (
    "it learned to find a white square on black, on a canvas of 64 × 64 pixels, to which the photo "
    "is resized; here it says that the square is at y {y}, x {x}"
)
_LETTER = (
    "it learned to name white glyphs of 22 to 32 pixels on dark ground; the photo is handed to it "
    "as it is"
)

NETWORKS: dict[str, Network] = {
    "Deformable Conv v1": Network("scale-v1", ("field",), _GLYPHS),
    "Deformable Conv v2": Network("scale", ("field", "mask"), _GLYPHS),
    "DRConv": Network("regions", ("guide",), _TINTS, layers=1),
    "CoordConv": Network("places", ("parameters",), _SQUARE, layers=1),
    "Active Shift": Network("shifts", ("parameters",), _LETTER),
}
"""Which of the shipped networks has an operator's layers. The others have nothing to learn."""

BROUGHT = (
    "stride", "dilation", "weights", "offset_groups", "regions", "generated", "radius",
    "coordinate_weight",
)  # fmt: skip
"""The fields of `Settings` in whose place a network brings its own."""


def uses_network(settings: Settings) -> bool:
    """Whether something that the operator depends on is to be what a network learned."""
    row = NETWORKS.get(settings.operator)
    return row is not None and any(getattr(settings, name) == LEARNED for name in row.asked)


def layer_number(settings: Settings) -> int:
    """Which layer of its network is shown, from 1."""
    return min(settings.learned_layer, NETWORKS[settings.operator].layers)


def _layer(settings: Settings, x: Tensor) -> Sampling:
    """Run the operator's network on an image [1, 3, H, W] and record the layer asked for."""
    recorded = watch(_network(NETWORKS[settings.operator].file, str(x.device)), x)
    return replace(recorded[layer_number(settings) - 1], name=settings.operator)


@lru_cache(maxsize=8)
def _network(name: str, device: str) -> nn.Module:
    return shipped(name).network().to(device)


def notes(settings: Settings, sampling: Sampling) -> tuple[str, ...]:
    """What is to be said of a network's layer, sentence by sentence."""
    row = NETWORKS[settings.operator]
    which = (
        f"layer {layer_number(settings)} of {row.layers} of a network that ships with deformviz: "
        "kernel, stride, dilation and weights are its own"
    )
    if row.layers == 1:
        which = (
            f"the {settings.operator} layer of a network that ships with deformviz: "
            "kernel, stride, dilation and weights are its own"
        )
    if settings.operator != "CoordConv":
        return which, row.taught
    y, x = found_place(sampling)
    return which, row.taught.format(y=round(y), x=round(x))


def _check(claim: str, ours: Sampling, other: Tensor) -> Check:
    """How far a layer is from a second implementation's output [1, O, h, w]."""
    return Check(claim, gap(ours.output, other), TOLERANCE * feature_unit(ours))


# Deformable convolution.


def prepare_deform(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    """A deformable layer, with what was learned or with what is made up on its features."""
    s, layer = settings, _layer(settings, x)
    assert layer.input is not None
    assert layer.weight is not None
    strength = OFFSETS[s.field].default if s.strength is None else s.strength
    features, k = layer.input, layer.kernel
    if s.field == LEARNED:
        offset = strength * layer.offset[0]  # [K, 2, h, w]
    else:
        offset = offset_field(s.field, k, features.cpu(), strength, s.seed).to(features)
    mask = None
    if layer.mask is not None and s.mask == LEARNED:
        mask = (1 - s.mask_strength * (1 - layer.mask[0]))[None]  # [1, K, h, w]
    elif layer.mask is not None:
        mask = mask_field(s.mask, k, features.cpu(), s.mask_strength, s.seed).to(features)[None]
    return partial(
        deform_conv2d_sampling, features[None], offset.flatten(0, 1)[None], layer.weight,
        layer.bias, k.stride, k.padding, k.dilation, mask, image_map=layer.image_map,
    )  # fmt: skip


def check_deform(settings: Settings, x: Tensor) -> Check:
    """The layer against torchvision's operator."""
    ours = prepare_deform(settings, x)()
    return _check("equals torchvision's deform_conv2d", ours, by_torchvision(ours))


# DRConv.


def prepare_dr_conv(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    """The layer whose guide map and filters were learned, on the photo itself."""
    return partial(_layer, settings, x)


def check_dr_conv(settings: Settings, x: Tensor) -> Check:
    """The layer against each patch times the filter of its region."""
    ours = _layer(settings, x)
    assert ours.input is not None
    assert ours.weight is not None
    assert ours.region is not None
    k = ours.kernel
    patches = F.unfold(ours.input[None], k.size, k.dilation, k.padding, k.stride)[0]  # [C K, N]
    own = ours.weight.flatten(2)[ours.region.flatten()]  # [N, O, C K]
    other = torch.einsum("noi,in->on", own, patches).reshape(1, -1, *ours.output_size)
    return _check("equals each patch times its own region's kernel", ours, other)


# CoordConv: of the task's two networks the one that is shown a picture. The other is told a place
# and nothing of a photo.


def prepare_coord_conv(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    """The layer that is told where it is, on the photo at the size of the canvas it learned on."""
    side = coordinates.SIDE
    # On the CPU, as not every device can.
    canvas = F.interpolate(x.cpu(), (side, side), mode="bilinear", antialias=True).to(x)
    lies = ImageMap.of_stride((x.shape[2] / side, x.shape[3] / side))
    names = (*COLORS, *COORDINATES[:2])
    return lambda: replace(_layer(settings, canvas), image_map=lies, channel_names=names)


def found_place(sampling: Sampling) -> tuple[float, float]:
    """What the network makes of its layer's output: the square's middle (y, x), on the photo."""
    assert sampling.output is not None
    net = _network(NETWORKS["CoordConv"].file, str(sampling.output.device))
    assert isinstance(net, coordinates.Found)
    with torch.no_grad():
        found = net.place(sampling.output[None])[0]  # in [-1, 1]
    place = sampling.image_map.to_image((found + 1) / 2 * (coordinates.SIDE - 1))
    return float(place[0]), float(place[1])


def check_coord_conv(settings: Settings, x: Tensor) -> Check:
    """The layer against `conv2d` over the canvas and coordinates of its own."""
    ours = prepare_coord_conv(settings, x)()
    assert ours.input is not None
    assert ours.weight is not None
    inputs = with_coordinates(ours.input[None, : len(COLORS)], radius=False)
    other = F.conv2d(inputs, ours.weight, ours.bias)
    return _check("equals conv2d over coordinates 2i / (n − 1) − 1", ours, other)


# Active Shift.


def prepare_active_shift(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    """The layer with a learned shift for each of its channels.

    Raises:
        ValueError: an image that nothing is left of at half its size.
    """
    h, w = x.shape[2:]
    if min(h, w) < 2:
        raise ValueError(
            f"this network halves the image, of which nothing is left: take one of 2 x 2 pixels "
            f"or more instead of {h} x {w}"
        )
    layer = _layer(settings, x)
    assert layer.input is not None
    shift = layer.offset[:, 0, :, 0, 0]  # [C, 2], the same everywhere

    def call() -> Sampling:
        assert layer.input is not None
        again = channel_shift_sampling(layer.input[None], shift, layer.weight, layer.bias)
        return replace(again, image_map=layer.image_map)

    return call


def check_active_shift(settings: Settings, x: Tensor) -> Check:
    """The layer against torchvision's operator."""
    ours = prepare_active_shift(settings, x)()
    claim = "equals torchvision's deform_conv2d, one offset for each channel"
    return _check(claim, ours, by_torchvision(ours))
