"""What a survey found, as JSON and as text for a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.finding import Kind, Severity
from ..inspection.network import NetworkRun
from ..inspection.weights import layer_dict
from .bins import length_edges, mask_edges
from .hits import KINDS
from .images import ImageList
from .numbers import dilation_of, histogram_of, numbers_of, plain_numbers
from .tally import LayerTally, Tally
from .text import survey_text

_SEVERITY: dict[Kind, Severity] = {
    "nonfinite": "error",
    "exploded": "error",
    "still": "info",
    "static": "info",
    "mask equal": "info",
}
"""Of what is more or less than a warning, as `analysis.findings` has it."""

_ORDER: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Found:
    """One kind of finding in one layer.

    Attributes:
        layer: its name.
        kind, severity: as of `analysis.findings`, which is asked for each image.
        images: in how many images it is.
        of: how many images the layer ran on.
        groups: in how many images each offset group has it.
        first: the name of the first image that has it.
    """

    layer: str
    kind: Kind
    severity: Severity
    images: int
    of: int
    groups: tuple[int, ...]
    first: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "layer": self.layer,
            "kind": self.kind,
            "severity": self.severity,
            "images": self.images,
            "of": self.of,
            "groups": list(self.groups),
            "first": self.first,
        }


@dataclass(frozen=True, eq=False)
class Survey:
    """A network's deformable layers on many images.

    Attributes:
        run: the network on the first image that could be read: how its layers are read, and
            whether that is verified.
        images: all there are.
        plan: what was surveyed, in digests and options.
        tally: what was counted.
        state: the file that the counts are in, or None.
    """

    run: NetworkRun
    images: ImageList
    plan: dict[str, Any]
    tally: Tally
    state: Path | None = None

    @property
    def layers(self) -> dict[str, LayerTally]:
        """By name, in the order of their calls."""
        return dict(sorted(self.tally.layers.items(), key=lambda row: (row[1].header, row[0])))

    @property
    def findings(self) -> list[Found]:
        """All that was found in any image, the worst first and then the most frequent."""
        found = [
            Found(
                name,
                kind,
                _SEVERITY.get(kind, "warning"),
                count,
                int(layer.counts["images"]),
                tuple(layer.counts["found_in_group"][row].tolist()),
                self.images.names[int(layer.first[row])],
            )
            for name, layer in self.layers.items()
            for row, (kind, count) in enumerate(
                zip(KINDS, layer.counts["found"].tolist(), strict=True)
            )
            if count
        ]
        return sorted(found, key=lambda one: (_ORDER.index(one.severity), -one.images))

    @property
    def broken(self) -> list[tuple[str, str]]:
        """Name and reason of the images that could not be read, of the first hundred."""
        return [(self.images.names[image], why) for image, why in self.tally.broken.items()]

    def to_dict(self) -> dict[str, Any]:
        """{"file", "images", "broken", "notes", "plan", "layers", "findings"}, of plain types."""
        return {
            "file": self.run.name,
            "images": self.tally.images,
            "broken": {
                "count": self.tally.broken_count,
                "first": [{"image": name, "why": why} for name, why in self.broken],
            },
            "notes": list(self.run.notes),
            "plan": self.plan,
            "layers": [self._layer_dict(name, layer) for name, layer in self.layers.items()],
            "not_run": [layer.name for layer in self.run.not_run],
            "findings": [found.to_dict() for found in self.findings],
        }

    def to_text(self, width: int = 100) -> str:
        """For a terminal of so many columns."""
        return survey_text(self, width)

    def _layer_dict(self, name: str, layer: LayerTally) -> dict[str, Any]:
        rows = {row.sampling.name: row for row in self.run.layers}
        read = rows[name].layer if name in rows else None
        groups, taps = layer.counts["there"].shape
        lengths = length_edges()
        return {
            "name": name,
            "read": None if read is None else layer_dict(read),
            "input_size": list(layer.header.input_size),
            "output_size": list(layer.header.output_size),
            "kernel_size": list(layer.header.kernel_size),
            "groups": groups,
            "taps": taps,
            "images": int(layer.counts["images"]),
            "positions": int(layer.counts["positions"]),
            "statistics": plain_numbers(numbers_of(layer)),
            "dilation": plain_numbers(dilation_of(layer)),
            "histograms": {
                "length": histogram_of(layer.counts["lengths"], lengths),
                "dilation": histogram_of(layer.counts["spacings"], lengths),
                "mask": histogram_of(layer.counts["masks"], mask_edges()),
            },
        }
