"""What shipped networks learned, on any image: their layers against second implementations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz import examples
from deformviz.analysis import recompute
from deformviz.explore import LEARNED, OPERATORS, Exploration, Settings, depends_on, explore
from deformviz.explore import learned as learned_module
from deformviz.explore.learned import NETWORKS, found_place, notes
from deformviz.images import decode
from deformviz.operators import channel_shift_sampling
from deformviz.sampling import Sampling
from deformviz.training import shipped, watch
from deformviz.training.coordinates import squares
from deformviz.viewer.scene import scene

V1, V2 = "Deformable Conv v1", "Deformable Conv v2"
ASKED: dict[str, dict[str, Any]] = {
    "v1": {"operator": V1, "field": LEARNED},
    "v2": {"operator": V2, "field": LEARNED, "mask": LEARNED},
    "offsets alone": {"operator": V2, "field": LEARNED, "mask": "one"},
    "mask alone": {"operator": V2, "field": "rotate", "mask": LEARNED, "mask_strength": 0.5},
    "DRConv": {"operator": "DRConv", "guide": LEARNED},
    "CoordConv": {"operator": "CoordConv", "parameters": LEARNED},
    "Active Shift": {"operator": "Active Shift", "parameters": LEARNED},
}
LAYERED = ["v1", "v2", "Active Shift"]
"""Those whose network has several of the operator's layers."""


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tensor(image: np.ndarray) -> Tensor:
    return torch.tensor(image).movedim(2, 0)[None] / 255


def learned(name: str, image: np.ndarray, **others: Any) -> Exploration:
    return explore(image, Settings(**ASKED[name], **others))


@pytest.mark.parametrize("shape", [(64, 64), (50, 71), (9, 8)])
@pytest.mark.parametrize("name", ASKED)
def test_a_run_passes_its_own_checks(name: str, shape: tuple[int, int]) -> None:
    run = learned(name, noise(*shape))
    assert run.learned
    assert [check.claim for check in run.checks if not check.passed] == []
    assert run.picture.shape == (3, *run.sampling.output_size)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 2), (3, 300)])
@pytest.mark.parametrize("name", ["v1", "v2", "DRConv", "CoordConv", "Active Shift"])
def test_the_smallest_and_the_longest_images(name: str, shape: tuple[int, int]) -> None:
    if name == "Active Shift" and min(shape) < 2:
        with pytest.raises(ValueError, match=r"2 x 2 pixels or more instead of 1 x \d$"):
            learned(name, noise(*shape))
        return
    run = learned(name, noise(*shape))
    assert [check.claim for check in run.checks if not check.passed] == []
    drawn = scene(run.sampling, noise(*shape))
    assert drawn["grounds"]["image"]["box"] == [-0.5, -0.5, *shape]


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("name", LAYERED)
def test_every_layer_passes_its_own_checks(name: str, layer: int) -> None:
    run = learned(name, noise(50, 71), learned_layer=layer)
    assert [check.claim for check in run.checks if not check.passed] == []


def test_features_are_checked_by_their_own_size() -> None:
    """They are many times as large as colours, and so is what float32 rounds off."""
    image = decode(examples.path("grid"), max_side=512).pixels
    run = learned("v1", image, learned_layer=1)
    assert run.sampling.output is not None
    assert run.sampling.output.abs().max() > 10
    assert [check.claim for check in run.checks if not check.passed] == []


@pytest.mark.parametrize("name", ASKED)
def test_the_checks_can_fail(name: str) -> None:
    run = learned(name, noise(40, 40))
    assert run.sampling.output is not None
    wrong = replace(run.sampling, output=1.0005 * run.sampling.output)
    assert [check.passed for check in run.checking(wrong)] == [True, False]


def test_a_wrong_shift_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(input: Tensor, shift: Tensor, *others: Any) -> Sampling:
        right, moved = (channel_shift_sampling(input, s, *others) for s in (shift, shift + 0.01))
        return replace(right, output=moved.output)

    monkeypatch.setattr(learned_module, "channel_shift_sampling", wrong)
    run = learned("Active Shift", noise(40, 40))
    assert [check.passed for check in run.checks] == [False, False]


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("name", ["v1", "v2", "offsets alone", "mask alone"])
def test_a_deformable_layer_equals_torchvision(name: str, layer: int) -> None:
    s = learned(name, noise(60, 44), learned_layer=layer).sampling
    assert s.input is not None
    assert s.weight is not None
    expected = torchvision_deform_conv2d(
        s.input[None], s.offset.flatten(0, 2)[None], s.weight, s.bias, padding=1,
        mask=None if s.mask is None else s.mask.flatten(0, 1)[None],
    )  # fmt: skip
    torch.testing.assert_close(s.output, expected[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("name", LAYERED)
def test_a_layer_is_the_networks_own(name: str, layer: int) -> None:
    """Its output, handed on through the network's remaining layers, is the network's answer."""
    image = noise(64, 64)
    net: Any = shipped(NETWORKS[ASKED[name]["operator"]].file).network()
    output = learned(name, image, learned_layer=layer).sampling.output
    assert output is not None
    with torch.no_grad():
        x = net.norms[layer - 1](output[None]).relu()
        for later in range(layer, 3):
            x = net.norms[later](net.layers[later](x)).relu()
        answer = net.head(x.mean(dim=(2, 3)) if name == "Active Shift" else x)
        torch.testing.assert_close(answer, net(tensor(image)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LAYERED)
def test_the_last_layer_is_shown_where_none_is_named(name: str) -> None:
    image = noise(40, 40)
    last = learned(name, image).sampling
    outputs = [learned(name, image, learned_layer=i).sampling.output for i in (1, 2, 3)]
    assert last.output is not None
    assert [torch.equal(last.output, output) for output in outputs] == [False, False, True]


@pytest.mark.parametrize("operator", NETWORKS)
def test_the_networks_have_so_many_layers(operator: str) -> None:
    row = NETWORKS[operator]
    assert len(watch(shipped(row.file).network(), torch.rand(1, 3, 64, 64))) == row.layers
    assert ("learned_layer" in OPERATORS[operator].controls) == (row.layers > 1)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_learned_shifts_equal_grid_sample(layer: int) -> None:
    """Each channel is read at its own distance, zero outside, and the channels are mixed."""
    s = learned("Active Shift", noise(50, 70), learned_layer=layer).sampling
    assert s.input is not None
    assert s.weight is not None
    assert s.bias is not None
    net: Any = shipped("shifts").network()
    shift = net.layers[layer - 1].shift.detach()  # [32, 2]
    h, w = s.input_size
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    rows, columns = y + shift[:, 0, None, None], x + shift[:, 1, None, None]  # [32, h, w]
    grid = torch.stack((2 * columns / (w - 1) - 1, 2 * rows / (h - 1) - 1), dim=-1)
    shifted = F.grid_sample(s.input[:, None], grid, align_corners=True)[:, 0]
    mixed = torch.einsum("oc,chw->ohw", s.weight[..., 0, 0], shifted) + s.bias[:, None, None]
    torch.testing.assert_close(s.output, mixed, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(s.offset, shift[:, None, :, None, None].expand_as(s.offset))
    assert s.image_map.stride == (2.0, 2.0)
    drawn = scene(s, noise(50, 70), y=3, x=5)
    assert drawn["grounds"]["image"]["box"] == [-0.5, -0.5, 50, 70]


@pytest.mark.parametrize("shape", [(128, 192), (64, 64), (40, 90)])
def test_learned_coordinates_equal_conv2d(shape: tuple[int, int]) -> None:
    """On the photo as Pillow resizes it, with two channels more."""
    image = noise(*shape)
    s = learned("CoordConv", image).sampling
    colours = [
        np.asarray(Image.fromarray(image[..., i].astype(np.float32)).resize((64, 64), 2))
        for i in range(3)
    ]
    y, x = np.mgrid[0:64, 0:64] / 63 * 2 - 1
    inputs = torch.tensor(np.stack([*(c / 255 for c in colours), x, y])).float()
    net: Any = shipped("places").network()
    weight, bias = net.first.conv.weight.detach(), net.first.conv.bias.detach()
    assert s.input is not None
    torch.testing.assert_close(s.input, inputs, rtol=0, atol=1e-5)
    torch.testing.assert_close(s.output, F.conv2d(inputs[None], weight, bias)[0])
    assert s.channel_names == ("red", "green", "blue", "x", "y")
    drawn = scene(s, image, y=3, x=5)
    assert {"x coordinate", "y coordinate"} <= set(drawn["overlays"])
    assert drawn["grounds"]["image"]["box"] == [-0.5, -0.5, *shape]


@pytest.mark.parametrize("times", [(1, 1), (2, 3)])
def test_what_the_network_finds_is_told_in_pixels_of_the_photo(times: tuple[int, int]) -> None:
    centre = torch.tensor([[20, 41]])  # where training showed squares
    canvas = (squares(centre)[0] * 255).byte().movedim(0, -1).numpy()
    run = learned("CoordConv", canvas.repeat(times[0], axis=0).repeat(times[1], axis=1))
    found = found_place(run.sampling)
    expected = [(c + 0.5) * t - 0.5 for c, t in zip((20, 41), times, strict=True)]
    assert np.abs(np.subtract(found, expected) / times).max() < 0.5
    y, x = (round(v) for v in found)
    assert notes(run.settings, run.sampling)[1].endswith(f"the square is at y {y}, x {x}")


def test_strength_scales_what_was_learned() -> None:
    image = noise(64, 64)
    once = learned("v2", image).sampling
    twice = learned("v2", image, strength=2.0).sampling
    none = learned("offsets alone", image, strength=0.0).sampling
    assert once.moves
    torch.testing.assert_close(twice.offset, 2 * once.offset)
    assert none.input is not None
    assert none.weight is not None
    expected = F.conv2d(none.input[None], none.weight, none.bias, padding=1)[0]
    torch.testing.assert_close(none.output, expected, rtol=1e-4, atol=1e-4)


def test_mask_strength_fades_the_learned_mask() -> None:
    image = noise(64, 64)
    whole = learned("v2", image).sampling.mask
    half = learned("v2", image, mask_strength=0.5).sampling.mask
    none = learned("v2", image, mask_strength=0.0).sampling.mask
    assert whole is not None
    assert float(whole.std()) > 0.01
    torch.testing.assert_close(half, (1 + whole) / 2)
    torch.testing.assert_close(none, torch.ones_like(whole))


def test_the_map_lies_on_the_photo() -> None:
    """A quarter of the size, and no further out than the photo: so the viewer can draw it."""
    image = noise(64, 96)
    s = learned("v2", image).sampling
    assert s.output_size == (16, 24)
    assert s.image_map.stride == (4.0, 4.0)
    drawn = scene(s, image, y=3, x=5)
    assert drawn["grounds"]["image"]["box"] == [-0.5, -0.5, 64, 96]


def test_drconv_reads_the_photo_by_learned_regions() -> None:
    image = noise(40, 32)
    s = learned("DRConv", image).sampling
    assert s.output_size == (40, 32)
    assert s.region is not None
    assert s.input is not None
    expected = torch.tensor(image).movedim(2, 0) / 127.5 - 1
    torch.testing.assert_close(s.input, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ASKED)
def test_terms_sum_to_the_output(name: str) -> None:
    s = learned(name, noise(32, 32)).sampling
    h, w = s.output_size
    positions = torch.tensor([[0, 0], [h // 2, w // 3], [h - 1, w - 1]])
    assert s.output is not None
    expected = s.output[:, positions[:, 0], positions[:, 1]].T.double()
    torch.testing.assert_close(recompute(s, positions), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "asked",
    [
        {"operator": "Convolution", "field": LEARNED, "mask": LEARNED, "guide": LEARNED},
        {"operator": "DRConv", "field": LEARNED, "mask": LEARNED},
        {"operator": V1, "mask": LEARNED, "guide": LEARNED, "learned_layer": 1},
        {"operator": "CoordConv", "field": LEARNED, "learned_layer": 1},
        *({"operator": o, "parameters": LEARNED} for o in ("Convolution", "DRConv", V2)),
        *({"operator": o, "parameters": LEARNED} for o in ("Spatial shift", "CycleFC")),
    ],
)
def test_what_an_operator_does_not_have_makes_no_difference(asked: dict[str, Any]) -> None:
    run = explore(noise(24, 24), Settings(**asked))
    plain = explore(noise(24, 24), Settings(operator=asked["operator"]))
    assert not run.learned
    assert torch.equal(run.picture, plain.picture)


OTHERWISE: dict[str, Any] = {
    "stride": 2, "dilation": 2, "weights": "Sobel y", "offset_groups": 3, "regions": 3,
    "generated": True, "radius": False, "coordinate_weight": 0.7, "strength": 0.5,
    "mask_strength": 0.5, "learned_layer": 1, "kernel_size": (5, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", ["v1", "v2", "DRConv", "CoordConv", "Active Shift"])
def test_a_learned_layer_depends_on_what_it_says_and_on_nothing_else(name: str) -> None:
    asked = Settings(**ASKED[name])
    picture = explore(noise(48, 48), asked).picture
    for changed, value in OTHERWISE.items():
        other = explore(noise(48, 48), replace(asked, **{changed: value})).picture
        assert torch.equal(picture, other) == (changed not in depends_on(asked)), changed


def test_a_kernel_that_does_not_apply_refuses_nothing() -> None:
    """11 x 11 taps at this size would be too many; the network's own 3 x 3 are not."""
    run = learned("v1", noise(800, 800), kernel_size=(11, 11))
    assert run.sampling.kernel.size == (3, 3)
