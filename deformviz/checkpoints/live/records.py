"""`Records`: the list of what was recorded, each under a name of its own and laid on the image."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...geometry import ImageMap, Pair
from ...sampling import Sampling
from .placing import image_map_of
from .recorded import Recorded


class Records:
    """What a run of a model has shown so far, in the order of its calls."""

    def __init__(self) -> None:
        self.samplings = Recorded()
        self._calls: Counter[str] = Counter()

    def add(self, sampling: Sampling, name: str, image_size: Pair | None) -> str:
        """Take one record in.

        Args:
            sampling: of one call.
            name: of its layer; a later call of it is numbered.
            image_size: (H, W) of the image, or None where the map is its own image.

        Returns:
            The name that it has got.

        Example:
            >>> from deformviz import Kernel
            >>> records = Records()
            >>> for _ in range(2):
            ...     _ = records.add(Sampling.regular("", Kernel.of(1), (8, 8)), "conv4", (64, 64))
            >>> [s.name for s in records.samplings], records.samplings[0].image_map.stride
            (['conv4', 'conv4 (2nd call)'], (8.0, 8.0))
        """
        self._calls[name] += 1
        place = ImageMap() if image_size is None else image_map_of(image_size, sampling.input_size)
        numbered = name + _again(self._calls[name])
        self.samplings.append(replace(sampling, name=numbered, image_map=place))
        return numbered


def _again(count: int) -> str:
    """What is put behind the name of a second call, and so on; nothing for the first."""
    if count == 1:
        return ""
    teen = count % 100 in (11, 12, 13)
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f" ({count}{ending} call)"
