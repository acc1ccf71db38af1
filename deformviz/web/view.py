"""An `Exploration` as the JSON that the viewer draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from plotly.io.json import to_json_plotly

from ..analysis import ShiftResult, Terms, terms_at
from ..explore import Check, Exploration
from ..explore.convolutions import COLORS
from ..fields import FIELDS
from ..figures import (
    LAYERS,
    Choice,
    as_picture,
    display_range,
    kernel_figure,
    output_figure,
    sampling_figure,
)
from ..figures.points import tap_colors
from ..images import Photo, to_data_uri
from ..sampling import Sampling

_MOST_ROWS = 200


def view_json(
    run: Exploration,
    photo: Photo,
    *,
    y: int,
    x: int,
    layer: str,
    choice: Choice,
    channel: int = 0,
    shifts: dict[str, Any] | None = None,
) -> str:
    """What the viewer draws, as one string.

    Args:
        run: what was computed.
        photo: the image that it read.
        y, x: the output position.
        layer, choice: what lies over the image.
        channel: the output channel whose sum is shown.
        shifts: `shifts_part`, for the spatial shift.
    """
    sampling = run.sampling
    figures = {
        "image": sampling_figure(
            sampling,
            photo.pixels,
            y=y,
            x=x,
            layer=layer,
            choice=choice,
            # Dots of several groups have the same colours: one group at a time.
            group=choice.group if sampling.groups > 1 and sampling.taps > 1 else None,
        ),
        "output": output_figure(sampling, run.picture, y=y, x=x),
        "kernel": kernel_figure(sampling, y, x),
    }
    view = {
        "id": identity(run, layer, y, x),
        "figures": {name: figure.to_plotly_json() for name, figure in figures.items()},
        "status": status(run),
        "notes": list(photo.notes),
        "caption": caption(run, layer, choice),
        "outputCaption": output_caption(run),
        "checks": [check_part(check) for check in run.checks],
        "terms": terms_part(run, y, x, channel),
        "shifts": shifts,
    }
    text: str = to_json_plotly(view)
    return text


def identity(run: Exploration, layer: str, y: int, x: int) -> str:
    """What is shown, for a test, or for a person with the browser's inspector."""
    settings = run.settings
    (kh, kw), (height, width) = settings.kernel_size, run.sampling.input_size
    strength = FIELDS[settings.field].default if settings.strength is None else settings.strength
    parts = (
        settings.operator,
        f"{kh} x {kw}",
        f"{height} x {width}",
        f"{settings.field} {strength:g}",
        layer,
        f"{y}, {x}",
    )
    return " | ".join(parts)


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


def caption(run: Exploration, layer: str, choice: Choice) -> str:
    """What the picture over the image means, in the operator's own terms."""
    sampling = run.sampling
    group = f" of group {choice.group}" if sampling.groups > 1 else ""
    if LAYERS[layer].per_tap:
        row, column = divmod(choice.tap, sampling.kernel.size[1])
        place = f"tap {choice.tap} (row {row}, column {column})" if sampling.taps > 1 else "the tap"
        where = "" if layer == "arrows" else ", drawn at the output position"
        return f"{layer} of {place}{group}{where}"
    if layer == "points":
        if sampling.taps == 1:
            return "□ the position, ● where each copy reads: its content moves back"
        size = ", its area is the mask" if sampling.mask is not None else ""
        shown = f", offset group {choice.group}" if group else ""
        return f"□ the regular grid, ● where it is read{size}{shown}"
    if layer == "regions":
        return "every region has a kernel of its own"
    return f"{layer}, as it is appended to the image's channels"


def output_caption(run: Exploration) -> str:
    """How the output became a picture."""
    assert run.sampling.output is not None
    copies = run.sampling.output.shape[0] // 3
    parts = [f"mean of the {copies} shifted copies"] if copies > 1 else []
    low, high = display_range(run.picture)
    if low < 0:
        parts.append(f"mid-grey is 0, white {high:.2g}")
    elif high != 1:
        parts.append(f"white is {high:.2g}")
    return ", ".join(parts) or "click to choose a position"


def check_part(check: Check) -> dict[str, Any]:
    """A badge."""
    return {"claim": check.claim, "difference": check.difference, "passed": check.passed}


def terms_part(run: Exploration, y: int, x: int, channel: int) -> dict[str, Any]:
    """The formula at one position, a row for each term that has a weight."""
    sampling = run.sampling
    terms = terms_at(sampling, y, x, channel)
    assert terms.output is not None
    assert terms.difference is not None
    weighty = (terms.weights != 0).nonzero().tolist()  # [n, 2]: input channel, tap
    several = len({row for row, _ in weighty}) > 1
    rows = [_row(sampling, terms, row, tap, several) for row, tap in weighty[:_MOST_ROWS]]
    return {
        "symbol": f"y({y}, {x})",
        "total": terms.total,
        "output": terms.output,
        "difference": terms.difference,
        "passed": terms.difference <= run.checks[-1].tolerance,
        "bias": terms.bias,
        "omitted": terms.weights.numel() - len(rows),
        "rows": rows,
    }


def _row(sampling: Sampling, terms: Terms, row: int, tap: int, several: bool) -> dict[str, Any]:
    channel = int(terms.channels[row])
    group = channel // (_channels(sampling) // sampling.groups)
    point, base = terms.points[row, tap], terms.base[row, tap]
    neighbours = zip(
        terms.neighbours[row, tap].tolist(), terms.neighbour_weights[row, tap].tolist(), strict=True
    )
    return {
        "label": f"{tap} {channel_name(sampling, channel)}" if several else str(tap),
        "color": str(tap_colors(sampling)[group, tap]),
        "base": base.tolist(),
        "offset": (point - base).tolist(),
        "point": point.tolist(),
        "neighbours": [{"y": y, "x": x, "weight": weight} for (y, x), weight in neighbours],
        "value": float(terms.values[row, tap]),
        "mask": float(terms.mask[row, tap]),
        "weight": float(terms.weights[row, tap]),
        "product": float(terms.products[row, tap]),
    }


def _channels(sampling: Sampling) -> int:
    assert sampling.input is not None
    return sampling.input.shape[0]


def channel_name(sampling: Sampling, channel: int) -> str:
    """As the record names it; else its colour, further copies of the photo numbered."""
    if sampling.channel_names:
        return sampling.channel_names[channel]
    copy, color = divmod(channel, 3)
    return COLORS[color] if copy == 0 else f"{COLORS[color]} {copy + 1}"


def shifts_part(tensor: Sequence[ShiftResult], image: Sequence[ShiftResult]) -> dict[str, Any]:
    """The five ways to shift, on the published tensor and on the image."""
    return {
        "title": "Five ways to shift, on at most 256 pixels: difference from slicing, and time",
        "rows": [
            {
                "strategy": on_tensor.strategy,
                "tensor": _shift_result(on_tensor, _mosaic, "the eight shifted maps"),
                "image": _shift_result(on_image, _average, "the shifted image"),
            }
            for on_tensor, on_image in zip(tensor, image, strict=True)
        ],
    }


def _shift_result(result: ShiftResult, draw: Any, alt: str) -> dict[str, Any]:  # noqa: ANN401
    return {
        "difference": result.difference,
        "milliseconds": result.milliseconds,
        "picture": None if result.output is None else to_data_uri(draw(result.output)),
        "alt": f"{alt}, by {result.strategy}",
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
        "checks": [check_part(check) for check in run.checks],
        "device": run.device,
        "milliseconds": run.milliseconds,
        "notes": list(photo.notes),
    }
