"""The operators: each a function, a thin `nn.Module`, and the `Sampling` of a call."""

from .active_shift import (
    ActiveShift2d,
    CycleFC,
    channel_shift,
    channel_shift_sampling,
    cycle_offsets,
)
from .conv import Conv2d, conv2d_sampling
from .coord_conv import COORDINATES, CoordConv2d, add_coordinates, coordinate_channels
from .deform_conv import deform_conv2d, deform_conv2d_sampling
from .deform_conv_backends import Backend
from .deform_conv_layers import (
    DeformConv2d,
    ModulatedDeformConv2d,
    activate_mask,
    parameter_groups,
)
from .dr_conv import DRConv2d, dr_conv2d, dr_conv2d_sampling
from .spatial_shift import (
    BorderError,
    SpatialShift2d,
    spatial_shift,
    spatial_shift_sampling,
)

__all__ = [
    "COORDINATES",
    "ActiveShift2d",
    "Backend",
    "BorderError",
    "Conv2d",
    "CoordConv2d",
    "CycleFC",
    "DRConv2d",
    "DeformConv2d",
    "ModulatedDeformConv2d",
    "SpatialShift2d",
    "activate_mask",
    "add_coordinates",
    "channel_shift",
    "channel_shift_sampling",
    "conv2d_sampling",
    "coordinate_channels",
    "cycle_offsets",
    "deform_conv2d",
    "deform_conv2d_sampling",
    "dr_conv2d",
    "dr_conv2d_sampling",
    "parameter_groups",
    "spatial_shift",
    "spatial_shift_sampling",
]
