"""One machine's part in a survey: the network, its loader, and what a batch adds to the tally."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..analysis import OffsetWeights, Thresholds
from ..analysis.finding import Kind
from ..checkpoints import Layer
from ..checkpoints.pictures import Normalisation
from ..geometry import Pair
from ..images import ImageError, decode
from ..inspection.network import NetworkRun, inspect_network
from ..inspection.opening import OpenedNetwork, open_network
from ..inspection.running import none_recorded, unread_layers
from ..inspection.weights import layer_info
from .images import ImageList, Loaded, Loader, list_images
from .networks import Runner, runner_of
from .stacks import Known
from .tally import Tally


@dataclass(frozen=True)
class Recipe:
    """What is surveyed, and how: all that another machine needs to do the same.

    Attributes:
        checkpoint, model, strict, trust, size, normalisation: as for `run_checkpoint`.
        folder: of the images.
        batch: how many images run at once.
        device: where a model of the user's own runs.
        thresholds: the limits of the findings.
    """

    checkpoint: Path
    folder: Path
    model: str | None = None
    strict: bool = True
    trust: bool = False
    size: Pair | None = None
    normalisation: Normalisation = "unit"
    batch: int = 8
    device: str = "cpu"
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, eq=False)
class Station:
    """A machine that is ready to survey.

    Attributes:
        recipe: what it does.
        images: all there are.
        loader: what makes batches of them.
        first: the network on the first image that can be read, which says how its layers are read.
        plan: what identifies the survey: digests, and the options that change its numbers.
    """

    recipe: Recipe
    images: ImageList
    loader: Loader
    first: NetworkRun
    plan: dict[str, Any]
    _runner: Runner
    _known: Mapping[str, Known]

    def tally(self, batch: Loaded) -> Tally:
        """Run the network on a batch, and measure what its layers did."""
        tally = Tally()
        for image, reason in batch.broken.items():
            tally.refuse(image, reason)
        if batch.x is not None:
            records = self._runner.run(batch.x)
            tally.add(batch.images, records, self._known, self.recipe.thresholds)
        return tally


@contextmanager
def station(recipe: Recipe) -> Iterator[Station]:
    """Make a machine ready, for as long as the block.

    Raises:
        ValueError: no folder of images, or none that can be read; a size that the network does not
            allow; no deformable layer that ran.
        Exception: whatever `run_checkpoint` raises.
    """
    if recipe.batch < 1:
        raise ValueError(f"batch must be 1 or more images, got {recipe.batch}")
    images = list_images(recipe.folder)
    opened = open_network(
        recipe.checkpoint, model=recipe.model, strict=recipe.strict, trust=recipe.trust,
        thresholds=recipe.thresholds,
    )  # fmt: skip
    with runner_of(opened, recipe.device) as runner:
        size = runner.size(recipe.size)
        first = _first_run(opened, images, size, recipe)
        loader = Loader(images, recipe.batch, size, runner.channels, recipe.normalisation)
        known = {row.sampling.name: _known(row.layer, opened) for row in first.layers}
        yield Station(recipe, images, loader, first, _plan(recipe, images, size), runner, known)


def _first_run(opened: OpenedNetwork, images: ImageList, size: Pair, recipe: Recipe) -> NetworkRun:
    """The network on the first image that can be read: how its layers are read, and checks."""
    reason = ""
    for image in range(len(images.names)):
        try:
            photo = decode(images.path(image)).pixels
        except ImageError as error:
            reason = reason or str(error)
            continue
        break
    else:
        raise ValueError(f"None of the {len(images.names)} images can be read. The first: {reason}")
    with unread_layers() as unread:
        samplings = opened.run(photo, size, recipe.normalisation)
    if not samplings:
        raise ValueError(none_recorded(opened.name, opened.layers, unread))
    run = inspect_network(
        samplings, photo, opened.name, layers=opened.layers, weights=opened.weights,
        read_tensors=opened.read_tensors, thresholds=recipe.thresholds,
    )  # fmt: skip
    return replace(run, notes=(*opened.notes, *unread))


def _known(layer: Layer | None, opened: OpenedNetwork) -> Known:
    if layer is None:
        return Known()
    return Known(layer_info(layer).mask_max, _unlearned(opened.weights.get(layer.name)))


def _unlearned(weights: OffsetWeights | None) -> Kind | None:
    """As `analysis.findings` has it: what predicts the offsets is zero, or all but its bias."""
    if weights is None or bool((weights[0] != 0).any()):
        return None
    bias = weights[1]
    return "untrained" if bias is None or not bool((bias != 0).any()) else "bias only"


def _plan(recipe: Recipe, images: ImageList, size: Pair) -> dict[str, Any]:
    """Plain JSON types."""
    return {
        "version": __version__,
        "checkpoint": _digest(recipe.checkpoint),
        "images": images.digest,
        "model": recipe.model,
        "loose": not recipe.strict,
        "size": list(size),
        "normalisation": recipe.normalisation,
        "batch": recipe.batch,
        "thresholds": asdict(recipe.thresholds),
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
