"""A `Sampling` and its image as what the viewer draws first: the grounds, and what to expect.

The numbers follow as one file, see `wire`. A scene is plain JSON types, so that a web page, a
notebook and a file on disk are fed with the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..figures.canvas import input_box, output_box
from ..figures.colors import index_colors, index_rgb, robust_top
from ..figures.layers import layers_for
from ..figures.points import largest_dot
from ..figures.views import as_picture, check_image, display_range, input_pixels
from ..images import to_data_uri
from ..sampling import Sampling
from .state import OVERLAYS
from .wire import rounded

_SAMPLES = 64
"""Positions per axis that the kernel's reach is taken from."""


def scene(
    sampling: Sampling,
    image: np.ndarray | None = None,
    *,
    uri: str | None = None,
    picture: Tensor | None = None,
    y: int | None = None,
    x: int | None = None,
) -> dict[str, Any]:
    """What the viewer needs before the numbers have come.

    Args:
        sampling: from any operator.
        image: [H, W, 3] uint8 that the map lies on; None draws the map itself.
        uri: the image's address for the page, where there is one already.
        picture: [C, h, w] to show as the output, instead of the Sampling's own.
        y, x: the position whose points are drawn at once, or the nearest to it that there is;
            None for the middle.

    Raises:
        ValueError: an image that the map does not cover.
    """
    shown = sampling.output if picture is None else picture
    return {
        "header": sampling.header(),
        "groups": sampling.groups,
        "taps": sampling.taps,
        "moves": sampling.moves,
        "grounds": {
            "image": _image_ground(sampling, image, uri),
            "output": _output_ground(sampling, shown),
        },
        "outputBox": output_box(sampling),
        "outputCaption": "" if shown is None else output_caption(shown),
        "caption": caption(sampling),
        "reach": kernel_reach(sampling),
        "maskUnit": mask_unit(sampling),
        "colors": index_colors(sampling.groups if sampling.taps == 1 else sampling.taps),
        "regionColors": _region_colors(sampling),
        "dotSize": largest_dot(sampling.taps),
        "overlays": overlays(sampling),
        "channels": channels(sampling),
        "rounded": rounded(sampling),
        "reading": _reading(sampling, y, x),
    }


def _image_ground(sampling: Sampling, image: np.ndarray | None, uri: str | None) -> dict[str, Any]:
    """The image that the map lies on, or the map itself where there is none."""
    if image is None:
        return _ground(input_pixels(sampling), input_box(sampling))
    check_image(sampling, image)
    return _ground(image, (-0.5, -0.5, image.shape[0], image.shape[1]), uri)


def _output_ground(sampling: Sampling, shown: Tensor | None) -> dict[str, Any]:
    return _ground(
        None if shown is None else as_picture(shown), (-0.5, -0.5, *sampling.output_size)
    )


def _ground(
    pixels: np.ndarray | None, box: tuple[float, float, float, float], uri: str | None = None
) -> dict[str, Any]:
    """A picture's address, and its (top, left, height, width) in the pixels that it is about."""
    return {"source": None if pixels is None else uri or to_data_uri(pixels), "box": list(box)}


def output_caption(shown: Tensor, *said: str) -> str:
    """How the output became a picture; `said` goes before."""
    low, high = display_range(shown[:3] if shown.shape[0] >= 3 else shown[:1])
    parts = [*said]
    if low < 0:
        parts.append(f"mid-grey is 0, white {high:.2g}")
    elif high != 1:
        parts.append(f"white is {high:.2g}")
    return ", ".join(parts) or "click to pin a position"


def caption(sampling: Sampling) -> str:
    """What the marks on the image mean."""
    if sampling.taps == 1 and sampling.groups > 1:  # shifts
        return "□ the position, ● where each group reads: its content moves back"
    size = ", area by mask" if sampling.mask is not None else ""
    if (unit := mask_unit(sampling)) < 1:
        size += f", whole at {unit:.2g}"
    return f"□ the regular grid, ● where it is read{size}"


def overlays(sampling: Sampling) -> list[str]:
    """Which of `OVERLAYS` this record has something for."""
    known = set(layers_for(sampling))
    if sampling.output is not None:
        known.add("output")
    return [name for name in OVERLAYS if name in known]


def channels(sampling: Sampling) -> dict[str, list[str]]:
    """The names of the channels, by number where they have none."""
    inputs = 0 if sampling.input is None else sampling.input.shape[0]
    outputs = 0 if sampling.output is None else sampling.output.shape[0]
    names = sampling.channel_names or [str(i) for i in range(inputs)]
    return {"input": list(names), "output": [str(i) for i in range(outputs)]}


def kernel_reach(sampling: Sampling) -> float:
    """The end of the kernel's axes: 99 % of the points lie within, and every regular tap."""
    offset = _some(sampling.offset)
    if sampling.reference is None:
        base = sampling.kernel.centred_taps()[None, :, :, None, None]
    else:
        base = _some(sampling.reference)
        base = base - base.mean(dim=(0, 1), keepdim=True)
    reach = robust_top((base + offset).abs().numpy())
    regular = base.abs().nan_to_num(nan=0.0, posinf=0.0)
    return 1.12 * max(1.0, reach, float(regular.max()))


def mask_unit(sampling: Sampling) -> float:
    """The mask of a whole dot: 1, or the largest ones where a softmax leaves all of them small."""
    if sampling.mask is None:
        return 1.0
    top = robust_top(_some(sampling.mask).abs().numpy())
    return top if 0 < top < 0.5 else 1.0


def _some(values: Tensor) -> Tensor:
    """A map's values [..., h, w] at up to `_SAMPLES` rows and columns, in float32 on the CPU."""
    rows, columns = (
        torch.linspace(0, n - 1, min(n, _SAMPLES)).round().long() for n in values.shape[-2:]
    )
    return values.detach()[..., rows[:, None], columns].float().cpu()


def _region_colors(sampling: Sampling) -> list[list[int]] | None:
    if sampling.region is None:
        return None
    known = sampling.guide.shape[0] if sampling.guide is not None else 0
    count = known or int(sampling.region.max()) + 1
    colors: list[list[int]] = index_rgb(count).tolist()
    return colors


def _reading(sampling: Sampling, y: int | None, x: int | None) -> dict[str, Any]:
    """One position's points, so that it is drawn before the numbers have come."""
    regular = sampling.reference is None
    h, w = sampling.output_size
    y = h // 2 if y is None else min(max(y, 0), h - 1)
    x = w // 2 if x is None else min(max(x, 0), w - 1)
    return {
        "y": y,
        "x": x,
        "base": None if regular else sampling.base_at(y, x).tolist(),
        "offset": sampling.offset[..., y, x].tolist(),
        "mask": sampling.mask_at(y, x).tolist(),
    }
