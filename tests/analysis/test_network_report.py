"""The report of a network: its JSON and its table say what was measured."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache

import pytest
import torch
from made_samplings import layer, normal
from sick_samplings import ZERO, clamped, outside, sick, sound_mask, sound_offset

from deformviz import Sampling
from deformviz.analysis import LayerInfo, Report, Thresholds, findings, report, statistics


@cache
def network() -> list[Sampling]:
    """Three layers: in good health, with two findings, without a mask or finite numbers."""
    both = torch.cat((outside(), clamped()))
    nothing = torch.full((1, 9, 2, 3, 3), math.nan)
    return [
        layer(sound_offset(), mask=sound_mask(), name="backbone.layer3.0.conv2"),
        layer(both, mask=torch.cat((sound_mask(), sound_mask())), name="backbone.layer4.0.conv2"),
        layer(nothing, name="head"),
    ]


def test_the_json_holds_what_statistics_and_findings_give() -> None:
    layers = network()
    read = json.loads(json.dumps(report(layers).to_dict(), allow_nan=False))
    assert list(read) == ["layers", "findings"]
    assert [one["name"] for one in read["layers"]] == [s.name for s in layers]
    for one, sampling in zip(read["layers"], layers, strict=True):
        assert one["input_size"] == list(sampling.input_size)
        assert (one["groups"], one["taps"]) == (sampling.groups, sampling.taps)
        expected = {
            name: value if math.isfinite(value) else None
            for name, value in vars(statistics(sampling)).items()
        }
        assert one["statistics"] == expected
    assert [(f["index"], f["layer"], f["kind"], f["group"]) for f in read["findings"]] == [
        (index, sampling.name, found.kind, found.group)
        for index, sampling in enumerate(layers)
        for found in findings(sampling)
    ]
    assert len(read["findings"]) >= 3


def test_infos_weights_and_limits_reach_their_layer() -> None:
    _, constant, _ = sick("a bias alone")
    layers = [layer(torch.full((1, 9, 2, 99, 99), 1.5)), constant]
    found = report(layers, layer_infos=[LayerInfo(clamp=1.5), None], weights=[None, ZERO])
    assert [(f["index"], f["kind"]) for f in found.to_dict()["findings"]] == [
        (0, "clamp binds"),
        (0, "static"),
        (1, "untrained"),
    ]
    quiet = Thresholds(static=0)
    assert report(layers[:1], thresholds=quiet).to_dict()["findings"] == []


@pytest.mark.parametrize("name", ["layer_infos", "weights"])
def test_as_many_infos_as_layers(name: str) -> None:
    known = {name: [None]}
    with pytest.raises(ValueError, match=f"{name} has 1 entries, one for each of 3 layers"):
        report(network(), **known)  # type: ignore[arg-type]


@cache
def reported() -> Report:
    return report(network())


@pytest.mark.parametrize("width", [1, 50, 63, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = reported().to_text(width).splitlines()
    assert max(map(len, lines)) <= max(width, 50)
    assert lines[0].startswith("layer ")
    assert len(lines) > 7


def test_columns_are_aligned_and_their_numbers_right() -> None:
    layers = network()
    head, *rows = report(layers).to_text(200).split("\n\n")[0].splitlines()
    names = re.findall(r"\S+(?: \S+)*", head)
    ends = [match.end() for match in re.finditer(r"\S+(?: \S+)*", head)]
    assert names == [
        "layer", "map", "mean px", "p99 px", "moved out", "adapt", "dilation", "scale", "turn",
        "rest px", "median px", "mask", "mask p1", "mask p99",
    ]  # fmt: skip
    for row, sampling in zip(rows, layers, strict=True):
        cells = dict(zip(names, row.split(), strict=True))
        assert [match.end() for match in re.finditer(r"\S+", row)][1:] == ends[1:]
        numbers = statistics(sampling)
        assert cells["layer"] == sampling.name
        assert cells["map"] == f"{sampling.input_size[0]}x{sampling.input_size[1]}"
        for column, value in (
            ("mean px", numbers.mean),
            ("p99 px", numbers.p99),
            ("dilation", numbers.dilation),
            ("rest px", numbers.residual),
            ("mask p99", numbers.mask_p99),
        ):
            expected = "-" if math.isnan(value) else f"{value:.2f}"
            assert cells[column] == expected
        share = numbers.moved_outside
        assert cells["moved out"] == f"{100 * share:.0f}%"


def test_findings_are_told_in_words() -> None:
    text = reported().to_text(100)
    told = " ".join(text.split("\n\n")[1].split())
    for sampling in network():
        for found in findings(sampling):
            assert f"{found.severity} {sampling.name}: {found.kind}. {found.sentence}" in told


def test_a_report_of_sound_layers_ends_with_the_table() -> None:
    assert len(report(network()[:1]).to_text().splitlines()) == 2


def test_no_layers_are_no_error() -> None:
    assert report([]).to_dict() == {"layers": [], "findings": []}
    assert report([]).to_text().splitlines() == ["layer  map"]


def test_long_names_keep_their_end() -> None:
    name = "detector.backbone.stages.3.blocks.11.downsample.deformable.conv2"
    s = replace(network()[0], name=name)
    lines = report([s]).to_text(60).splitlines()
    shown = lines[1].split()[0]
    before, after = shown.split("…")
    assert name.startswith(before)
    assert name.endswith(after)
    assert len(after) >= len(before) > 3


def test_a_name_cannot_command_the_terminal() -> None:
    s = replace(layer(torch.zeros(1, 9, 2, 3, 3)), name="a\x1b[31m\nb\x07")
    text = report([s]).to_text()
    assert not re.search(r"[^\n\x20-\x7e…°±]", text)
    assert "a?[31m?b?" in text


def test_small_and_large_numbers_keep_the_width() -> None:
    offset = normal(1, 9, 2, 4, 4)
    rows = report([layer(1e-4 * offset), layer(1e6 * offset)]).to_text().splitlines()
    assert re.search(r" \de-04 ", rows[1])
    assert re.search(r" \de\+06 ", rows[2])
