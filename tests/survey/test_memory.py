"""Memory does not grow with the number of images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from surveyed import net, photos

HERE = Path(__file__).resolve().parent

CODE = """
import resource, sys
from deformviz.survey import survey
found = survey("net.pth", sys.argv[1], model="surveyed:net", size=(96, 96), batch=4,
               state=sys.argv[1] + ".state", save_every=0)
assert found.tally.images == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(folder: Path, images: str, count: int) -> int:
    """Of a process of its own, in MB."""
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    # One arena: what glibc keeps for each thread differs from run to run.
    quiet = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", CODE, images, str(count)], cwd=folder, capture_output=True,
        text=True, check=True, env={**os.environ, **quiet},
    )  # fmt: skip
    return int(done.stdout) // (1024 if sys.platform == "linux" else 1 << 20)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_eight_times_the_images_take_the_same_memory(tmp_path: Path) -> None:
    torch.save(net().state_dict(), tmp_path / "net.pth")
    photos(tmp_path / "few", 50)
    photos(tmp_path / "many", 400)
    few, many = peak(tmp_path, "few", 50), peak(tmp_path, "many", 400)
    # What 350 images would take if they stayed: pixels alone 38 MB, offsets of both layers 250 MB.
    assert many - few < 20
