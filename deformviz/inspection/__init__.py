"""What a checkpoint's deformable layers are, what they do, and how that changed.

    inspect_checkpoint("net.pth")                  # by the weights alone
    run_checkpoint("net.onnx", "photo.jpg")        # by a run on a photo
    inspect_network(samplings, photo, "net.pth")   # by one of your own: `capture`, `run_on_image`
    inspect_series(["epoch_1.pth", "epoch_2.pth"])  # from file to file

All of them end in `to_dict()`, of plain JSON types.
"""

from .natural import natural_order
from .network import LayerRun, NetworkRun, inspect_network
from .opening import is_program
from .running import run_checkpoint
from .series import LayerSeries, Series, inspect_series, series_of_checkpoints, series_of_runs
from .told import squares, told_of_run, told_of_weights
from .weights import (
    MAP_SIZE,
    Inspection,
    LayerInspection,
    inspect_checkpoint,
    inspect_layer,
    layer_info,
)

__all__ = [
    "MAP_SIZE",
    "Inspection",
    "LayerInspection",
    "LayerRun",
    "LayerSeries",
    "NetworkRun",
    "Series",
    "inspect_checkpoint",
    "inspect_layer",
    "inspect_network",
    "inspect_series",
    "is_program",
    "layer_info",
    "natural_order",
    "run_checkpoint",
    "series_of_checkpoints",
    "series_of_runs",
    "squares",
    "told_of_run",
    "told_of_weights",
]
