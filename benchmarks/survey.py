"""What `deformviz survey` costs a network that runs over a folder of images anyway, as a ratio.

    python benchmarks/survey.py [--rounds 10] [--batch 8] [--size 224 224] [--json FILE]

The network is that of `capture.py`, a ResNet-50 with 13 deformable layers. Both ways read the same
images by the same loader, decode the next batch while the network runs on this one, and take turns
batch after batch; the survey also measures, adds up and writes its state. Each pair of turns makes
a ratio of images per second, so that a machine that is busy with other things disturbs both alike.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line has it

import numpy as np
import paths  # noqa: F401  (where deformviz lies)
import torch
from capture import network
from PIL import Image
from rows import Report, Row, arguments, finish

from deformviz.survey.loading import loaded
from deformviz.survey.state import State
from deformviz.survey.station import Recipe, Station, station

TARGET = 0.9
"""Of the images per second that the network alone does."""


def photos(folder: Path, count: int) -> Path:
    """So many JPEGs of 480 x 640 with something at every scale."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(count):
        picture = np.zeros((480, 640, 3))
        for cells in (4, 16, 64, 256):
            noise = generator.integers(0, 64, (cells, cells, 3), dtype=np.uint8)
            picture += np.asarray(Image.fromarray(noise).resize((640, 480)))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{index:05}.jpg")
    return folder


Seconds = tuple[float, float]
"""By the clock, and of the processor, which others on the machine disturb less."""


def plain(here: Station, model: torch.nn.Module, chunks: list[int]) -> Seconds:
    """Time for some batches without a survey."""
    start = _now(here)
    with torch.no_grad():
        for batch in loaded(here.loader, chunks):
            assert batch.x is not None
            model(batch.x.to(here.recipe.device))
    return _since(start, here)


def surveyed(here: Station, state: State, chunks: list[int], path: Path) -> Seconds:
    """The same with all that a survey does."""
    start = _now(here)
    for batch in loaded(here.loader, chunks):
        state.count(batch.chunk, here.tally(batch))
    state.save(path)
    return _since(start, here)


def _now(here: Station) -> Seconds:
    if here.recipe.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def _since(start: Seconds, here: Station) -> Seconds:
    now = _now(here)
    return now[0] - start[0], now[1] - start[1]


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The ratio of each pair of turns."""
    torch.manual_seed(0)
    model = network()
    torch.save(model.state_dict(), folder / "net.pth")
    recipe = Recipe(
        folder / "net.pth", photos(folder / "photos", (options.rounds + 1) * options.batch),
        model="capture:network", size=tuple(options.size), batch=options.batch,
        device=options.device, normalisation="imagenet",
    )  # fmt: skip
    model = model.to(options.device)
    pairs = []
    with station(recipe) as here:
        state = State(here.plan)
        for chunk in range(here.loader.chunks):
            both = [
                lambda: plain(here, model, [chunk]),  # noqa: B023  (called at once)
                lambda: surveyed(here, state, [chunk], folder / "state"),  # noqa: B023
            ]
            order = (0, 1) if chunk % 2 else (1, 0)
            seconds = {way: both[way]() for way in order}
            pairs.append((seconds[0], seconds[1]))
    pairs = pairs[1:]  # the first one warms up
    ratios, cpu = (sorted(a[way] / b[way] for a, b in pairs) for way in (0, 1))
    speeds = [options.batch / median(t[0] for t in times) for times in zip(*pairs, strict=True)]
    return {
        "rounds": options.rounds, "batch": options.batch, "size": options.size,
        "device": options.device, "threads": torch.get_num_threads(),
        "plain_images_per_second": speeds[0], "survey_images_per_second": speeds[1],
        "ratio_median": median(ratios), "ratio_least": ratios[0], "ratio_largest": ratios[-1],
        "cpu_ratio_median": median(cpu), "cpu_ratio_least": cpu[0], "cpu_ratio_largest": cpu[-1],
    }  # fmt: skip


def rows(report: Report, quick: bool, options: argparse.Namespace | None = None) -> None:
    """The ratio of images per second, by the clock and of processor time."""
    given = options or _arguments().parse_args([])
    given.rounds = min(given.rounds, 3) if quick else given.rounds
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        told = measured(given, Path(folder))
    for kind, name in (("", "images per second"), ("cpu_", "per second of processor time")):
        spread = [told[f"{kind}ratio_{which}"] for which in ("median", "least", "largest")]
        report.add(
            Row(f"{name}, deformviz survey / the network alone", *spread, "×", TARGET, "more")
        )
    report.details |= told
    report.note(
        f"alone {told['plain_images_per_second']:.2f} images/s, "
        f"surveyed {told['survey_images_per_second']:.2f} images/s"
    )


def _arguments() -> argparse.ArgumentParser:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=(224, 224))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="as many as PyTorch chooses by default")
    return parser


if __name__ == "__main__":
    options = _arguments().parse_args()
    finish(partial(rows, options=options), options.quick, options.json)
