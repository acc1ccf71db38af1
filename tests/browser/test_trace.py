"""The browser's trace against Python's, torchvision's gradient and the paper's 729 points."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import BrowserContext, Page
from torch import Tensor
from torchvision.ops import deform_conv2d

from deformviz import ImageMap, Kernel, Sampling
from deformviz.analysis import trace
from deformviz.analysis.tracing import Follow, Mode
from deformviz.viewer.bundle import script
from deformviz.viewer.wire import to_bytes

pytestmark = pytest.mark.browser

MODES: list[Mode] = ["exact", "interp", "paper"]
FOLLOWS: list[Follow] = ["taps", "mask", "kernel"]

_TRACE = """({ layers, groups, weight, mode, start }) => {
  const made = layers.map((layer, i) => {
    const scene = new deformviz.Scene(layer);
    const bytes = Uint8Array.from(atob(layer.numbers), (c) => c.charCodeAt(0));
    scene.attach(deformviz.readTensors(bytes.buffer));
    return new deformviz.LayerTaps(scene, groups[i], weight);
  });
  try {
    const { levels, off, broken } = deformviz.trace(made, mode, start);
    const plain = (values) => values && [...values];
    return {
      off, broken,
      levels: levels.map(({ points, weights, first }) => (
        { points: plain(points), weights: plain(weights), first: plain(first) })),
    };
  } catch (error) {
    return { error: error.message };
  }
}"""

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def page(offline: BrowserContext) -> Iterator[Page]:
    """An empty page with the viewer's script, which shows its inner parts."""
    parts = "window.deformviz = { Scene, LayerTaps, trace, readTensors,"
    page = offline.new_page()
    page.add_script_tag(content=script().replace("window.deformviz = {", parts))
    yield page
    page.close()


@pytest.fixture
def in_browser(page: Page) -> Run:
    """What the browser finds: the arguments are those of `deformviz.analysis.trace`."""

    def found(
        layers: Sequence[Sampling],
        y: int,
        x: int,
        mode: Mode,
        follow: Follow = "mask",
        group: Sequence[int | None] | None = None,
        **start: Any,
    ) -> Any:
        sent = [
            {
                "header": layer.header(),
                "groups": layer.groups,
                "taps": layer.taps,
                "numbers": base64.b64encode(to_bytes(layer)).decode(),
            }
            for layer in layers
        ]
        groups = group or [None] * len(layers)
        asked = {"layers": sent, "groups": groups, "weight": follow, "mode": mode}
        return page.evaluate(_TRACE, asked | {"start": {"y": y, "x": x, **start}})

    return found


def assert_same(found: Any, layers: Sequence[Sampling], *position: int, **options: Any) -> None:
    """Points, weights and first taps of each level, in the same order."""
    expected = trace(layers, *position, **options)
    assert len(expected.levels) == len(found["levels"])
    for level, got in zip(expected.levels, found["levels"], strict=True):
        points = np.array(got["points"]).reshape(-1, 2)
        np.testing.assert_allclose(points, level.points.numpy(), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(got["weights"], level.weights.numpy(), rtol=1e-9, atol=1e-15)
        assert got["first"] == (None if level.taps is None else level.taps[:, 0].tolist())


def random(*shape: int, seed: int, spread: float = 1.0) -> Tensor:
    return spread * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(
    seed: int,
    size: tuple[int, int],
    kernel: Kernel,
    groups: int = 1,
    spread: float = 1.0,
    **fields: Any,
) -> Sampling:
    """Random offsets, masks and kernels, of two channels a group."""
    h, w = kernel.output_size(size)
    channels = 2 * groups
    return Sampling(
        f"layer {seed}", size, (h, w), kernel,
        random(groups, kernel.taps, 2, h, w, seed=seed, spread=spread),
        mask=random(groups, kernel.taps, h, w, seed=seed + 50).sigmoid(),
        input=torch.zeros(channels, *size),
        weight=random(3, channels, *kernel.size, seed=seed + 90),
        **fields,
    )  # fmt: skip


def strided() -> list[Sampling]:
    """Strides, a kernel that is not square, groups in the upper layer: sizes that follow on."""
    lower = layer(1, (27, 23), Kernel.of((3, 2), stride=(2, 1), padding=(1, 1)))
    upper = layer(2, lower.output_size, Kernel.of(3, stride=2, padding=2, dilation=2), groups=2)
    return [upper, lower]


def apart() -> list[Sampling]:
    """Something between the layers halved the map: they meet on the image."""
    lower = layer(3, (32, 30), Kernel.of(3, padding=1), groups=2, image_map=ImageMap.of_stride(2))
    upper = layer(4, (16, 15), Kernel.of((3, 5), padding=(1, 2)), image_map=ImageMap.of_stride(4))
    return [upper, lower]


def broken() -> list[Sampling]:
    """Offsets and masks that are not finite, in both layers."""
    layers = [layer(seed, (9, 8), Kernel.of(3, padding=1)) for seed in (5, 6)]
    for each, bad in zip(layers, (float("nan"), float("inf")), strict=True):
        each.offset[0, 1::3, 0] = bad
        assert each.mask is not None
        each.mask[0, 2] = float("nan")
    return layers


def far() -> list[Sampling]:
    """Offsets so large that most points are off the map."""
    return [layer(seed, (9, 9), Kernel.of(3, padding=1), spread=5.0) for seed in (7, 8)]


def attention() -> list[Sampling]:
    """Base points that are no grid, below a convolution; the kernel is not known."""
    h, w = 6, 7
    lower = Sampling(
        "attention", (12, 14), (h, w), Kernel.of(1), random(2, 4, 2, h, w, seed=9),
        reference=random(2, 4, 2, h, w, seed=10, spread=3.0) + 6,
        mask=random(2, 4, h, w, seed=11).softmax(1), image_map=ImageMap.of_stride(2),
    )  # fmt: skip
    return [layer(12, (h, w), Kernel.of(3, padding=1)), lower]


def regions() -> list[Sampling]:
    """The lower layer chooses one of two kernels per position."""
    upper = layer(13, (8, 8), Kernel.of(3, padding=1))
    region = (random(8, 8, seed=14) > 0).int()
    weight = random(2, 3, 2, 3, 3, seed=15)
    return [
        upper,
        replace(layer(16, (8, 8), Kernel.of(3, padding=1)), region=region, weight=weight),
    ]


STACKS = [strided, apart, broken, far, attention, regions]


@pytest.mark.parametrize("follow", FOLLOWS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("made", STACKS)
def test_it_finds_what_python_finds(
    in_browser: Run, made: Callable[[], list[Sampling]], mode: Mode, follow: Follow
) -> None:
    layers = made()
    h, w = layers[0].output_size
    for y, x in ((0, 0), (h // 2, w // 2), (h - 1, w - 1)):
        found = in_browser(layers, y, x, mode, follow)
        assert_same(found, layers, y, x, mode=mode, follow=follow)
        if mode != "exact":  # what is lost is counted
            ways = np.prod([each.groups * each.taps for each in layers])
            assert found["off"] + found["broken"] == ways - len(found["levels"][-1]["weights"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("group", [(0, None), (1, 0), (None, 0)])
def test_one_group_is_followed_where_asked(
    in_browser: Run, mode: Mode, group: tuple[int | None, ...]
) -> None:
    layers = strided()
    found = in_browser(layers, 3, 4, mode, "kernel", group)
    assert_same(found, layers, 3, 4, mode=mode, follow="kernel", group=list(group))


def test_three_dilated_layers_make_the_papers_lattice(in_browser: Run) -> None:
    """729 points on 7 x 7 places of a 13 x 13 square; how many on each, a convolution says."""
    regular = Sampling.regular("res5", Kernel.of(3, padding=2, dilation=2), (33, 31))
    row = np.convolve(np.convolve([1, 1, 1], [1, 1, 1]), [1, 1, 1])
    expected = {
        (16 + 2 * (i - 3), 15 + 2 * (j - 3)): row[i] * row[j]
        for i, j in product(range(7), repeat=2)
    }
    for mode in ("paper", "interp"):
        found = in_browser([regular] * 3, 16, 15, mode)
        points = np.array(found["levels"][-1]["points"]).reshape(-1, 2)
        assert len(points) == 729
        assert Counter(map(tuple, points.tolist())) == expected
        assert np.ptp(points, axis=0).tolist() == [12, 12]
        assert (found["off"], found["broken"]) == (0, 0)
    merged = in_browser([regular] * 3, 16, 15, "exact")["levels"][-1]
    places = map(tuple, np.array(merged["points"]).reshape(-1, 2).tolist())
    assert dict(zip(places, merged["weights"], strict=True)) == expected


def test_exact_weights_are_torchvisions_gradient(in_browser: Run) -> None:
    """Three layers of one channel whose kernels are not negative."""
    kernels = [Kernel.of(3, stride=2, padding=1), Kernel.of((5, 3), padding=(2, 1)), Kernel.of(3)]
    layers: list[Sampling] = []
    size = (16, 15)
    for seed, kernel in reversed(list(enumerate(kernels))):
        made = layer(seed, size, kernel, spread=1.5, image_map=ImageMap())
        one = random(1, 1, *kernel.size, seed=seed + 30).abs()
        layers.insert(0, replace(made, input=torch.zeros(1, *size), weight=one))
        size = made.output_size
    image = torch.rand(1, 1, 16, 15, dtype=torch.float64, requires_grad=True)
    value: Tensor = image
    for each in reversed(layers):
        assert each.weight is not None
        assert each.mask is not None
        value = deform_conv2d(
            value, each.offset.double().flatten(0, 2)[None], each.weight.double(),
            stride=each.kernel.stride, padding=each.kernel.padding,
            mask=each.mask.double().flatten(0, 1)[None],
        )  # fmt: skip
    value[0, 0, 2, 3].backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    found = in_browser(layers, 2, 3, "exact", "kernel")["levels"][-1]
    heat = np.zeros((16, 15))
    rows, columns = np.array(found["points"], int).reshape(-1, 2).T
    heat[rows, columns] = found["weights"]
    assert np.count_nonzero(heat) > 20
    np.testing.assert_allclose(heat, image.grad[0, 0].numpy(), rtol=1e-10, atol=1e-14)


def test_one_tap_is_its_part_of_the_heat(in_browser: Run) -> None:
    layers = strided()
    heat: Counter[tuple[float, ...]] = Counter()
    for n in range(18):
        level = in_browser(layers, 3, 4, "exact", only=n)["levels"][-1]
        points = map(tuple, np.array(level["points"]).reshape(-1, 2).tolist())
        heat.update(dict(zip(points, level["weights"], strict=True)))
    whole = trace(layers, 3, 4, "exact").levels[-1]
    expected = dict(zip(map(tuple, whole.points.tolist()), whole.weights.tolist(), strict=True))
    assert {place for place, weight in heat.items() if weight > 0} == set(expected)
    assert [heat[place] for place in expected] == pytest.approx(list(expected.values()))


def test_too_many_points_are_refused_with_what_to_do(in_browser: Run) -> None:
    wide = Sampling.regular("wide", Kernel.of(9, padding=4), (40, 40))
    assert (
        "take fewer layers, one group, or exact" in in_browser([wide] * 3, 20, 20, "paper")["error"]
    )
    assert len(in_browser([wide] * 3, 20, 20, "exact")["levels"]) == 3
