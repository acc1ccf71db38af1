"""Records find their layer by name."""

from __future__ import annotations

import pytest

from deformviz.checkpoints import Layer, find_layers
from deformviz.inspection.matching import match_layers, same_names


def packs(*names: str) -> list[Layer]:
    """mmcv layers of these names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in names:
        shapes |= {f"{name}.weight": (8, 8, 3, 3), f"{name}.conv_offset.weight": (18, 8, 3, 3)}
    return find_layers(shapes)


def matched(names: list[str], layers: list[Layer]) -> list[str | None]:
    return [None if layer is None else layer.name for layer in match_layers(names, layers)]


@pytest.mark.parametrize(
    ("records", "file", "expected"),
    [
        (["a.conv", "b.conv"], ["a.conv", "b.conv"], ["a.conv", "b.conv"]),
        (["a", "a (2nd call)", "a (13th call)"], ["a"], ["a", "a", "a"]),
        (["a.x", "b.x"], ["module.a.x", "module.b.x"], ["module.a.x", "module.b.x"]),
        (["net.a.x", "net.b.x"], ["a.x", "b.x"], ["a.x", "b.x"]),
        # The wrapper that suits most: "b.x" has no layer, though "old.b.x" ends alike.
        (["a.x", "b.x", "c.x"], ["m.a.x", "m.c.x", "old.b.x"], ["m.a.x", None, "m.c.x"]),
        # Two wrappers suit equally well: nothing tells which.
        (["a.x"], ["student.a.x", "teacher.a.x"], [None]),
        (["a.x"], ["other.y"], [None]),
        ([], ["a"], []),
    ],
)
def test_names_and_wrappers(
    records: list[str], file: list[str], expected: list[str | None]
) -> None:
    assert matched(records, packs(*file)) == expected


def test_levels_are_of_one_layer() -> None:
    layers = find_layers(
        {
            "neck.0.sampling_offsets.weight": (4 * 3 * 4 * 2, 32),
            "neck.0.attention_weights.weight": (4 * 3 * 4, 32),
            "neck.0.value_proj.weight": (32, 32),
            "neck.0.output_proj.weight": (32, 32),
        }
    )
    names = [f"neck.0 level {level}" for level in range(3)] + ["neck.0 level 0 (2nd call)"]
    assert [layer is layers[0] for layer in match_layers(names, layers)] == [True] * 4


def test_two_layers_of_one_kernel_take_turns() -> None:
    layers = find_layers(
        {
            "block.conv2.weight": (8, 8, 3, 3),
            "block.conv2.weight_diff": (8, 8, 3, 3),
            "block.conv2.offset_s.weight": (18, 8, 3, 3),
            "block.conv2.offset_l.weight": (18, 8, 3, 3),
            "block.conv2.weight_gamma": (8, 1, 1, 1),
            "block.conv2.weight_beta": (8, 1, 1, 1),
            "block.conv2.pre_context.weight": (8, 8, 1, 1),
            "block.conv2.pre_context.bias": (8,),
        }
    )
    assert len(layers) == 2
    names = ["block.conv2", "block.conv2 (2nd call)", "block.conv2 (3rd call)"]
    found = match_layers(names, layers)
    assert found == [layers[0], layers[1], layers[0]]


def test_a_kernel_that_is_computed_is_found_by_the_module_that_holds_it() -> None:
    (layer,) = find_layers(
        {
            "block3.conv1.regular_conv.weight": (8, 8, 3, 3),
            "block3.conv1.offset_conv.weight": (18, 8, 3, 3),
        }
    )
    assert match_layers(["block3.conv1"], [layer]) == [layer]


def test_names_of_two_files() -> None:
    assert same_names(["module.a", "module.b"], ["b", "a", "c"]) == {
        "module.a": "a",
        "module.b": "b",
    }
