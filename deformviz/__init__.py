"""deformviz: see where a deformable convolution reads its input."""

from .geometry import ImageMap, Kernel
from .sampling import Sampling

__version__ = "0.1.0"

__all__ = ["ImageMap", "Kernel", "Sampling", "__version__"]
