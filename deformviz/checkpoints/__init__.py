"""Checkpoints: a file from anyone is read safely; its deformable layers are found in it.

    checkpoint = open_checkpoint("net.pth")
    checkpoint.shapes                              # {"conv.weight": (64, 3, 3, 3), ...}
    checkpoint.tensors(["conv.weight"])            # these are read, and no others

What meets the bytes of a stranger's file is in `parsers`, and runs in a process of its own.
"""

from .errors import CheckpointError
from .parsers.limits import Limits
from .reading import Checkpoint, Wrapper, open_checkpoint

__all__ = ["Checkpoint", "CheckpointError", "Limits", "Wrapper", "open_checkpoint"]
