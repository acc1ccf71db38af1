"""The viewer's state, and how it stands in a link that anyone may have written."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deformviz.viewer import OVERLAYS, ViewState

NAN, INFINITY = float("nan"), float("inf")
LARGEST = 2**31 - 1

WHOLE = {
    "y": LARGEST,
    "x": LARGEST,
    "arrows": 64,
    "tap": LARGEST,
    "group": LARGEST,
    "output_channel": LARGEST,
    "input_channel": LARGEST,
    "layer": LARGEST,
    "follow": 16,
    "follow_level": LARGEST,
    "bar_group": LARGEST,
    "bar_tap": LARGEST,
    "bar": LARGEST,
    "finding": LARGEST,
}
"""The largest of each."""
NEVER_NONE = ("arrows", "tap", "group", "follow")
SWITCHES = ("pinned", "points", "sweep", "all_groups", "about", "log_counts")
NAMES = [field.name for field in fields(ViewState)]

LONG = "7" * 5000
HOSTILE = [
    "", " ", "NaN", "nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "-1", "-0", "+1", "1.5.2",
    "99999999999999999999", "٣", "³", "½", "1_000", " 1", "1\n", "0x10", "1,5", "true", "True",
    "None", "null", "ON", "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>",
    "../../etc/passwd", "%00", "\x00", "\ud800", "\u202eno", "🙂", LONG, "," * 3000, "[0]", "{}",
]  # fmt: skip
"""Nothing that any of ours means, whatever its name; `ACCEPTED` lists the exceptions."""
ACCEPTED = {("morph", "-0"), ("leave_out", "1,5")}


@st.composite
def zooms(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """(top, left, bottom, right), at least half a pixel high and wide."""
    edge = st.floats(-999_999, 999_998, allow_nan=False)
    top, left = draw(edge), draw(edge)
    bottom, right = (draw(st.floats(low + 0.75, 999_999.5)) for low in (top, left))
    return top, left, bottom, right


INDICES = st.integers(0, LARGEST)
STATES = st.builds(
    ViewState,
    y=st.none() | INDICES,
    x=st.none() | INDICES,
    pinned=st.booleans(),
    points=st.booleans(),
    arrows=st.integers(0, 64),
    over=st.sampled_from(OVERLAYS),
    tap=INDICES,
    group=INDICES,
    palette=st.sampled_from(["perceptual", "Middlebury"]),
    output_channel=st.none() | INDICES,
    input_channel=st.none() | INDICES,
    morph=st.floats(0, 1),
    zoom=st.none() | zooms(),
    sweep=st.booleans(),
    layer=st.none() | INDICES,
    follow=st.integers(0, 16),
    follow_mode=st.sampled_from(["exact", "interp", "paper"]),
    follow_weight=st.sampled_from(["taps", "mask", "kernel"]),
    follow_level=st.none() | INDICES,
    all_groups=st.booleans(),
    leave_out=st.none() | st.lists(INDICES, min_size=1, max_size=32).map(tuple),
    about=st.booleans(),
    quantity=st.sampled_from(["magnitude", "dy", "dx", "mask"]),
    bar_group=st.none() | INDICES,
    bar_tap=st.none() | INDICES,
    log_counts=st.booleans(),
    bar=st.none() | INDICES,
    finding=st.none() | INDICES,
)


def as_sent(query: dict[str, str]) -> dict[str, str]:
    """What a server is told when a browser opens the link."""
    return dict(parse_qsl(urlencode(query), keep_blank_values=True))


def told(problem: str) -> str:
    """What a problem says came; every one of them must."""
    found = re.search(r"[,;] got (.*)$", problem)
    assert found is not None, problem
    return found[1]


# What a state can be


@pytest.mark.parametrize("name", WHOLE)
def test_the_limits_of_a_whole_number_are_taken(name: str) -> None:
    for value in (0, WHOLE[name]):
        assert getattr(ViewState(**{name: value}), name) == value


@pytest.mark.parametrize("value", [-1, None, 1.0, True, "1", NAN, INFINITY, 2**31, 10**400, [1]])
@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_whole_number_in_range_is_refused(name: str, value: Any) -> None:
    if value is None and name not in NEVER_NONE:
        assert getattr(ViewState(**{name: None}), name) is None  # the middle, or all
        return
    with pytest.raises(ValueError, match=f"^{name} must be a whole number from 0 to {WHOLE[name]}"):
        ViewState(**{name: value})


@pytest.mark.parametrize("value", [0, 1, None, "on", "False"])
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_or_off(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be on or off"):
        ViewState(**{name: value})


@pytest.mark.parametrize("value", [-0.001, 1.001, NAN, INFINITY, "1", None, True])
def test_a_morph_goes_from_0_to_1(value: Any) -> None:
    for end in (0, 1, 0.0, 1.0):
        assert ViewState(morph=end).morph == end
    with pytest.raises(ValueError, match=r"^morph must be between 0 and 1"):
        ViewState(morph=value)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("over", OVERLAYS),
        ("palette", ("perceptual", "Middlebury")),
        ("follow_mode", ("exact", "interp", "paper")),
        ("follow_weight", ("taps", "mask", "kernel")),
        ("quantity", ("magnitude", "dy", "dx", "mask")),
    ],
)
@pytest.mark.parametrize("value", ["unheard of", "", None, 3, ["none"], "None"])
def test_an_unknown_name_is_answered_with_the_known_ones(
    name: str, known: tuple[str, ...], value: Any
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be one of") as caught:
        ViewState(**{name: value})
    assert all(each in str(caught.value) for each in known)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        (),
        (0, 0, 10),
        (0, 0, 10, 10, 10),
        [0, 0, 10, 10],
        "0,0,10,10",
        7,
        (0, 0, NAN, 10),
        (0, 0, INFINITY, 10),
        (0, 0, 10, 10**6),
        (0, 0, 10, 10**400),
        (0, 0, 10, "10"),
        (0, 0, 10, True),
        (0, 0, 10, None),
        (0, 0, 0.49, 10),
        (0, 0, 10, 0.49),
        (10, 10, 0, 0),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_zoom_is_a_box_of_some_size(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^zoom must be"):
        ViewState(zoom=value)


def test_a_zoom_may_be_half_a_pixel() -> None:
    assert ViewState(zoom=(0, 0, 0.5, 0.5)).zoom == (0, 0, 0.5, 0.5)
    assert ViewState(zoom=(-20.5, -3, 1e5, 64)).zoom == (-20.5, -3, 1e5, 64)


@pytest.mark.parametrize(
    "value", [(), (0,) * 33, [1], "1,5", 3, (-1,), (1.0,), (True,), (None,), (2**31,), (10**400,)],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_layers_are_left_out_by_their_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^leave_out must be 1 to 32 whole numbers"):
        ViewState(leave_out=value)


def test_a_refusal_is_short_however_long_the_value() -> None:
    with pytest.raises(ValueError, match="over must be one of") as caught:
        ViewState(over=LONG)
    assert len(str(caught.value)) < 250


# In a link


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("y", 3, "3"),
        ("x", LARGEST, "2147483647"),
        ("pinned", True, "on"),
        ("points", False, "off"),
        ("arrows", 64, "64"),
        ("over", "field colours", "field colours"),
        ("tap", 8, "8"),
        ("group", 2, "2"),
        ("palette", "Middlebury", "Middlebury"),
        ("output_channel", None, "all"),
        ("output_channel", 2, "2"),
        ("input_channel", 0, "0"),
        ("morph", 0.0, "0"),
        ("morph", 0.1, "0.1"),
        ("morph", 1 / 3, "0.3333333333333333"),
        ("morph", 1e-7, "1e-07"),
        ("zoom", (0.0, -0.5, 10.25, 20), "0,-0.5,10.25,20"),
        ("zoom", (0.1, 123456.6, 999999.75, 123457.1), "0.1,123456.6,999999.75,123457.1"),
        ("sweep", True, "on"),
        ("layer", 3, "3"),
        ("follow", 2, "2"),
        ("follow_mode", "paper", "paper"),
        ("follow_weight", "kernel", "kernel"),
        ("follow_level", 0, "0"),
        ("all_groups", True, "on"),
        ("leave_out", (7, 0), "7,0"),
        ("leave_out", (3,), "3"),
        ("about", True, "on"),
        ("quantity", "dy", "dy"),
        ("bar_tap", 0, "0"),
        ("bar", 16, "16"),
    ],
)
def test_a_value_in_a_link(name: str, value: Any, text: str) -> None:
    assert ViewState(**{name: value}).query() == {name: text}
    assert ViewState.from_query({name: text}) == (ViewState(**{name: value}), [])


def test_the_first_state_needs_no_query() -> None:
    assert ViewState().query() == {}
    assert ViewState.from_query({}) == (ViewState(), [])


def test_the_first_state_can_be_said() -> None:
    query = {"points": "on", "over": "none", "output_channel": "0", "input_channel": "all"}
    assert ViewState.from_query(query | {"morph": "1"}) == (ViewState(), [])


@pytest.mark.parametrize(
    ("text", "value"), [("0.333333", 0.333333), ("1e-7", 1e-7), ("1", 1), ("0.50", 0.5)]
)
def test_numbers_as_a_browser_writes_them(text: str, value: float) -> None:
    assert ViewState.from_query({"morph": text}) == (ViewState(morph=value), [])


@given(STATES)
def test_a_state_comes_back_from_its_link(state: ViewState) -> None:
    assert ViewState.from_query(as_sent(state.query())) == (state, [])


@given(STATES, st.dictionaries(st.text(), st.text()))
def test_the_names_of_others_are_left_alone(state: ViewState, others: dict[str, str]) -> None:
    others = {name: text for name, text in others.items() if name not in NAMES}
    known = {"__theme": "dark", "view": "api", "utm_source": "mail", "compare": "tap=x", "Y": "x"}
    assert ViewState.from_query(others | known | state.query()) == (state, [])


@pytest.mark.parametrize("name", NAMES)
def test_what_makes_no_sense_is_refused_and_told(name: str) -> None:
    for text in HOSTILE:
        if (name, text) not in ACCEPTED:
            state, problems = ViewState.from_query({name: text})
            assert state == ViewState(), text
            assert len(problems) == 1, text
            assert problems[0].startswith(f"the link's {name} was left out: "), text
            assert len(told(problems[0])) <= 60, text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("y", "-1", "a whole number"),
        ("arrows", "65", "a whole number from 0 to 64"),
        ("tap", "2147483648", "a whole number from 0 to 2147483647"),
        ("tap", "3.0", "a whole number"),
        ("sweep", "true", "on or off"),
        ("morph", "1.5", "between 0 and 1"),
        ("morph", "1e999", "a number"),
        ("zoom", "0,0,10", "four numbers with commas between them"),
        ("zoom", "0,0,10,x", "four numbers with commas between them"),
        ("zoom", "0,0,10,NaN", "four numbers with commas between them"),
        ("zoom", "0,0,10,0", "at least half a pixel high and wide"),
        ("zoom", "0,0,10,1e7", "top, left, bottom and right in pixels"),
        ("palette", "Perceptual", "one of perceptual, Middlebury"),
        ("follow", "17", "a whole number from 0 to 16"),
        ("follow_mode", "dance", "one of exact, interp, paper"),
        ("leave_out", "1,,2", "whole numbers with commas between them"),
        ("leave_out", "1," * 64 + "1", "1 to 32 whole numbers of layers"),
    ],
)
def test_a_refusal_says_what_was_expected(name: str, text: str, expected: str) -> None:
    state, (problem,) = ViewState.from_query({name: text})
    assert state == ViewState()
    assert problem.startswith(f"the link's {name} was left out: ")
    assert expected in problem


def test_a_bad_value_does_not_cost_the_others() -> None:
    state, problems = ViewState.from_query({"y": "3", "x": "٣", "tap": "NaN", "over": "mask"})
    assert state == ViewState(y=3, over="mask")
    assert problems == [
        "the link's x was left out: expected a whole number, got '٣'",
        "the link's tap was left out: expected a whole number, got 'NaN'",
    ]


VALUES = st.one_of(
    st.text(),
    st.text(st.characters()),  # lone surrogates, too
    st.sampled_from(HOSTILE),
    st.integers().map(str),
    st.floats().map(repr),
    st.lists(st.floats().map(repr), min_size=4, max_size=4).map(",".join),
)


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(), VALUES, max_size=20))
def test_whatever_a_link_holds_a_state_comes_of_it(query: dict[str, str]) -> None:
    state, problems = ViewState.from_query(query)
    left_out = [problem.split()[2] for problem in problems]
    assert set(left_out) <= set(NAMES) & query.keys()
    assert len(left_out) == len(set(left_out))
    for name in NAMES:
        if name in left_out or name not in query:
            assert getattr(state, name) == getattr(ViewState(), name)
    for problem in problems:
        assert problem.isprintable()
        assert len(problem) < 250
        came = told(problem)
        sent = repr(query[problem.split()[2]])
        assert sent.startswith(came.removesuffix("...")) or set(came) <= set("0123456789-+e.,() ")
        assert not set("<>&") & set(problem.removesuffix(came))
