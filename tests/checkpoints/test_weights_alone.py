"""What the weights of a file say without an input."""

from __future__ import annotations

import pytest
import torch
from layouts import LAYOUTS, Shapes, conv, norm, pack
from restated import normal, only
from torch import Tensor

from deformviz.checkpoints import (
    Layer,
    dependence,
    find_layers,
    is_constant,
    is_untrained,
    static_sampling,
)

State = dict[str, Tensor]


def zeros(shapes: Shapes) -> State:
    return {key: torch.zeros(shape) for key, shape in shapes.items()}


def modulated(rows: int = 54) -> tuple[Layer, State]:
    shapes = pack("c", (4, 8, 3, 3), rows, "conv_offset", bias=True)
    return only(shapes, "mmcv DCNv2"), zeros(shapes)


# ---- the pattern of the bias


def test_the_bias_is_everywhere_the_same_offset() -> None:
    layer, state = modulated()
    state["c.conv_offset.weight"] = normal(54, 8, 3, 3).float()  # of no influence
    state["c.conv_offset.bias"] = torch.arange(54.0)
    s = static_sampling(layer, state, (6, 5))
    assert (s.name, s.input_size, s.output_size) == ("c", (6, 5), (6, 5))
    assert s.offset[1, 4, :, 0, 0].tolist() == [18 + 8, 18 + 9]  # group 1, tap 4: dy, dx
    assert torch.equal(s.offset, s.offset[..., :1, :1].expand_as(s.offset))
    assert s.mask is not None
    torch.testing.assert_close(s.mask[1, 4], torch.full((6, 5), 36.0 + 9 + 4).sigmoid())
    assert s.input is None


def test_geometry_that_the_file_does_not_hold_can_be_given() -> None:
    layer, state = modulated()
    s = static_sampling(layer, state, (9, 9), stride=2, dilation=2)
    assert s.kernel.padding == (2, 2)
    assert s.output_size == (5, 5)
    assert s.points_at(1, 1)[0, 0].tolist() == [0, 0]
    assert static_sampling(layer, state, (9, 9), padding=0).output_size == (7, 7)


def test_a_mask_convolution_of_its_own_has_its_bias_too() -> None:
    shapes = conv("c.offset_conv", (18, 8, 3, 3)) | conv("c.modulator_conv", (9, 8, 3, 3))
    shapes |= conv("c.regular_conv", (4, 8, 3, 3))
    layer, state = only(shapes, "developer0hye"), zeros(shapes)
    assert static_sampling(layer, state, (4, 4)).mask_at(1, 1).unique().tolist() == [1.0]
    state["c.modulator_conv.bias"][3] = 100.0
    assert static_sampling(layer, state, (4, 4)).mask_at(1, 1)[0].tolist() == [1, 1, 1, 2] + [1] * 5


def test_attentions_star_is_drawn_about_every_pixel() -> None:
    shapes = LAYOUTS["deformable attention"].shapes
    layer, state = only(shapes, "deformable attention"), zeros(shapes)
    bias = torch.zeros(8, 4, 4, 2)  # head, level, point, (x, y)
    bias[1, 2, 3] = torch.tensor([3.0, -4.0])
    state["transformer.encoder.layers.0.self_attn.sampling_offsets.bias"] = bias.flatten()
    s = static_sampling(layer, state, (6, 5), level=2)
    assert s.points_at(2, 3)[1].tolist() == [[2.0, 3.0]] * 3 + [[2.0 - 4.0, 3.0 + 3.0]]
    assert s.mask is not None
    assert s.mask.unique().tolist() == [1 / 16]
    assert static_sampling(layer, state, (6, 5), level=0).offset.abs().max() == 0


def test_every_family_with_a_bias_has_a_static_pattern() -> None:
    for name, layout in LAYOUTS.items():
        layer = next(one for one in find_layers(layout.shapes) if one.family == name)
        state = {key: 0.1 * torch.ones(shape) for key, shape in layout.shapes.items()}
        if name == "VFNet":
            with pytest.raises(ValueError, match="give base"):
                static_sampling(layer, state, (12, 10))
            continue
        s = static_sampling(layer, state, (12, 10))
        assert s.groups in (layer.offset_groups, 1), name
        assert s.taps == layer.points, name
        assert s.points().isfinite().all(), name
        expected = tuple(layer.shapes["weight"][2:]) if "Kernels" in name else (12, 10)
        assert s.input_size == expected, name


def test_behind_a_normalisation_its_bias_stands_for_the_convolutions() -> None:
    shapes = conv("s.offset_conv", (6, 4, 3, 3))
    shapes |= conv("s.dsc_conv_x", (3, 4, 3, 1)) | conv("s.dsc_conv_y", (3, 4, 1, 3))
    shapes |= conv("s.gn_offset", (6,))
    layer, state = only(shapes, "DSCNet"), zeros(shapes)
    state["s.offset_conv.bias"] += 5.0
    state["s.gn_offset.bias"] = torch.tensor([0.5, 9.0, -0.25, 9.0, 9.0, 9.0])
    s = static_sampling(layer, state, (9, 9))
    steps = torch.tensor([0.5, 0.0, -0.25]).tanh()
    torch.testing.assert_close(s.offset[0, :, 0, 4, 4], steps)
    assert s.offset[0, :, 1, 1:-1, 1:-1].abs().max() == 0  # at the border taps are clamped


def test_a_missing_tensor_is_named() -> None:
    layer, state = modulated()
    del state["c.conv_offset.bias"]
    with pytest.raises(ValueError, match=r"'c\.conv_offset\.bias', which is not given"):
        static_sampling(layer, state, (4, 4))


# ---- how far offsets follow the input


def test_dependence_is_the_norm_of_each_taps_rows() -> None:
    layer, state = modulated()
    weight = normal(54, 8, 3, 3).float()
    state["c.conv_offset.weight"] = weight
    found = dependence(layer, state)
    assert found.shape == (2, 9, 2)
    for g in range(2):
        for k in range(9):
            for axis in (0, 1):
                row = weight[18 * g + 2 * k + axis]
                assert found[g, k, axis] == pytest.approx(float((row**2).sum() ** 0.5), rel=1e-5)


def test_dependence_follows_the_order() -> None:
    """DCNv3 stores (dx, dy), column by column."""
    shapes = (
        conv("d.offset", (36, 16)) | conv("d.mask", (18, 16)) | conv("d.dw_conv.0", (16, 1, 3, 3))
    )
    layer = only(shapes, "DCNv3").override(offset_groups=2)
    state = zeros(shapes)
    state["d.offset.weight"][:, 0] = torch.arange(36.0)
    found = dependence(layer, state)
    for g, i, j in [(0, 0, 0), (0, 0, 2), (1, 2, 1)]:
        stored = g * 18 + 2 * (j * 3 + i)
        assert found[g, 3 * i + j].tolist() == [stored + 1, stored]


def test_dependence_of_one_network_for_all_groups() -> None:
    shapes = LAYOUTS["DAT"].shapes
    layer, state = only(shapes, "DAT"), zeros(shapes)
    state["stages.2.attns.1.conv_offset.3.weight"][0] += 1.0
    assert dependence(layer, state).tolist() == [[[pytest.approx(128**0.5), 0.0]]] * 3


def test_dependence_needs_an_offset_convolution() -> None:
    layout = LAYOUTS["VFNet"]
    with pytest.raises(ValueError, match="no offset convolution"):
        dependence(only(layout.shapes, "VFNet"), zeros(layout.shapes))


# ---- training


def test_a_new_layer_is_untrained() -> None:
    layer, state = modulated()
    state["c.weight"] += 1.0
    assert is_untrained(layer, state)
    assert is_constant(layer, state)


@pytest.mark.parametrize(("part", "constant"), [("weight", False), ("bias", True)])
def test_one_number_is_training(part: str, constant: bool) -> None:
    layer, state = modulated()
    state[f"c.conv_offset.{part}"].view(-1)[3] = 1e-6
    assert not is_untrained(layer, state)
    assert is_constant(layer, state) == constant


def test_a_trained_mask_is_training() -> None:
    shapes = conv("c.offset_conv", (18, 8, 3, 3)) | conv("c.modulator_conv", (9, 8, 3, 3))
    shapes |= conv("c.regular_conv", (4, 8, 3, 3))
    layer, state = only(shapes, "developer0hye"), zeros(shapes)
    assert is_untrained(layer, state)
    state["c.modulator_conv.bias"][0] = 1.0
    assert not is_untrained(layer, state)


def test_what_has_no_offset_convolution_is_neither() -> None:
    shapes = conv("c.sfc_h", (4, 4, 1, 1)) | {"c.sfc_h.offset": (1, 8, 1, 1)}
    layer = only(shapes, "CycleMLP")
    assert not is_untrained(layer, zeros(shapes))
    assert not is_constant(layer, zeros(shapes))


def test_half_precision_weights_are_read() -> None:
    layer, state = modulated()
    half = {key: tensor.half() for key, tensor in state.items()}
    half["c.conv_offset.bias"] += 0.5
    assert static_sampling(layer, half, (4, 4)).offset.unique().tolist() == [0.5]


def test_a_snake_with_running_statistics_has_a_pattern() -> None:
    shapes = conv("s.offset_conv", (6, 4, 3, 3)) | norm("s.bn", 6)
    shapes |= conv("s.dsc_conv_x", (3, 4, 3, 1)) | conv("s.dsc_conv_y", (3, 4, 1, 3))
    layer, state = only(shapes, "DSCNet, first release"), zeros(shapes)
    state["s.bn.bias"] += 0.5
    s = static_sampling(layer, state, (9, 9))
    torch.testing.assert_close(s.offset[0, 0, 0, 4, 4], torch.tensor(0.5).tanh())
