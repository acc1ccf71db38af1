"""What a lesson's step shows: its view, its numbers, and whether its text is true of both."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from deformviz.analysis import findings, terms_at
from deformviz.lessons import BUILT_IN, Lesson, Step, read_lessons, with_numbers
from deformviz.lessons.reading import Task
from deformviz.web import lesson_views, sick_network
from deformviz.web.asked import run
from deformviz.web.explore_tab import FIRST, FIRST_IMAGE, FIRST_SIDE
from deformviz.web.lesson_views import FIRST_ASKED, Views, check_step
from deformviz.web.link import from_query
from deformviz.web.numbers import SHELF, Shelf

LESSONS = {lesson.name: lesson for lesson in read_lessons([BUILT_IN], check_step)}
STEPS = [(lesson, step) for lesson in LESSONS.values() for step in lesson.steps]


def step_of(view: dict[str, str], **parts: Any) -> Step:
    return Step({"en": "a"}, {"en": "b"}, view, **parts)


@pytest.fixture(scope="module")
def views() -> Views:
    return Views("cpu")


def test_the_first_example_stands_in() -> None:
    assert FIRST_ASKED.settings == FIRST
    assert (FIRST_ASKED.example, FIRST_ASKED.side) == (FIRST_IMAGE, FIRST_SIDE)


@pytest.mark.parametrize(
    ("lesson", "step"), STEPS, ids=[f"{lesson.name}: {step.title['en']}" for lesson, step in STEPS]
)
def test_every_step_of_the_app_can_be_shown(views: Views, lesson: Lesson, step: Step) -> None:
    made = views.of(step, {})
    view = json.loads(made.text)
    assert made.numbers.keys() == step.numbers.keys()
    assert view["state"]["y"] == int(step.view.get("y", view["state"]["y"] or 0))
    for name in step.controls:  # whatever a control is moved to can be shown
        assert made.asked is not None
        value = {"guide": "by edges", "border": "keep"}.get(name)
        if value is not None:
            assert json.loads(views.of(step, {name: value}).text)["id"]


def test_a_tap_can_be_put_where_it_should_be_by_keys(views: Views) -> None:
    """Keys move it by a quarter of a pixel from where its offset has put it."""
    found = [(s, t.done) for _, s in STEPS for t in s.tasks if t.done["kind"] == "tap at"]
    assert found
    for step, done in found:
        names = {axis: f"point {axis} {done['tap']}" for axis in ("y", "x")}
        made = views.of(replace(step, numbers=step.numbers | names), {})
        left = [
            (with_numbers(done, made.numbers)[axis] - made.numbers[axis]) % 0.25 for axis in "yx"
        ]
        assert math.hypot(*(min(gap, 0.25 - gap) for gap in left)) < done["within"]


def test_a_step_is_made_once_and_again_when_its_numbers_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views, step = Views("cpu"), step_of({"side": "32", "seed": "5"})
    first = views.of(step, {})
    assert views.of(step, {}) is first
    held = {name: SHELF.get(name) for name in first.held}
    monkeypatch.setattr(lesson_views, "SHELF", Shelf())
    again = views.of(step, {})
    assert again is not first
    assert all(held.values())


def test_only_the_latest_views_are_kept() -> None:
    views = Views("cpu", most_bytes=1)
    one, other = (step_of({"side": "32", "seed": str(seed)}) for seed in range(2))
    first = views.of(one, {})
    assert views.of(one, {}) is first
    views.of(other, {})
    assert views.of(one, {}) is not first


def test_a_control_changes_the_run(views: Views) -> None:
    step = step_of({"operator": "Convolution", "side": "32"}, controls=("dilation",))
    made = views.of(step, {"dilation": "3"})
    assert made.asked is not None
    assert made.asked.dilation == 3
    for changes in ({"stride": "2"}, {"dilation": "99"}, {"dilation": "x"}, {"side": "1024"}):
        with pytest.raises(ValueError, match=r"has no control|left out"):
            views.of(step, changes)


def test_another_field_takes_its_own_strength(views: Views) -> None:
    step = step_of({"field": "rotate", "strength": "90", "side": "32"}, controls=("field",))
    made = views.of(step, {"field": "shear"})
    assert made.asked is not None
    assert (made.asked.field, made.asked.strength) == ("shear", None)


@pytest.mark.parametrize(
    ("view", "parts", "message"),
    [
        ({"operater": "DRConv"}, {}, "view has 'operater', which is not one of a link's names"),
        ({"operator": "DrConv"}, {}, "the view's operator was left out: expected one of"),
        ({"over": "colours"}, {}, "the view's over was left out"),
        ({"field": "zero", "strength": "5"}, {}, "the view's strength was left out"),
        ({"compare": "nothing"}, {}, "the view's compare was left out"),
        ({}, {"network": "healthy"}, "network must be one of sick; got 'healthy'"),
        ({"operator": "DRConv"}, {"network": "sick"}, "what the viewer shows of a network"),
        ({}, {"network": "sick", "controls": ("stride",)}, "a network has no controls"),
        ({}, {"controls": ("regions",)}, "controls of Deformable Conv v2 are image, operator"),
        ({}, {"controls": ("photo",)}, "got 'photo'"),
        (
            {},
            {"tasks": (Task({"en": "a"}, {"kind": "control", "name": "stride", "is": 2}),)},
            "its controls do not have 'stride', which a task asks for",
        ),
    ],
)
def test_what_there_is_not_is_refused(
    view: dict[str, str], parts: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_step(step_of(view, **parts))


# What the texts say of the pictures


def sampling_of(lesson: str, step: int, **changes: str) -> Any:
    view = LESSONS[lesson].steps[step - 1].view | changes
    link = from_query(view, FIRST_ASKED)
    assert link.problems == ()
    return run(link.asked, "cpu")[0].sampling


def test_numbers_are_those_of_the_operator(views: Views) -> None:
    """The typed answers, against the terms in float64 and the operator's own output."""
    step = LESSONS["bilinear-by-hand"].steps[2]
    made, s = views.of(step, {}), sampling_of("bilinear-by-hand", 3)
    n = made.numbers
    by_hand = sum(n[f"{a}"] * n[f"p{a}"] for a in "abcd")
    assert n["v"] == pytest.approx(by_hand, abs=1e-6)
    assert n["v"] == pytest.approx(float(s.output[0, 14, 12]), abs=1e-6)
    step = LESSONS["the-mask"].steps[0]
    n, terms = views.of(step, {}).numbers, terms_at(sampling_of("the-mask", 1), 64, 110)
    assert n["p"] == pytest.approx(n["w"] * n["m"] * n["x"])
    assert n["p"] == pytest.approx(float(terms.products[0, 4]))


def test_dilation_four_by_offsets_gives_the_same_output() -> None:
    plain = sampling_of("dilated-and-ordinary", 1, dilation="4")
    offsets = sampling_of("dilated-and-ordinary", 2, strength="3")
    assert torch.allclose(plain.output, offsets.output, atol=1e-6)
    compared = json.loads(Views("cpu").of(LESSONS["dilated-and-ordinary"].steps[2], {}).text)
    assert (
        compared["kept"]["header"]["kernel"]["dilation"] == [4, 4]
        if ("kernel" in compared["kept"]["header"])
        else compared["kept"]["header"]["dilation"] == [4, 4]
    )


def test_regions_go_from_dark_to_light_and_have_the_kernels_named() -> None:
    s = sampling_of("regions-choose-filters", 2)
    brightness = s.input.mean(dim=0)
    means = [float(brightness[s.region == r].mean()) for r in range(4)]
    assert means == sorted(means)
    middle = [float(s.weight[r, 0, 0, 2, 2]) for r in range(4)]
    assert middle[0] == 1
    assert middle[1] == pytest.approx(1 / 25)
    assert int(s.region[0, 0]) == 0  # the upper left corner
    assert (s.region[60:72, 40:60] == 0).float().mean() > 0.8  # the saucer
    assert (s.region[36:44, 86:100] == 1).float().mean() > 0.8  # the wood right of it


def test_one_region_hands_the_photo_on() -> None:
    s = sampling_of("regions-choose-filters", 3, regions="1")
    assert torch.allclose(s.output, s.input, atol=1e-6)


def test_no_weight_of_coordinates_is_a_plain_convolution() -> None:
    s = sampling_of("telling-it-where", 3, coordinate_weight="0")
    plain = torch.nn.functional.conv2d(
        s.input[:3][None], torch.full((3, 1, 3, 3), 1 / 9), padding=1, groups=3
    )
    assert torch.allclose(s.output, plain[0], atol=1e-6)


def test_what_is_up_is_read_from_below() -> None:
    s = sampling_of("five-shifts", 1)
    assert (s.points_at(40, 45)[:, 0] - torch.tensor([40, 45])).tolist() == [
        [3, 0], [-3, 0], [0, 3], [0, -3],
    ]  # fmt: skip
    assert (sampling_of("five-shifts", 4).points_at(94, 45)[0, 0]).tolist() == [94, 45]
    assert (sampling_of("five-shifts", 2, border="circular").points_at(94, 45)[0, 0, 0]) == 1


def test_the_taps_of_the_first_lesson_go_to_the_outline() -> None:
    """Edges are stronger where the points are than where the grid is."""
    s = sampling_of("why-move-the-taps", 3)
    gray = s.input.mean(dim=0)
    slope = torch.zeros_like(gray)
    slope[1:-1, 1:-1] = torch.hypot(
        gray[2:, 1:-1] - gray[:-2, 1:-1], gray[1:-1, 2:] - gray[1:-1, :-2]
    )
    slope = torch.nn.functional.avg_pool2d(slope[None], 5, 1, 2)[0]
    grid, points = [
        torch.stack([slope[int(y), int(x)] for y, x in places.round()]).mean()
        for places in (s.base_at(63, 91).reshape(-1, 2), s.points_at(63, 91)[0])
    ]
    assert points > 1.3 * grid


def test_each_layer_of_the_sick_network_has_its_illness() -> None:
    layers = [row.sampling for row in sick_network.run().layers]
    kinds = [[found.kind for found in findings(layer)] for layer in layers]
    assert [each[:1] for each in kinds] == [
        [], ["exploded"], ["dead"], ["mask saturated"], ["static"],
    ]  # fmt: skip
    exploded = findings(layers[1])[0]
    assert bool((exploded.map != 0).all())  # "everywhere"
    mean = layers[1].offset.norm(dim=2).mean()
    assert float(mean) == pytest.approx(exploded.number, abs=0.1)
    assert float(mean) > layers[1].input_size[1]  # "more than the map is wide"


def test_the_last_layer_is_a_convolution_of_dilation_two() -> None:
    blind = sick_network.run().layers[4].sampling
    twice = 2 * blind.kernel.centred_taps()
    points = blind.points_at(20, 25)[0] - torch.tensor([20.0, 25.0])
    assert torch.allclose(points, twice, atol=1e-5)
    assert torch.allclose(blind.points_at(5, 9)[0] - torch.tensor([5.0, 9.0]), twice, atol=1e-5)


def test_the_sound_layer_stays_on_the_map() -> None:
    sound = sick_network.run().layers[0].sampling
    size = torch.tensor(sound.input_size)[:, None, None]
    points = sound.offset[0] + sound.kernel.regular_grid(sound.output_size)
    inside = ((points >= 0) & (points <= size - 1)).all(dim=1)
    assert float(inside[:, 1:-1, 1:-1].float().mean()) > 0.95
