"""What a person may correct, and that no correction can contradict the shapes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layouts import LAYOUTS, Shapes, conv, pack

from deformviz.checkpoints import Layer, find_layers, to_canonical


def layer_of(name: str) -> Layer:
    return next(one for one in find_layers(LAYOUTS[name].shapes) if one.family == name)


def test_what_was_said_is_no_longer_assumed() -> None:
    layer = layer_of("torchvision, v1")
    assert layer.assumed == {"family", "order"}
    other = layer.override(order="blocked")
    assert (other.order, other.assumed) == ("blocked", {"family"})
    assert layer.order == "interleaved", "the layer itself is as it was"


def test_saying_what_was_assumed_confirms_it() -> None:
    layer = layer_of("developer0hye").override(mask_activation="2sigmoid")
    assert layer.mask_activation == "2sigmoid"
    assert layer.assumed == {"relative_to"}


def doubtful() -> Layer:
    (layer,) = find_layers(pack("c", (32, 48, 3, 3), 108, "conv_offset", bias=False))
    return layer


def test_the_family_of_doubtful_rows_settles_their_groups_and_mask() -> None:
    v1 = doubtful().override(family="mmcv DCNv1")
    assert (v1.offset_groups, v1.mask_activation, v1.assumed) == (6, None, frozenset())
    v2 = v1.override(family="mmcv DCNv2")
    assert (v2.offset_groups, v2.mask_activation, v2.assumed) == (4, "sigmoid", frozenset())


def test_groups_that_the_rows_do_not_have_are_refused_with_those_that_fit() -> None:
    with pytest.raises(ValueError, match=r"offset_groups=6 does not fit .*108.*offset_groups=4"):
        doubtful().override(offset_groups=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": "random"}, "order must be one of interleaved"),
        ({"mask_activation": "tanh"}, "mask_activation must be one of sigmoid"),
        ({"mask_activation": None}, "has a mask.*override the family"),
        ({"outside": "reflect"}, "outside must be one of zero"),
        ({"relative_to": "reference"}, "mmcv DCNv2 is relative to"),
        ({"scale": float("nan")}, "scale must be a finite number"),
        ({"scale": "2"}, "scale must be a finite number"),
        ({"kernel_size": (5, 5)}, r"kernel_size=\(5, 5\) does not fit"),
        ({"offset_groups": 0}, "offset_groups=0 does not fit"),
        ({"levels": 2}, "levels=2 does not fit"),
        ({"name": 3}, "name must be a text"),
        ({"colour": "red"}, "colour cannot be overridden: take family"),
        ({"assumed": ()}, "assumed cannot be overridden"),
        ({"family": "mmcv DCNv9"}, "unknown family"),
        ({"family": 3}, "family must be a name"),
        ({"family": "DCNv3"}, "has no .*which DCNv3 needs"),
        ({"family": "RepPoints"}, "has no hidden.weight, which RepPoints needs"),
    ],
)
def test_what_contradicts_the_shapes_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        doubtful().override(**changes)


def test_v1_has_no_mask_to_activate() -> None:
    with pytest.raises(ValueError, match="has no mask"):
        layer_of("mmcv DCNv1").override(mask_activation="sigmoid")


def test_heads_and_points_of_attention_follow_from_each_other() -> None:
    layer = layer_of("deformable attention")
    assert (layer.offset_groups, layer.levels, layer.points) == (8, 4, 4)
    other = layer.override(offset_groups=16)
    assert (other.offset_groups, other.levels, other.points) == (16, 4, 2)
    assert other.assumed == frozenset(), (
        "with the levels known, heads say how many points there are"
    )
    with pytest.raises(ValueError, match="offset_groups=16, points=4 does not fit"):
        layer.override(offset_groups=16, points=4)


def test_attention_without_a_level_embedding_can_be_told_its_levels() -> None:
    shapes: Shapes = conv("a.sampling_offsets", (64, 256)) | conv("a.attention_weights", (32, 256))
    (layer,) = find_layers(shapes)
    assert (layer.offset_groups, layer.levels, layer.points) == (8, 1, 4)
    other = layer.override(offset_groups=16, levels=1)
    assert (other.offset_groups, other.levels, other.points) == (16, 1, 2)
    assert other.assumed == frozenset()


def test_a_snake_can_be_turned() -> None:
    layer = layer_of("DSCNet").override(kernel_size=(9, 1))
    assert (layer.kernel_size, layer.assumed) == ((9, 1), {"scale"})
    with pytest.raises(ValueError, match="kernel_size"):
        layer.override(kernel_size=(3, 3))


def test_columns_need_a_kernel() -> None:
    with pytest.raises(ValueError, match="no columns"):
        layer_of("deformable attention").override(order="columns-xy")


def test_lucidrains_first_releases_can_be_told() -> None:
    layer = layer_of("lucidrains deformable attention").override(relative_to="key grid, transposed")
    assert layer.relative_to == "key grid, transposed"
    assert layer.assumed == {"scale"}


# ---- any change

ANYTHING = st.one_of(
    st.none(),
    st.integers(-2, 20),
    st.floats(),
    st.text(max_size=5),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["interleaved", "blocked", "columns", "columns-xy", "sigmoid", "softmax"]),
    st.sampled_from(["clamp", "clamp-double", "inside", "zero", "tap", "grid centre", "centre"]),
    st.sampled_from(list(LAYOUTS)),
)
FIELDS = st.sampled_from(
    ["family", "kernel_size", "offset_groups", "order", "mask_activation", "outside",
     "relative_to", "scale", "points", "levels", "name", "nonsense"]
)  # fmt: skip


@given(st.sampled_from(list(LAYOUTS)), st.dictionaries(FIELDS, ANYTHING, max_size=3))
def test_an_override_is_refused_or_gives_a_layer_that_still_fits_its_shapes(
    name: str, changes: dict[str, Any]
) -> None:
    layer = layer_of(name)
    try:
        other = layer.override(**changes)
    except ValueError:
        return
    assert all(getattr(other, field) == value for field, value in changes.items())
    assert not set(changes) & other.assumed
    assert other.in_channels % other.offset_groups == 0
    points = other.offset_groups * other.points * other.levels
    if "offset.weight" in other.shapes and other.row.layout != "groups as images":
        rows = other.shapes["offset.weight"][0]
        joint = other.mask_activation is not None and "mask.weight" not in other.shapes
        assert 0 <= rows - (3 if joint else 2) * points < (8 if other.family == "DCNv4" else 1)
    if "mask.weight" in other.shapes:
        assert other.shapes["mask.weight"][0] == points


@given(
    st.sampled_from(["mmcv DCNv2", "torchvision, v2", "blog v2", "detectron2 DCNv1"]),
    st.sampled_from(["interleaved", "interleaved-xy", "blocked", "blocked-xy", "columns"]),
    st.sampled_from(["zero", "clamp", "clamp-double", "inside"]),
)
def test_what_was_overridden_converts(name: str, order: Any, outside: Any) -> None:
    layer = layer_of(name).override(order=order, outside=outside)
    raw = torch.zeros(1, layer.shapes["offset.weight"][0], 4, 4)
    mask = None
    if "mask.weight" in layer.shapes:
        mask = torch.zeros(1, layer.shapes["mask.weight"][0], 4, 4)
    canonical = to_canonical(layer, raw, mask, padding=1, size=(4, 4))
    assert canonical.offset.shape == (1, layer.offset_groups, layer.points, 2, 4, 4)
