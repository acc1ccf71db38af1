"""The page's address as its state: there and back, and whatever else people put into it."""

from __future__ import annotations

import doctest
import re
from dataclasses import fields, replace
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_asked import ASKED

from deformviz import examples
from deformviz.explore import (
    GUIDE_NAMES,
    MASK_NAMES,
    OFFSETS,
    OPERATORS,
    PARAMETER_NAMES,
    Settings,
)
from deformviz.kernels import KERNELS
from deformviz.operators.spatial_shift import BORDERS, DIRECTIONS, Border
from deformviz.viewer import OVERLAYS, ViewState
from deformviz.web import link as link_module
from deformviz.web.asked import Asked
from deformviz.web.link import Link, from_query, to_query

FIRST = replace(
    ASKED,
    side=256,
    dilation=6,
    weights="Gaussian",
    field="toward edges",
    strength=12,
    mask_strength=0.3,
)
"""What the page opens on without a link."""

RUN_NAMES = [
    "operator", "kernel", "image", "side", "stride", "dilation", "weights", "field", "strength",
    "offset_groups", "mask", "mask_strength", "guide", "regions", "generated", "radius",
    "coordinate_weight", "parameters", "learned_layer", "directions", "strategy", "border", "seed",
]  # fmt: skip
VIEW_NAMES = [
    "y", "x", "pinned", "points", "arrows", "over", "tap", "group", "palette", "output_channel",
    "input_channel", "morph", "zoom", "sweep", "layer", "follow", "follow_mode", "follow_weight",
    "follow_level", "all_groups", "leave_out", "about", "quantity", "bar_group", "bar_tap",
    "log_counts", "bar", "finding",
]  # fmt: skip

HOSTILE = [
    "", " ", "NaN", "nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "+1", "1.5.2", "1e5",
    "99999999999999999999", "٣", "³", "½", "1_0", " 1", "1\n", "0x10", "1,5", "true", "True",
    "None", "null", "ON", "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>",
    "../../etc/passwd", "/etc/passwd", "cat.jpg", "cat\x00", "%00", "\x00", "\ud800", "\u202eno",
    "🙂", "7" * 3000, "7" * 3000 + "x3", "x" * 3000, "," * 3000, "[0]", "{}",
    "3 x 3", "3x3x3", "x3", "3x", "-3x3", "٣x٣",
]  # fmt: skip
"""Nothing that any of ours means, whatever its name."""
BEYOND_ANY_STRENGTH = ("1e5", "99999999999999999999")


# Everything that can be asked for


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """All that `Settings` takes, on every example, in every working size of the slider."""
    field = draw(st.sampled_from(list(OFFSETS)))
    most = OFFSETS[field].maximum
    return Asked(
        photo=None,
        example=draw(st.sampled_from(examples.names())),
        side=draw(st.sampled_from(range(32, 1025, 32))),
        operator=draw(st.sampled_from(list(OPERATORS))),
        kernel_height=draw(st.integers(1, 11)),
        kernel_width=draw(st.integers(1, 11)),
        stride=draw(st.integers(1, 8)),
        dilation=draw(st.integers(1, 16)),
        weights=draw(st.sampled_from(list(KERNELS))),
        field=field,
        strength=draw(st.none() | st.floats(-most, most) | st.integers(-int(most), int(most))),
        offset_groups=draw(st.sampled_from([1, 3])),
        mask=draw(st.sampled_from(list(MASK_NAMES))),
        mask_strength=draw(st.floats(0, 1) | st.sampled_from([0, 1])),
        guide=draw(st.sampled_from(list(GUIDE_NAMES))),
        regions=draw(st.integers(1, 8)),
        generated=draw(st.booleans()),
        radius=draw(st.booleans()),
        coordinate_weight=draw(st.floats(-1, 1) | st.sampled_from([-1, 0, 1])),
        parameters=draw(st.sampled_from(PARAMETER_NAMES)),
        learned_layer=draw(st.integers(1, 3)),
        directions=draw(st.sampled_from(list(DIRECTIONS))),
        strategy=draw(st.sampled_from(list(BORDERS))),
        border=draw(st.sampled_from(get_args(Border))),
        seed=draw(st.integers(0, 2**31 - 1)),
    )


@st.composite
def states(draw: st.DrawFn) -> ViewState:
    index = st.integers(0, 2**31 - 1)
    edge = st.floats(-999_999, 999_998)
    top, left = draw(edge), draw(edge)
    zoom = (top, left, draw(st.floats(top + 1, 999_999)), draw(st.floats(left + 1, 999_999)))
    return ViewState(
        y=draw(st.none() | index),
        x=draw(st.none() | index),
        pinned=draw(st.booleans()),
        points=draw(st.booleans()),
        arrows=draw(st.integers(0, 64)),
        over=draw(st.sampled_from(OVERLAYS)),
        tap=draw(index),
        group=draw(index),
        palette=draw(st.sampled_from(["perceptual", "Middlebury"])),
        output_channel=draw(st.none() | index),
        input_channel=draw(st.none() | index),
        morph=draw(st.floats(0, 1)),
        zoom=draw(st.none() | st.just(zoom)),
        sweep=draw(st.booleans()),
        layer=draw(st.none() | index),
        follow=draw(st.integers(0, 16)),
        follow_mode=draw(st.sampled_from(["exact", "interp", "paper"])),
        follow_weight=draw(st.sampled_from(["taps", "mask", "kernel"])),
        follow_level=draw(st.none() | index),
        all_groups=draw(st.booleans()),
        leave_out=draw(st.none() | st.lists(index, min_size=1, max_size=32).map(tuple)),
        about=draw(st.booleans()),
        quantity=draw(st.sampled_from(["magnitude", "dy", "dx", "mask"])),
        bar_group=draw(st.none() | index),
        bar_tap=draw(st.none() | index),
        log_counts=draw(st.booleans()),
        bar=draw(st.none() | index),
        finding=draw(st.none() | index),
    )


def as_sent(query: dict[str, str]) -> dict[str, str]:
    """What a server is told when a browser opens the link."""
    return dict(parse_qsl(urlencode(query), keep_blank_values=True))


LEARNED_CARRY = {
    "Deformable Conv v1": ("field", "strength", "learned_layer"),
    "Deformable Conv v2": ("field", "strength", "mask", "mask_strength", "learned_layer"),
    "DRConv": ("guide",),
    "CoordConv": ("parameters",),
    "Active Shift": ("parameters", "learned_layer"),
}
"""What a link to a network's layer has beside what every link has."""
ASKED_OF_A_NETWORK = {
    "Deformable Conv v1": ("field",),
    "Deformable Conv v2": ("field", "mask"),
    "DRConv": ("guide",),
    "CoordConv": ("parameters",),
    "Active Shift": ("parameters",),
}


def own_names(of: Asked) -> tuple[str, ...]:
    """What the run depends on beside what every run depends on."""
    if "learned" in [getattr(of, name) for name in ASKED_OF_A_NETWORK.get(of.operator, ())]:
        return LEARNED_CARRY[of.operator]
    return tuple(name for name in OPERATORS[of.operator].controls if name != "learned_layer")


def what_a_link_carries(of: Asked, first: Asked) -> Asked:
    """`of` in what its run depends on, `first` in all else."""
    always = ("example", "side", "operator", "kernel_height", "kernel_width", "seed")
    return replace(first, **{name: getattr(of, name) for name in (*always, *own_names(of))})


VIEWS = st.tuples(asked(), states())


@given(first=asked(), ours=VIEWS, kept=st.none() | VIEWS)
def test_a_view_and_the_one_kept_beside_it_come_back(
    first: Asked, ours: tuple[Asked, ViewState], kept: tuple[Asked, ViewState] | None
) -> None:
    query = to_query(ours[0]) | ours[1].query()
    expected = None
    if kept is not None:
        query["compare"] = urlencode(to_query(kept[0]) | kept[1].query())
        expected = Link(what_a_link_carries(kept[0], first), kept[1], None, ())
    found = from_query(as_sent(query), first)
    assert found == Link(what_a_link_carries(ours[0], first), ours[1], expected, ())
    assert sum(map(len, query.keys())) + sum(map(len, query.values())) < 2000  # of 4000


# What a link says


def test_no_name_means_two_things() -> None:
    assert {field.name for field in fields(ViewState)} == set(VIEW_NAMES)
    settings = {field.name for field in fields(Settings)} - {"kernel_size"}
    assert {*settings, "kernel", "image", "side"} == set(RUN_NAMES)
    every = [*RUN_NAMES, *VIEW_NAMES, "compare"]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_link_names_what_the_operator_depends_on(operator: str) -> None:
    of = replace(FIRST, operator=operator)
    expected = ("operator", "kernel", "image", "side", *own_names(of), "seed")
    assert tuple(to_query(of)) == expected


@pytest.mark.parametrize("operator", ASKED_OF_A_NETWORK)
def test_a_link_to_a_networks_layer_names_what_it_depends_on(operator: str) -> None:
    for name in ASKED_OF_A_NETWORK[operator]:
        of = replace(FIRST, operator=operator, strength=None, learned_layer=2, **{name: "learned"})
        query = to_query(of)
        names = {"operator", "kernel", "image", "side", "seed", *LEARNED_CARRY[operator]}
        assert query.keys() == names
        assert query.get("learned_layer", "2") == "2"
        assert from_query(query, FIRST).asked.settings.learned_layer == (
            2 if "learned_layer" in names else 3
        )


def test_the_words_of_a_link() -> None:
    of = replace(FIRST, kernel_height=3, kernel_width=5, strength=1 / 3, mask_strength=1)
    assert to_query(of) == {
        "operator": "Deformable Conv v2",
        "kernel": "3x5",
        "image": "cat",
        "side": "256",
        "stride": "1",
        "dilation": "6",
        "weights": "Gaussian",
        "field": "toward edges",
        "strength": "0.3333333333333333",
        "offset_groups": "1",
        "mask": "radial",
        "mask_strength": "1",
        "seed": "0",
    }
    of = replace(FIRST, operator="DRConv", generated=True)
    assert to_query(of)["generated"] == "on"
    of = replace(FIRST, operator="CoordConv", radius=False, coordinate_weight=-0.5)
    assert to_query(of)["radius"] == "off"
    assert to_query(of)["coordinate_weight"] == "-0.5"


def test_a_slider_may_send_its_whole_numbers_as_fractions() -> None:
    sent: dict[str, Any] = {"kernel_height": 5.0, "stride": 2.0, "side": 128.0, "seed": 7.0}
    query = to_query(replace(FIRST, **sent))
    assert [query[name] for name in ("kernel", "stride", "side", "seed")] == [
        "5x3",
        "2",
        "128",
        "7",
    ]


def test_a_persons_own_photo_is_in_no_link() -> None:
    query = to_query(replace(FIRST, photo="uploads/0123/secret.png"))
    assert "image" not in query
    assert "secret" not in urlencode(query)
    assert from_query(query, FIRST) == Link(FIRST, ViewState(), None, ())


def test_the_image_of_a_link_stands_in_for_a_photo() -> None:
    first = replace(FIRST, photo="uploads/photo.png")
    assert from_query({}, first).asked == first
    assert from_query({"image": "retina"}, first).asked == replace(FIRST, example="retina")
    assert from_query({"image": "no such"}, first).asked == first


def test_without_a_query_the_page_opens_as_it_does() -> None:
    assert from_query({}, FIRST) == Link(FIRST, ViewState(), None, ())


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_the_names_of_others_are_left_alone(others: dict[str, str]) -> None:
    ours = {*RUN_NAMES, *VIEW_NAMES, "compare"}
    query = {name: text for name, text in others.items() if name not in ours}
    query |= {"__theme": "dark", "view": "api", "utm_source": "<script>", "photo": "/etc/passwd"}
    query |= {"kernel_height": "9", "example": "retina", "kernel_size": "5", "Stride": "2"}
    assert from_query(query, FIRST) == Link(FIRST, ViewState(), None, ())


# What is refused


@pytest.mark.parametrize("name", [*RUN_NAMES, *VIEW_NAMES, "compare"])
def test_what_makes_no_sense_is_refused_and_told(name: str) -> None:
    for text in HOSTILE:
        if (name, text) == ("leave_out", "1,5"):  # two layers
            continue
        found = from_query({name: text}, FIRST)
        beyond = name == "strength" and text in BEYOND_ANY_STRENGTH
        assert found.asked == (replace(FIRST, strength=None) if beyond else FIRST), text
        assert found.state == ViewState(), text
        assert found.kept is None, text
        assert len(found.problems) == 1, text
        assert found.problems[0].startswith(f"the link's {name} was left out: "), text
        assert len(found.problems[0]) <= 300, text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("operator", "conv", "expected one of Convolution, Deformable Conv v1, "),
        ("kernel", "3", "expected height x width, such as 3x5, got '3'"),
        ("kernel", "3.0x3", "expected height x width, such as 3x5, got '3.0x3'"),
        ("kernel", "0x3", "kernel height must be between 1 and 11, got 0"),
        ("kernel", "3x12", "kernel width must be between 1 and 11, got 12"),
        ("image", "../../etc/passwd", "expected one of cat, "),
        ("side", "0", "expected a multiple of 32 from 32 to 1024, got 0"),
        ("side", "100", "expected a multiple of 32 from 32 to 1024, got 100"),
        ("side", "1056", "expected a multiple of 32 from 32 to 1024, got 1056"),
        ("stride", "0", "stride must be between 1 and 8, got 0"),
        ("stride", "9", "stride must be between 1 and 8, got 9"),
        ("stride", "3.0", "expected a whole number, got '3.0'"),
        ("dilation", "17", "dilation must be between 1 and 16, got 17"),
        ("dilation", "٣", "expected a whole number, got '٣'"),
        ("weights", "gaussian", "weights must be one of identity, mean, Gaussian, "),
        ("field", "", "field must be one of zero, shift, "),
        ("offset_groups", "2", "offset groups must be 1, or 3 for the image's colours, got 2"),
        ("mask", "one,radial", "mask must be one of one, radial, "),
        ("mask_strength", "-1", "mask strength must be between 0 and 1, got -1"),
        ("mask_strength", "NaN", "expected a number, got 'NaN'"),
        ("guide", "true", "guide must be one of "),
        ("regions", "9", "regions must be between 1 and 8, got 9"),
        ("generated", "true", "expected on or off, got 'true'"),
        ("radius", "1", "expected on or off, got '1'"),
        ("coordinate_weight", "1.01", "coordinate weight must be between -1 and 1, got 1.01"),
        ("parameters", "x", "parameters must be one of made up, learned; got 'x'"),
        ("learned_layer", "0", "learned layer must be between 1 and 3, got 0"),
        ("learned_layer", "last", "expected a whole number, got 'last'"),
        ("directions", "up", "directions must be one of up, down, left, right, "),
        ("strategy", "Slice", "strategy must be one of slice, roll, deform_conv2d, "),
        ("border", "reflect", "border must be one of zero, replicate, circular, keep"),
        ("seed", "-1", "expected a whole number, got '-1'"),
        ("seed", "2147483648", "seed must be between 0 and 2147483647, got 2147483648"),
        ("strength", "1e999", "expected a number, got '1e999'"),
        ("arrows", "65", "arrows must be a whole number from 0 to 64, got 65"),
        ("compare", "", "expected the query of the view to compare with, got ''"),
    ],
)
def test_a_refusal_says_what_was_expected(name: str, text: str, expected: str) -> None:
    found = from_query({name: text}, FIRST)
    (problem,) = found.problems
    assert found.asked == FIRST
    assert problem.startswith(f"the link's {name} was left out: {expected}")


def test_a_bad_value_does_not_cost_the_others() -> None:
    query = {"operator": "DRConv", "stride": "2", "regions": "NaN", "kernel": "5x7", "y": "٣"}
    found = from_query(query | {"x": "4", "seed": "7"}, FIRST)
    expected = replace(FIRST, operator="DRConv", stride=2, kernel_height=5, kernel_width=7, seed=7)
    assert found.asked == expected
    assert found.state == ViewState(x=4)
    assert found.problems == (
        "the link's regions was left out: expected a whole number, got 'NaN'",
        "the link's y was left out: expected a whole number, got '٣'",
    )


def test_at_most_five_problems_are_listed() -> None:
    bad = dict.fromkeys(RUN_NAMES[:5], "<script>")
    assert len(from_query(bad, FIRST).problems) == 5
    assert all(name in p for name, p in zip(bad, from_query(bad, FIRST).problems, strict=False))
    *listed, rest = from_query(bad | {"y": "x"}, FIRST).problems
    assert (len(listed), rest) == (5, "and 1 more")
    *listed, rest = from_query(dict.fromkeys([*RUN_NAMES, *VIEW_NAMES], "<script>"), FIRST).problems
    assert (len(listed), rest) == (5, f"and {len(RUN_NAMES) + len(VIEW_NAMES) - 5} more")


def test_a_query_that_is_too_long_is_left_out_as_a_whole() -> None:
    fits = {"stride": "2", "other": "x" * (4000 - len("stride2other"))}
    assert from_query(fits, FIRST) == Link(replace(FIRST, stride=2), ViewState(), None, ())
    for longer in ({"other": fits["other"] + "x"}, {"y": "3", "name" * 50: "", "compare": "tap=1"}):
        found = from_query(fits | longer, FIRST)
        assert (found.asked, found.state, found.kept) == (FIRST, ViewState(), None)
        assert found.problems == ("the link was left out: it is longer than 4000 characters",)


# The strength is in its field's own unit


@pytest.mark.parametrize(
    ("query", "strength"),
    [
        ({}, 12),
        ({"field": "toward edges"}, 12),
        ({"strength": "40"}, 40),
        ({"strength": "-40"}, -40),
        ({"strength": "3.0"}, 3),
        ({"strength": "default"}, None),
        ({"field": "rotate", "strength": "180"}, 180),
        ({"field": "rotate", "strength": "default"}, None),
        ({"field": "zero"}, None),  # 12 pixels are not 12 of anything else
        ({"field": "rotate"}, None),
    ],
)
def test_the_strength(query: dict[str, str], strength: float | None) -> None:
    field = query.get("field", "toward edges")
    expected = replace(FIRST, field=field, strength=strength)
    assert from_query(query, FIRST) == Link(expected, ViewState(), None, ())


@pytest.mark.parametrize(
    ("query", "field", "limit"),
    [
        ({"strength": "40.1"}, "toward edges", 40),
        ({"strength": "-40.1"}, "toward edges", 40),
        ({"field": "shear", "strength": "12"}, "shear", 4),
        ({"field": "zero", "strength": "12"}, "zero", 1),
        ({"field": "rotate", "strength": "180.5"}, "rotate", 180),
    ],
)
def test_a_strength_beyond_its_field_falls_back_to_the_default(
    query: dict[str, str], field: str, limit: int
) -> None:
    found = from_query(query, FIRST)
    assert found.asked == replace(FIRST, field=field, strength=None)
    (problem,) = found.problems
    assert problem.startswith("the link's strength was left out: ")
    assert f"{field!r} must be between -{limit} and {limit}, got " in problem


def test_a_strength_is_judged_by_the_field_that_is_taken() -> None:
    found = from_query({"field": "unheard of", "strength": "100"}, FIRST)
    assert found.asked == replace(FIRST, strength=None)
    assert len(found.problems) == 2
    found = from_query({"field": "rotate", "strength": "NaN"}, FIRST)
    assert found.asked == replace(FIRST, field="rotate", strength=None)
    assert len(found.problems) == 1


# The view to compare with


def test_the_kept_view_is_a_link_of_its_own() -> None:
    query = {"stride": "2", "tap": "1", "compare": "kernel=5x5&strength=3.5&over=field+colours"}
    kept = replace(FIRST, kernel_height=5, kernel_width=5, strength=3.5)
    state = ViewState(over="field colours")
    expected = Link(kept, state, None, ())
    assert from_query(query, FIRST) == Link(
        replace(FIRST, stride=2), ViewState(tap=1), expected, ()
    )


def test_what_is_wrong_with_the_kept_view_is_told_with_the_rest() -> None:
    found = from_query({"y": "-1", "compare": "stride=99&seed=4&tap"}, FIRST)
    assert found.kept is not None
    assert found.kept.asked == replace(FIRST, seed=4)
    wrong_stride = "the link's stride was left out: stride must be between 1 and 8, got 99"
    wrong_tap = "the link's tap was left out: expected a whole number, got ''"
    assert found.kept.problems == (wrong_stride, wrong_tap)
    assert found.problems == (
        "the link's y was left out: expected a whole number, got '-1'",
        f"in the view to compare with, {wrong_stride}",
        f"in the view to compare with, {wrong_tap}",
    )


def nested(depth: int) -> str:
    text = "stride=3"
    for _ in range(depth):
        text = urlencode({"stride": "2", "compare": text})
    return text


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_a_comparison_within_a_comparison_is_ignored(depth: int) -> None:
    found = from_query({"compare": nested(depth)}, FIRST)
    expected = Link(replace(FIRST, stride=2), ViewState(), None, ())
    assert found == Link(FIRST, ViewState(), expected, ())


@pytest.mark.parametrize(
    "text",
    ["compare=compare%3Dstride%253D2", "utm_source=mail", "&&&", "=", "%", "stride=2" + "&" * 3000],
    ids=lambda text: text[:24],
)
def test_a_comparison_with_nothing_of_ours_or_endless_fields_is_refused(text: str) -> None:
    found = from_query({"compare": text}, FIRST)
    assert (found.asked, found.state, found.kept) == (FIRST, ViewState(), None)
    (problem,) = found.problems
    assert problem.startswith("the link's compare was left out: ")


# Whatever else


def junk(names: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names) | st.text(), values, max_size=12)


NUMBERS = st.integers().map(str) | st.floats().map(repr) | st.integers(0, 12).map(str)
KNOWN = [
    *OPERATORS, *KERNELS, *OFFSETS, *MASK_NAMES, *GUIDE_NAMES,
    *DIRECTIONS, *BORDERS, *OVERLAYS, "on",
]  # fmt: skip
VALUES = st.one_of(
    st.text(),
    st.text(st.characters()),  # lone surrogates, too
    st.text("<>&\"'/\\{}$` script=", max_size=80),
    st.sampled_from(HOSTILE),
    st.sampled_from(KNOWN),
    NUMBERS,
    st.tuples(NUMBERS, NUMBERS).map("x".join),
    st.lists(NUMBERS, min_size=4, max_size=4).map(",".join),
)
ANY = junk([*RUN_NAMES, *VIEW_NAMES, "compare"], VALUES)
WITHIN = ANY.map(lambda query: urlencode(query, errors="replace"))
JUNK = st.builds(
    lambda query, kept: query | kept,
    ANY,
    st.just({}) | st.fixed_dictionaries({"compare": WITHIN | VALUES}),
)


def runs(of: Asked) -> None:
    """Asserts that a run takes it: settings, a known operator, an image that is there, a size."""
    of.settings  # noqa: B018  (it refuses what is none)
    assert of.operator in OPERATORS
    assert of.example in examples.names()
    assert of.photo is None
    assert of.side in range(32, 1025, 32)


@settings(max_examples=400)
@given(JUNK, asked())
def test_whatever_a_link_holds_the_page_opens(query: dict[str, str], first: Asked) -> None:
    found = from_query(query, first)
    runs(found.asked)
    assert len(found.problems) <= 6
    if found.kept is not None:
        runs(found.kept.asked)
        assert found.kept.kept is None
        assert len(found.kept.problems) <= 6
    for problem in found.problems[:5]:
        assert len(problem) <= 300
        assert problem.isprintable()  # no line break, and nothing that turns the direction round


def taken(found: Link, name: str) -> Any:
    if name == "kernel":
        return (found.asked.kernel_height, found.asked.kernel_width)
    name = "example" if name == "image" else name
    return getattr(found.state if name in VIEW_NAMES else found.asked, name)


def means(text: str, value: Any) -> bool:
    """Whether a value is what a text in a link says."""
    if isinstance(value, bool):
        return text == ("on" if value else "off")
    if isinstance(value, tuple):
        return tuple(map(float, re.split("[,x]", text))) == value
    if isinstance(value, int | float):
        return text.isascii() and float(text) == value
    return text in ("all", "default") if value is None else text == value


@settings(max_examples=400)
@given(st.sampled_from([*RUN_NAMES, *VIEW_NAMES]), VALUES)
def test_a_value_is_taken_or_told(name: str, text: str) -> None:
    found = from_query({name: text}, FIRST)
    if not found.problems:
        assert means(text, taken(found, name))
        return
    assert replace(found.asked, strength=12) == FIRST
    assert found.state == ViewState()
    (problem,) = found.problems
    came = re.search(r"^the link's (\w+) was left out: [^<>&]*[,;] got (.*)$", problem)
    assert came is not None, problem  # no markup but in what came
    assert came[1] == name
    shortened = came[2].removesuffix("...")
    assert repr(text).startswith(shortened) or set(shortened) <= set("0123456789-+e.,() ")


def test_the_examples_in_the_docstrings() -> None:
    result = doctest.testmod(link_module, extraglobs={"first": FIRST})
    assert result.attempted > 0
    assert result.failed == 0
