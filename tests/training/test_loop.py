"""Trainings: what is told while they run, and how they end."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from deformviz.training import EQUAL_TIME, TASKS, Moment, train

SHORT: dict[str, dict[str, Any]] = {
    name: {"steps": min(task.knobs["steps"].values)} for name, task in TASKS.items()
}


def after(steps: int) -> Any:
    """A `stop` that lets so many steps pass."""
    left = iter(range(steps))
    return lambda: next(left, None) is None


def weights(moment: Moment) -> dict[str, torch.Tensor]:
    assert moment.trained is not None
    return {
        f"{name}/{key}": tensor
        for name, state in moment.trained.weights.items()
        for key, tensor in state.items()
    }


@pytest.mark.parametrize("name", TASKS)
def test_moments_tell_of_each_network_and_layer(name: str) -> None:
    moments = list(train(name, SHORT[name], stop=after(4), moments=SHORT[name]["steps"]))
    assert [moment.step for moment in moments] == [0, 1, 2, 3, 4, 4]
    networks = list(TASKS[name].build(TASKS[name].settle()))
    for moment in moments:
        assert list(moment.scores) == networks
        assert all(0 <= score.accuracy <= 1 for score in moment.scores.values())
        assert all(math.isfinite(score.loss) for score in moment.scores.values())
        assert [s.name for s in moment.samplings] == [s.name for s in moments[0].samplings] != []
        assert moment.steps == SHORT[name]["steps"]
    assert [moment.trained is None for moment in moments] == [True] * 5 + [False]
    first = moments[0].samplings[0]
    assert (first.offset == 0).all()
    seconds = [moment.seconds for moment in moments]
    assert seconds == sorted(seconds)
    assert math.isnan(moments[0].remaining)
    assert moments[2].remaining > moments[2].seconds  # far from the end


def test_a_seed_trains_the_same_and_another_does_not() -> None:
    runs = [list(train("shifts", SHORT["shifts"], seed, stop=after(3)))[-1] for seed in (0, 0, 1)]
    one, again, other = map(weights, runs)
    for key, tensor in one.items():
        torch.testing.assert_close(tensor, again[key])
    assert any(not torch.equal(tensor, other[key]) for key, tensor in one.items())


def test_the_caller_keeps_its_own_random_numbers() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    list(train("regions", SHORT["regions"], stop=after(1)))
    assert torch.equal(torch.rand(2), expected)


def test_a_training_stopped_at_once_gives_first_weights() -> None:
    first, last = train("regions", SHORT["regions"], seed=4, stop=lambda: True)
    assert first.step == last.step == 0
    assert last.trained is not None
    with torch.random.fork_rng():
        torch.manual_seed(4)
        built = TASKS["regions"].build(TASKS["regions"].settle())
    for name, net in built.items():
        for key, tensor in net.state_dict().items():
            assert torch.equal(tensor, last.trained.weights[name][key])


def test_a_generator_that_is_left_trains_no_further() -> None:
    moments = train("regions", SHORT["regions"], moments=100)
    assert next(moments).step == 0
    assert next(moments).step == 1
    moments.close()
    assert list(moments) == []


def test_samplings_are_of_the_moment() -> None:
    """Those of an earlier moment do not change as the network learns on."""
    moments = train("shifts", SHORT["shifts"], moments=100)
    first = next(moments)
    before = first.samplings[0].offset.clone()
    later = [next(moments) for _ in range(3)][-1]
    assert torch.equal(first.samplings[0].offset, before)
    assert not torch.equal(later.samplings[0].offset, before)
    moments.close()


def test_equal_time_is_a_third_network_that_takes_more_steps() -> None:
    knobs = SHORT["scale"] | {"twin": "equal time"}
    *_, last = train("scale", knobs, stop=after(2), moments=1)
    assert list(last.scores) == ["deformable", "plain", EQUAL_TIME]
    assert last.trained is not None
    steps = {
        name: int(state["norms.0.num_batches_tracked"])
        for name, state in last.trained.weights.items()
    }
    assert steps["deformable"] == steps["plain"] == 2
    assert steps[EQUAL_TIME] >= 2


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match=r"task must be one of scale, .*; got 'ocr'"):
        next(train("ocr"))
    with pytest.raises(ValueError, match="kernel must be one of 3, 5; got 4"):
        next(train("scale", {"kernel": 4}))
