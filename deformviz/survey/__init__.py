"""A network on thousands of images: what its deformable layers do, and how often it goes wrong.

    found = survey("net.pth", "photos", model="mynet:build")
    print(found.to_text())

The images go by in batches (`images`, `loading`), each is run (`networks`) and measured
(`stacks`, `measuring`, `hits`), and what is kept are counts and exact sums (`tally`), which add up
in any order: after an interruption (`state`) and over many machines (`ray_runner`).
"""

from .report import Found, Survey
from .running import survey
from .tally import LayerTally, Tally

__all__ = ["Found", "LayerTally", "Survey", "Tally", "survey"]
