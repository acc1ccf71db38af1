"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers that use every core each would only wait for one another. Read when torch is
    # imported, here and in the servers that tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples on every run, however slow the machine; `--hypothesis-profile=default` looks
# for new ones.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first: the others then run beside them, instead of being done before."""
    items.sort(key=lambda item: "slow" not in item.keywords)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real checkpoints, which are too large to be part of the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DEFORMVIZ_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}: set DEFORMVIZ_TEST_DATA")
    return folder
