"""deformviz: see where a deformable convolution reads its input."""

from .sampling import ImageMap, Kernel, Sampling

__version__ = "0.1.0"

__all__ = ["ImageMap", "Kernel", "Sampling", "__version__"]
