"""Checkpoints: a file from anyone is read safely; its deformable layers are found in it.

    checkpoint = open_checkpoint("net.pth")
    checkpoint.shapes                              # {"conv.weight": (64, 3, 3, 3), ...}
    layers = find_layers(checkpoint.shapes)        # names and shapes together, see FAMILIES
    tensors = checkpoint.tensors(layers[0].tensors.values())  # these are read, and no others
    static_sampling(layers[0], tensors, (32, 32))  # its mean pattern, from the weights alone
    run_layer(layers[0], tensors, feature)         # where it reads on a feature map at hand

What meets the bytes of a stranger's file is in `parsers`, and runs in a process of its own. Every
code base's offsets become one canonical form, see `to_canonical`.
"""

from .canonical import Canonical
from .capture import capture, capture_batch
from .convert import to_canonical
from .errors import CheckpointError
from .exported import load_exported, run_exported
from .families import FAMILIES, family_of
from .family import Family
from .layer import Layer
from .layers import find_layers
from .models import load_model, load_weights, run_on_image
from .onnx_confined import run_onnx_confined
from .onnx_run import run_onnx
from .parsers.limits import Limits, RunLimits
from .reading import Checkpoint, Wrapper, open_checkpoint
from .running import raw_offsets, run_layer
from .verify import Verified, verify, verify_order, verify_sum
from .weights import dependence, is_constant, is_untrained, static_sampling

__all__ = [
    "FAMILIES",
    "Canonical",
    "Checkpoint",
    "CheckpointError",
    "Family",
    "Layer",
    "Limits",
    "RunLimits",
    "Verified",
    "Wrapper",
    "capture",
    "capture_batch",
    "dependence",
    "family_of",
    "find_layers",
    "is_constant",
    "is_untrained",
    "load_exported",
    "load_model",
    "load_weights",
    "open_checkpoint",
    "raw_offsets",
    "run_exported",
    "run_layer",
    "run_on_image",
    "run_onnx",
    "run_onnx_confined",
    "static_sampling",
    "to_canonical",
    "verify",
    "verify_order",
    "verify_sum",
]
