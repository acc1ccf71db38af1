"""The app's own lessons: both languages, and what their texts count is true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch
import torchvision
from torch import nn

from deformviz import Kernel
from deformviz.lessons import BUILT_IN, Lesson, Step, read_lessons
from deformviz.operators import deform_conv2d_sampling
from deformviz.operators.spatial_shift import BORDERS

LESSONS = {lesson.name: lesson for lesson in read_lessons([BUILT_IN])}
STEPS = [(lesson, step) for lesson in LESSONS.values() for step in lesson.steps]


def texts(lesson: Lesson) -> Iterator[dict[str, str]]:
    """Every text of a lesson but short answers."""
    yield from (lesson.title, lesson.learn)
    for step in lesson.steps:
        yield from (step.title, step.text)
        for task in step.tasks:
            assert task.hint is not None
            assert task.said is not None
            yield from (task.ask, task.hint, task.said)


def test_there_are_at_least_nine_in_a_good_order() -> None:
    assert list(LESSONS)[:9] == [
        "why-move-the-taps",
        "from-offset-to-point",
        "bilinear-by-hand",
        "the-mask",
        "dilated-and-ordinary",
        "regions-choose-filters",
        "telling-it-where",
        "five-shifts",
        "reading-a-sick-checkpoint",
    ]


@pytest.mark.parametrize("name", list(LESSONS))
def test_every_text_is_there_in_both_languages(name: str) -> None:
    for text in texts(LESSONS[name]):
        assert set(text) == {"en", "zh"}
        assert re.search("[\u4e00-\u9fff]", text["zh"]) or not re.search("[A-Za-z]{3}", text["en"])
        assert not re.search("[\u4e00-\u9fff]", text["en"])


@pytest.mark.parametrize("name", list(LESSONS))
def test_both_languages_have_the_same_numbers_and_lights(name: str) -> None:
    for text in texts(LESSONS[name]):
        for marks in (r"\{\w+(?::\d)?\}", r"\(light:[^)]*\)"):
            english, chinese = (sorted(re.findall(marks, text[each])) for each in ("en", "zh"))
            assert english == chinese


@pytest.mark.parametrize("name", list(LESSONS))
def test_every_step_has_something_to_do(name: str) -> None:
    assert all(step.tasks for step in LESSONS[name].steps)


def test_no_fraction_is_written_by_hand() -> None:
    """Measured numbers come from the record; what is left is told here, each with its reason."""
    plain = {
        "0.01",  # the limit below which `shut masks` counts
        "1.000",  # how the table writes a mask of 1
    }
    for lesson in LESSONS.values():
        for text in texts(lesson):
            for each in text.values():
                assert set(re.findall(r"\d+\.\d+", each)) <= plain


# What the texts count


def answers(name: str) -> list[float]:
    """What is typed in a lesson, where the file has the number itself."""
    tasks = [task for step in LESSONS[name].steps for task in step.tasks]
    found = [task.done["is"] for task in tasks if task.done["kind"] == "number"]
    return [value for value in found if not isinstance(value, str)]


def test_the_channels_of_a_kernel() -> None:
    for size, channels in ((5, answers("why-move-the-taps")[0]), (3, 18)):
        layer = torchvision.ops.DeformConv2d(1, 1, size)
        layer(torch.rand(1, 1, 12, 12), torch.zeros(1, int(channels), 13 - size, 13 - size))


def moved(channel: int, by: float = 3.0, groups: int = 1) -> torch.Tensor:
    """Where the points go when one channel grows: [G * K, 2], by torchvision on two ramps."""
    rows, columns = torch.meshgrid(torch.arange(15.0), torch.arange(15.0), indexing="ij")
    offset = torch.zeros(1, 18 * groups, 15, 15)
    offset[0, channel] = by
    taps = []
    for g in range(groups):
        for k in range(9):
            weight = torch.zeros(1, groups, 3, 3)
            weight[0, g, k // 3, k % 3] = 1
            ramps = (each.expand(1, groups, -1, -1) for each in (rows, columns))
            taps.append(
                [
                    torchvision.ops.deform_conv2d(ramp, offset, weight, padding=1)[
                        0, 0, 7, 7
                    ].item()
                    for ramp in ramps
                ]
            )
    regular = torch.tensor([[7.0 - 1 + k // 3, 7.0 - 1 + k % 3] for k in range(9)] * groups)
    return torch.tensor(taps) - regular


def only(n: int, dy: float, dx: float, groups: int = 1) -> torch.Tensor:
    expected = torch.zeros(9 * groups, 2)
    expected[n] = torch.tensor([dy, dx])
    return expected


def test_which_channel_is_which() -> None:
    tasks = [task.done for step in LESSONS["from-offset-to-point"].steps for task in step.tasks]
    choice = next(done for done in tasks if done["kind"] == "choice")
    dx_of_3 = int(choice["options"][choice["right"]]["en"])
    assert torch.allclose(moved(dx_of_3), only(3, 0, 3), atol=1e-4)
    dy_of_8, dy_of_0_in_group_1 = map(int, answers("from-offset-to-point"))
    assert torch.allclose(moved(dy_of_8), only(8, 3, 0), atol=1e-4)
    assert torch.allclose(moved(dy_of_0_in_group_1, groups=2), only(9, 3, 0, 2), atol=1e-4)
    drag = next(done for done in tasks if done["kind"] == "tap moved")
    assert torch.allclose(moved(9), only(drag["tap"], drag["dy"], drag["dx"]), atol=1e-4)


def test_the_mask_of_a_new_layer_and_its_channels() -> None:
    channels, new = answers("the-mask")
    assert channels == sum(each.numel() for each in (torch.zeros(9, 2), torch.zeros(9)))
    assert new == torch.zeros(()).sigmoid()


def test_weights() -> None:
    offsets = nn.Conv2d(64, 18, 3, bias=False).weight.numel()
    plain = nn.Conv2d(64, 64, 3, bias=False).weight.numel()
    assert answers("dilated-and-ordinary")[-1] == offsets
    assert answers("regions-choose-filters") == [8 * plain]
    said = LESSONS["dilated-and-ordinary"].steps[-1].tasks[0].said
    assert said is not None
    assert f"{offsets:,}" in said["en"]
    assert f"{plain:,}" in said["en"]
    assert f"{100 * offsets / plain:.0f} %" in said["en"]


def test_dilation_as_offsets() -> None:
    dilated = Kernel.of(3, padding=4, dilation=4).centred_taps()
    regular = Kernel.of(3, padding=1).centred_taps()
    away = dilated - regular
    assert torch.equal(away, 3 * regular)
    assert answers("dilated-and-ordinary")[0] == away[0, 0]
    assert dilated[:, 1].max() - dilated[:, 1].min() + 1 == 9  # "9 pixels wide"


def test_only_slicing_keeps() -> None:
    task = LESSONS["five-shifts"].steps[2].tasks[1].done
    right = task["options"][task["right"]]["en"]
    assert [name for name, borders in BORDERS.items() if right in borders] == ["slice"]


def test_half_a_new_layer() -> None:
    """A layer of version 2 whose masks are 0.5 gives half of the plain convolution."""
    x, weight = torch.rand(1, 2, 9, 9), torch.rand(3, 2, 3, 3)
    zero, mask = torch.zeros(1, 18, 9, 9), torch.full((1, 9, 9, 9), 0.5)
    new = deform_conv2d_sampling(x, zero, weight, padding=1, mask=mask).output
    plain = nn.functional.conv2d(x, weight, padding=1)[0]
    assert new is not None
    assert torch.allclose(new, plain / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("lesson", "step"), STEPS, ids=[f"{lesson.name}: {step.title['en']}" for lesson, step in STEPS]
)
def test_taps_are_those_that_there_are(lesson: Lesson, step: Step) -> None:
    """Of conditions and lights; the kernels' sizes are in the views."""
    size = step.view.get("kernel", "3x3").split("x")
    taps = int(size[0]) * int(size[1])
    if step.view.get("operator") == "Spatial shift":
        taps = 4  # a point for each group
    named = [task.done["tap"] for task in step.tasks if "tap" in task.done]
    named += [int(k) for text in step.text.values() for k in re.findall(r"light:tap=(\d+)", text)]
    assert all(tap < taps for tap in named)
