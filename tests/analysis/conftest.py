"""Maps are measured in strips of rows: what must not depend on it is tested with both kinds."""

from __future__ import annotations

import pytest

from deformviz.analysis.strips import row_strips


@pytest.fixture(params=["one strip", "a strip for each row"])
def strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "one strip":
        monkeypatch.setattr(row_strips, "__defaults__", (1,))
