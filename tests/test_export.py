"""A record as .npz, read by numpy alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deformviz import ImageMap, Kernel, Sampling
from deformviz.explore import OPERATORS, Settings, explore
from deformviz.export import save_npz

PHOTO = np.random.default_rng(0).integers(0, 256, (14, 11, 3), dtype=np.uint8)


def saved(sampling: Sampling, folder: Path) -> dict[str, np.ndarray]:
    path = folder / "sampling.npz"
    save_npz(sampling, path)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def grid(header: dict[str, Any]) -> np.ndarray:
    """The regular taps [K, 2, h, w] in (y, x), from the header's numbers, one by one."""
    (kh, kw), (h, w) = header["kernel_size"], header["output_size"]
    places = np.empty((kh * kw, 2, h, w))
    for tap in range(kh * kw):
        for axis, step in enumerate(divmod(tap, kw)):
            first = np.arange((h, w)[axis]) * header["stride"][axis] - header["padding"][axis]
            line = first + step * header["dilation"][axis]
            places[tap, axis] = line[:, None] if axis == 0 else line[None]
    return places


@pytest.mark.parametrize(
    "settings",
    [{}, {"kernel_size": (2, 5), "stride": 3, "dilation": 2, "offset_groups": 3}],
    ids=["defaults", "coarse"],
)
@pytest.mark.parametrize("operator", OPERATORS)
def test_numpy_reads_what_the_record_holds(
    operator: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    s = explore(PHOTO, Settings(operator=operator, field="random", **settings)).sampling
    arrays = saved(s, tmp_path)
    known = ("offset", "mask", "region", "guide", "input", "output", "weight", "bias")
    tensors = {name: getattr(s, name) for name in known if getattr(s, name) is not None}
    assert set(arrays) == {*tensors, "points", "header"}
    for name, tensor in tensors.items():
        assert np.array_equal(arrays[name], tensor.numpy()), name
    header = json.loads(str(arrays["header"]))
    assert arrays["points"].shape == (s.groups, s.taps, 2, *s.output_size)
    assert arrays["points"] == pytest.approx(grid(header) + arrays["offset"], abs=1e-5)


def test_the_header_is_json(tmp_path: Path) -> None:
    kernel = Kernel.of((1, 3), stride=(2, 1), padding=(0, 4), dilation=(1, 2))
    s = Sampling.regular("layer 3 <é>", kernel, (6, 5), image_map=ImageMap.of_stride((4, 8)))
    header = json.loads(saved(s, tmp_path)["header"].item())
    assert header == {
        "format": "deformviz.sampling/1",
        "name": "layer 3 <é>",
        "input_size": [6, 5],
        "output_size": [3, 9],
        "kernel_size": [1, 3],
        "stride": [2, 1],
        "padding": [0, 4],
        "dilation": [1, 2],
        "image_origin": [1.5, 3.5],
        "image_stride": [4.0, 8.0],
        "channel_names": [],
    }


def test_base_points_of_their_own_are_kept(tmp_path: Path) -> None:
    reference = torch.rand(2, 4, 2, 6, 1)
    offset = torch.rand(2, 4, 2, 6, 1)
    s = Sampling("attention", (5, 5), (6, 1), Kernel.of(1), offset, reference=reference)
    arrays = saved(s, tmp_path)
    assert np.array_equal(arrays["reference"], reference.numpy())
    assert np.array_equal(arrays["points"], reference.numpy() + offset.numpy())


def test_what_is_still_being_learned_is_saved(tmp_path: Path) -> None:
    offset = torch.zeros(1, 9, 2, 4, 4, requires_grad=True)
    s = Sampling("made up", (6, 6), (4, 4), Kernel.of(3), offset)
    assert saved(s, tmp_path)["points"].shape == (1, 9, 2, 4, 4)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    path = tmp_path / "here.npz"
    save_npz(Sampling.regular("convolution", Kernel.of(3), (4, 4)), str(path))
    assert path.is_file()
