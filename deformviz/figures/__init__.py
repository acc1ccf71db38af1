"""Plotly figures from a `Sampling`, for the page and for a notebook."""

from .colors import direction_colors, index_colors, robust_top, wheel_picture
from .kernel import kernel_figure
from .layers import LAYERS, Choice, layers_for
from .sweep import save_sweep
from .views import as_picture, display_range, output_figure, sampling_figure

__all__ = [
    "LAYERS",
    "Choice",
    "as_picture",
    "direction_colors",
    "display_range",
    "index_colors",
    "kernel_figure",
    "layers_for",
    "output_figure",
    "robust_top",
    "sampling_figure",
    "save_sweep",
    "wheel_picture",
]
