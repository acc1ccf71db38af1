"""An `Exploration` as the JSON that the viewer draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..analysis import ShiftResult
from ..explore import OFFSETS, Exploration
from ..explore.learned import layer_number
from ..explore.learned import notes as learned_notes
from ..explore.recipe import COLORS
from ..figures import as_picture
from ..images import Photo, to_data_uri
from ..sampling import Sampling
from ..viewer.scene import channels, output_caption, scene


def view_part(
    run: Exploration, photo: Photo, y: int | None = None, x: int | None = None
) -> dict[str, Any]:
    """What the viewer draws first, as plain JSON types and figures; (y, x) as in `scene`."""
    return {
        **scene(run.sampling, photo.pixels, uri=photo.uri, picture=run.picture, y=y, x=x),
        "id": identity(run),
        "status": status(run),
        "notes": notes(run, photo),
        "outputCaption": picture_caption(run),
        "channels": channels(run.sampling) if run.learned else channel_names(run.sampling),
    }


def identity(run: Exploration) -> str:
    """What is shown, for a test, or for a person with the browser's inspector."""
    settings = run.settings
    (kh, kw), (height, width) = settings.kernel_size, run.sampling.input_size
    strength = OFFSETS[settings.field].default if settings.strength is None else settings.strength
    parts = (
        settings.operator,
        f"{kh} x {kw}",
        f"{height} x {width}",
        f"{settings.field} {strength:g}",
        *([f"layer {layer_number(settings)}"] if run.learned else []),
    )
    return " | ".join(parts)


def notes(run: Exploration, photo: Photo) -> list[str]:
    """What else is to be said of the photo, and of the network that ran on it."""
    return [*photo.notes, *(learned_notes(run.settings, run.sampling) if run.learned else ())]


def status(run: Exploration) -> str:
    """One line: what ran, on what, where, how long."""
    sampling = run.sampling
    (kh, kw), (h, w) = sampling.kernel.size, sampling.output_size
    size = f"{sampling.input_size[0]} × {sampling.input_size[1]} → {h} × {w}"
    kernel = f"{kh} × {kw}, " if sampling.taps > 1 else ""
    for name in ("stride", "dilation"):
        pace = getattr(sampling.kernel, name)[0]
        kernel += f"{name} {pace}, " if pace > 1 else ""
    return f"{sampling.name}, {kernel}{size}, {run.device.upper()}, {run.milliseconds:.0f} ms"


def picture_caption(run: Exploration) -> str:
    """How the output became a picture."""
    assert run.sampling.output is not None
    outputs = run.sampling.output.shape[0]
    said = [f"mean of the {outputs // 3} shifted copies"] if outputs > 3 else []
    if run.learned:
        said = [f"mean of the {outputs} channels"]
    return output_caption(run.picture, *said)


def checks_part(run: Exploration) -> list[dict[str, Any]]:
    """Badges; they follow the picture, which need not wait for them."""
    return [
        {"claim": check.claim, "difference": check.difference, "passed": check.passed}
        for check in run.checks
    ]


def channel_names(sampling: Sampling) -> dict[str, list[str]]:
    """The names of the channels: as the record has them, else the colours they come from."""
    assert sampling.input is not None
    assert sampling.output is not None
    inputs, outputs = sampling.input.shape[0], sampling.output.shape[0]
    return {
        "input": list(sampling.channel_names) or [color_name(i) for i in range(inputs)],
        "output": [color_name(i) for i in range(outputs)],
    }


def color_name(channel: int) -> str:
    """A colour of the photo; of further copies of it, numbered.

    >>> color_name(4)
    'green 2'
    """
    copy, color = divmod(channel, 3)
    return COLORS[color] if copy == 0 else f"{COLORS[color]} {copy + 1}"


def shifts_part(tensor: Sequence[ShiftResult], image: Sequence[ShiftResult]) -> dict[str, Any]:
    """The five ways to shift, on the published tensor and on the image."""
    return {
        "title": "Five ways to shift, on at most 256 pixels: difference from slicing, and time",
        "rows": [
            {
                "strategy": on_tensor.strategy,
                "tensor": _shift_result(
                    on_tensor, _mosaic, f"the eight shifted maps, by {on_tensor.strategy}"
                ),
                "image": _shift_result(
                    on_image, _average, f"the shifted image, by {on_image.strategy}"
                ),
            }
            for on_tensor, on_image in zip(tensor, image, strict=True)
        ],
    }


def _shift_result(result: ShiftResult, draw: Any, alt: str) -> dict[str, Any]:  # noqa: ANN401
    return {
        "difference": result.difference,
        "milliseconds": result.milliseconds,
        "picture": None if result.output is None else to_data_uri(draw(result.output)),
        "alt": alt,
    }


def _mosaic(output: torch.Tensor) -> np.ndarray:
    """Eight maps of indices 0 to 4 in two rows, black to white, a grey line between: uint8."""
    padded = torch.nn.functional.pad(output[0] / 4, (0, 1, 0, 1), value=0.35)  # [8, 6, 6]
    rows = padded.reshape(4, 2, 6, 6).permute(1, 2, 0, 3).reshape(12, 24)  # y indices, x indices
    return as_picture(rows[None, :-1, :-1])


def _average(output: torch.Tensor) -> np.ndarray:
    """The copies of the photo averaged, at a thumbnail's size."""
    picture = output.reshape(-1, 3, *output.shape[2:]).mean(dim=0)
    height, width = picture.shape[1:]
    scale = min(1.0, 120 / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = torch.nn.functional.interpolate(
        picture[None], size, mode="bilinear", antialias=True, align_corners=False
    )
    return as_picture(small[0].cpu())


def summary(run: Exploration, photo: Photo, y: int, x: int) -> dict[str, Any]:
    """The numbers of a run at one position, for programs: plain JSON types."""
    sampling = run.sampling
    return {
        **sampling.header(),
        "operator": run.settings.operator,
        "offset_groups": sampling.groups,
        "taps": sampling.taps,
        "position": [y, x],
        "base": sampling.base_at(y, x).tolist(),
        "points": sampling.points_at(y, x).tolist(),
        "mask": sampling.mask_at(y, x).tolist(),
        "region": None if sampling.region is None else int(sampling.region[y, x]),
        "output": [] if sampling.output is None else sampling.output[:, y, x].tolist(),
        "checks": checks_part(run),
        "device": run.device,
        "milliseconds": run.milliseconds,
        "notes": notes(run, photo),
    }
