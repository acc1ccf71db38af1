"""What shipped networks learned, on any image: their last layer against second implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.analysis import recompute
from deformviz.explore import LEARNED, Exploration, Settings, explore
from deformviz.explore.learned import NETWORKS
from deformviz.training import shipped
from deformviz.viewer.scene import scene

V1, V2 = "Deformable Conv v1", "Deformable Conv v2"
ASKED: dict[str, dict[str, Any]] = {
    "v1": {"operator": V1, "field": LEARNED},
    "v2": {"operator": V2, "field": LEARNED, "mask": LEARNED},
    "offsets alone": {"operator": V2, "field": LEARNED, "mask": "one"},
    "mask alone": {"operator": V2, "field": "rotate", "mask": LEARNED, "mask_strength": 0.5},
    "DRConv": {"operator": "DRConv", "guide": LEARNED},
}


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def learned(name: str, image: np.ndarray, **others: Any) -> Exploration:
    return explore(image, Settings(**ASKED[name], **others))


@pytest.mark.parametrize("shape", [(64, 64), (50, 71), (9, 8)])
@pytest.mark.parametrize("name", ASKED)
def test_a_run_passes_its_own_checks(name: str, shape: tuple[int, int]) -> None:
    run = learned(name, noise(*shape))
    assert run.learned
    assert [check.claim for check in run.checks if not check.passed] == []
    assert run.picture.shape == (3, *run.sampling.output_size)


@pytest.mark.parametrize("name", ["v1", "v2", "offsets alone", "mask alone"])
def test_a_deformable_layer_equals_torchvision(name: str) -> None:
    s = learned(name, noise(60, 44)).sampling
    assert s.input is not None
    assert s.weight is not None
    expected = torchvision_deform_conv2d(
        s.input[None], s.offset.flatten(0, 2)[None], s.weight, s.bias, padding=1,
        mask=None if s.mask is None else s.mask.flatten(0, 1)[None],
    )  # fmt: skip
    torch.testing.assert_close(s.output, expected[0], rtol=1e-4, atol=1e-4)


def test_the_layer_is_the_networks_own() -> None:
    """Its output, handed on through the network's remaining layers, is the network's answer."""
    image = noise(64, 64)
    net = shipped(NETWORKS[V2].file).network()
    x = torch.tensor(image).movedim(2, 0)[None] / 255
    output = learned("v2", image).sampling.output
    assert output is not None
    with torch.no_grad():
        rest = net.head(net.norms[-1](output[None]).relu())  # type: ignore
        torch.testing.assert_close(rest, net(x), rtol=1e-4, atol=1e-4)


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
        {"operator": V1, "mask": LEARNED, "guide": LEARNED},
    ],
)
def test_what_an_operator_does_not_have_makes_no_difference(asked: dict[str, Any]) -> None:
    run = explore(noise(24, 24), Settings(**asked))
    plain = explore(noise(24, 24), Settings(operator=asked["operator"]))
    assert not run.learned
    assert torch.equal(run.picture, plain.picture)


def test_a_kernel_that_does_not_apply_refuses_nothing() -> None:
    """11 x 11 taps at this size would be too many; the network's own 3 x 3 are not."""
    run = learned("v1", noise(800, 800), kernel_size=(11, 11))
    assert run.sampling.kernel.size == (3, 3)
