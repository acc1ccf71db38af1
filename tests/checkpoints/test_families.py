"""The table itself: every row is whole, has a published layout, and finds that layout."""

from __future__ import annotations

import re

import pytest
from layouts import LAYOUTS, Layout

from deformviz.checkpoints import FAMILIES, Family, family_of, find_layers
from deformviz.checkpoints.family import Run
from deformviz.checkpoints.rules import RULES

ATTRIBUTES = {
    "family", "kernel_size", "offset_groups", "order", "mask_activation", "outside",
    "relative_to", "scale", "points", "levels",
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_row_is_whole(family: Family) -> None:
    assert family.name in LAYOUTS, "a new row needs a layout to be found in"
    assert re.search(r"/|(users|forks|variants) of", family.source)
    assert family.relative_to in RULES
    assert family.run == "" or family.run in Run.__args__
    assert family.assumed <= ATTRIBUTES
    assert re.compile(family.within)
    assert not next(iter(family.keys)).endswith("?"), "what a layer is found by is never missing"
    assert (family.mask_activation is None) or family.packing != "none"
    assert family_of(family.name) is family


def test_every_layout_is_of_a_row() -> None:
    assert [name for name in LAYOUTS if name not in {family.name for family in FAMILIES}] == []


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown family 'DCNv9'.*mmcv DCNv1"):
        family_of("DCNv9")


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_the_published_layout_is_found(name: str, layout: Layout) -> None:
    layers = {layer.name: layer for layer in find_layers(layout.shapes)}
    assert layout.name in layers
    layer = layers[layout.name]
    assert layer.family == name
    assert layer.kernel_size == layout.kernel
    assert layer.offset_groups == layout.groups
    assert layer.mask_activation == layout.mask
    assert layer.assumed == layout.assumed
    assert set(layer.tensors.values()) <= set(layout.shapes)
    assert {role: layout.shapes[key] for role, key in layer.tensors.items()} == layer.shapes
    row = family_of(name)
    given = (layer.order, layer.outside, layer.relative_to, layer.scale)
    assert given == (row.order, row.outside, row.relative_to, row.scale)


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_nothing_else_is_found_beside_it(name: str, layout: Layout) -> None:
    found = [layer.family for layer in find_layers(layout.shapes)]
    both = ["DetectoRS SAC, small", "DetectoRS SAC, large"]
    assert found == (both if name in both else [name])


@pytest.mark.parametrize("prefix", ["module.", "model.module.", "ema.student.0."])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_wrapper_before_the_names_changes_nothing_but_them(name: str, prefix: str) -> None:
    shapes = LAYOUTS[name].shapes
    bare = find_layers(shapes)
    wrapped = find_layers({prefix + key: shape for key, shape in shapes.items()})
    assert [layer.name for layer in wrapped] == [prefix + layer.name for layer in bare]
    assert [layer.assumed for layer in wrapped] == [layer.assumed for layer in bare]
    assert [layer.family for layer in wrapped] == [layer.family for layer in bare]
    assert [layer.shapes for layer in wrapped] == [layer.shapes for layer in bare]


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_without_one_of_its_tensors_it_is_no_longer_found(name: str, layout: Layout) -> None:
    """Names and shapes together: each required role is needed."""
    layer = next(layer for layer in find_layers(layout.shapes) if layer.family == name)
    required = [role for role in family_of(name).keys if not role.endswith("?")]
    for role in required:
        less = {k: v for k, v in layout.shapes.items() if k != layer.tensors[role]}
        assert name not in [other.family for other in find_layers(less)], role


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_with_offsets_of_another_number_it_is_no_longer_found(name: str, layout: Layout) -> None:
    layer = next(layer for layer in find_layers(layout.shapes) if layer.family == name)
    role = next((r for r in ("offset.weight", "offset", "guide.weight") if r in layer.tensors), "")
    if role == "" or name == "megvii DRConv":
        role = "weight"  # no offsets: the weight itself must have its axes
    key = layer.tensors[role]
    first, *rest = layout.shapes[key]
    wrong = layout.shapes | {key: (first + 1, *rest) if role != "weight" else (first,)}
    assert name not in [other.family for other in find_layers(wrong)]
