"""The networks that ship with deformviz do what is told of them."""

from __future__ import annotations

import pytest
import torch

from deformviz.training import FOLDER, TASKS, shipped
from deformviz.training.measured import MEASURES, by_object
from deformviz.training.numbers import RUNS, SEEDS, mean_and_spread, measure, read, table
from deformviz.training.task import Batch

NAMES = sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def test_each_task_ships_a_network() -> None:
    assert set(NAMES) >= {*TASKS, "scale-v1", "places"}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_file_is_small_and_says_where_it_comes_from(name: str) -> None:
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 300_000
    trained = shipped(name)
    assert trained.seed == 0
    assert trained.step == trained.knobs["steps"]
    assert trained.origin["command"].startswith(f"python -m deformviz.training {trained.task}")
    assert set(trained.origin) == {"deformviz", "torch", "command", "commit"}
    assert f"{name}.safetensors" in (FOLDER.parent / "README.md").read_text(encoding="utf-8")


def test_there_is_none_of_another_name() -> None:
    with pytest.raises(ValueError, match=r"no trained network '../README': expected one of"):
        shipped("../README")


@pytest.mark.parametrize("name", ["scale", "scale-v1"])
def test_taps_spread_with_the_object(name: str) -> None:
    """Table 2 of arXiv 1703.06211, in its shape: small < medium < large, ground below large."""
    trained = shipped(name)
    found = MEASURES["scale"](trained.network(), trained.knobs)
    for layer in (2, 3):
        small, medium, large, ground = (
            found[f"dilation, layer {layer}, {n}"] for n in ("small", "medium", "large", "ground")
        )
        assert small < medium < large
        assert large - small > 0.3
        assert abs(ground - 1) < large - 1
    shown = measure(trained)["deformable, shown"]
    assert shown > 0.8


def test_coordinates_reach_unseen_places() -> None:
    found = measure(shipped("coordinates"))
    assert found["CoordConv, unseen places"] > 0.95
    assert found["plain, unseen places"] < 0.05


def test_a_picture_gives_its_place() -> None:
    found = measure(shipped("places"))
    assert found["CoordConv, shown"] > 0.9
    assert found["CoordConv, unseen places"] > found["plain, unseen places"] + 0.2


def test_the_guide_follows_the_regions() -> None:
    assert measure(shipped("regions"))["guide, agreement with regions"] > 0.8


def test_shifts_have_spread() -> None:
    found = measure(shipped("shifts"))
    assert found["Active Shift, shown"] > 0.9
    assert all(found[f"shift, layer {i}, standard deviation"] > 0.5 for i in (1, 2, 3))


# The table of five seeds.


def test_the_table_has_all_runs_and_seeds() -> None:
    numbers = read()
    assert list(numbers) == list(RUNS)
    for found in numbers.values():
        for values in found.values():
            assert len(values) == len(SEEDS)
            assert mean_and_spread(values) in table(numbers)
    each = [torch.tensor(numbers["scale"][f"dilation, layer 3, {n}"]) for n in ("small", "large")]
    small, large = (f"{v.mean():.2f} ± {v.std():.2f}" for v in each)
    (row,) = (
        line for line in table(numbers).splitlines() if line.startswith("| dilation, layer 3")
    )
    assert row.split(" | ")[1] == small
    assert row.split(" | ")[3] == large


def test_the_effect_is_in_the_table_of_five_seeds() -> None:
    """By more than it varies from seed to seed, in the last two layers."""
    found = {name: torch.tensor(values) for name, values in read()["scale"].items()}
    for layer in (2, 3):
        small, large = (found[f"dilation, layer {layer}, {n}"] for n in ("small", "large"))
        growth = large - small
        assert growth.min() > 0
        assert growth.mean() > 2 * growth.std()


def test_a_mean_over_objects_takes_each_cell_once() -> None:
    target = torch.tensor([[[0, 10], [-1, 3]], [[10, 10], [5, 10]]])
    batch = Batch(torch.zeros(2, 3, 8, 8), target, {"size": torch.tensor([0, 2])})
    values = [torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[5.0, 6], [7, 8]])]
    found = by_object(values, batch)
    assert found["small"] == (1 + 4) / 2
    assert found["large"] == 7
    assert found["ground"] == pytest.approx((2 + 5 + 6 + 8) / 4)
