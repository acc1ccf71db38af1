"""A whole network at once: each layer's numbers and findings, as JSON or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..geometry import Pair
from ..sampling import Sampling
from .finding import Finding, LayerInfo, Thresholds, plain
from .health import OffsetWeights, findings_of
from .measures import Measures
from .report_text import Row, as_text
from .strips import measuring
from .summary import Statistics, statistics_of


@dataclass(frozen=True)
class LayerReport:
    """One layer's numbers and findings, without its tensors apart from the findings' maps."""

    name: str
    input_size: Pair
    output_size: Pair
    kernel_size: Pair
    groups: int
    taps: int
    statistics: Statistics
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the findings; None for a number that there is not."""
        numbers = asdict(self.statistics)
        return {
            "name": self.name,
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "kernel_size": list(self.kernel_size),
            "groups": self.groups,
            "taps": self.taps,
            "statistics": {name: plain(number) for name, number in numbers.items()},
        }


@dataclass(frozen=True)
class Report:
    """Layers in the order they were given in."""

    layers: tuple[LayerReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """{"layers": [...], "findings": [...]}, of plain JSON types.

        A finding names its layer and the layer's place, as a name may occur twice.
        """
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "findings": [
                {"layer": layer.name, "index": index, **found.to_dict()}
                for index, layer in enumerate(self.layers)
                for found in layer.findings
            ],
        }

    def to_text(self, width: int = 100) -> str:
        """A table for a terminal, and a line for each finding.

        Args:
            width: no line is longer. Names are shortened, then columns left out from the right;
                50 at least.

        Example:
            >>> from deformviz import Kernel
            >>> s = Sampling.regular("stem.conv", Kernel.of(3, padding=1), (8, 8))
            >>> print(report([s]).to_text(50))
            layer      map  mean px  p99 px  moved out
            stem.conv  8x8     0.00    0.00         0%
            <BLANKLINE>
            warning stem.conv: dead. No tap moves by 0.05 px
                    or more, the longest offset is 0 px: a
                    plain convolution.
        """
        rows = [
            Row(layer.name, layer.input_size, layer.statistics, layer.findings)
            for layer in self.layers
        ]
        return as_text(rows, width)


def report(
    samplings: Sequence[Sampling],
    *,
    layer_infos: Sequence[LayerInfo | None] | None = None,
    weights: Sequence[OffsetWeights | None] | None = None,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
) -> Report:
    """Measure layers, and look for what commonly goes wrong with them.

    Takes what `statistics` and `findings` take together, for each layer.

    Args:
        samplings: a layer each.
        layer_infos, weights: as in `findings`, one for each layer.
        thresholds: the limits, of all layers.

    Raises:
        ValueError: not as many infos or weights as layers.

    Example:
        >>> from deformviz import Kernel
        >>> s = Sampling.regular("stem.conv", Kernel.of(3, padding=1), (8, 8))
        >>> [(found["layer"], found["kind"]) for found in report([s]).to_dict()["findings"]]
        [('stem.conv', 'dead')]
    """
    count = len(samplings)
    infos = [None] * count if layer_infos is None else layer_infos
    known = [None] * count if weights is None else weights
    for name, given in (("layer_infos", infos), ("weights", known)):
        if len(given) != count:
            raise ValueError(f"{name} has {len(given)} entries, one for each of {count} layers")
    return Report(
        tuple(
            _layer(sampling, info, weight, thresholds)
            for sampling, info, weight in zip(samplings, infos, known, strict=True)
        )
    )


@measuring()
def _layer(
    sampling: Sampling,
    info: LayerInfo | None,
    weights: OffsetWeights | None,
    thresholds: Thresholds,
) -> LayerReport:
    m = Measures(sampling, info or LayerInfo(), thresholds)
    m.make_for(findings=True, facts=True)
    return LayerReport(
        name=sampling.name,
        input_size=sampling.input_size,
        output_size=sampling.output_size,
        kernel_size=sampling.kernel.size,
        groups=sampling.groups,
        taps=sampling.taps,
        statistics=statistics_of(m),
        findings=tuple(findings_of(m, weights)),
    )
