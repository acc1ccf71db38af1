"""A running server as a program sees it, and what the core itself would answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client

from deformviz.explore import Exploration, Settings, explore
from deformviz.images import decode
from deformviz.web.asked import Asked
from deformviz.web.explore_tab import FIRST, FIRST_SIDE

ENDPOINTS = ("/explore", "/sampling", "/compare_shifts")
NAMES = [field.name for field in fields(Asked)]
STRATEGIES = ["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]


@dataclass
class Served:
    """A server that runs, what a program asks it with, and where its files go."""

    url: str
    client: Client
    folder: Path

    def predict(self, endpoint: str, **arguments: Any) -> Any:
        """Ask as a Python program does; without a photo, of the example."""
        return self.client.predict(api_name=endpoint, **({"photo": None} | arguments))

    def post(self, endpoint: str, **arguments: Any) -> tuple[str, Any]:
        """Ask with what curl would send, unchecked: the event, "complete" or "error", its data."""
        api = self.client.view_api(return_format="dict", print_info=False)
        parameters = api["named_endpoints"][endpoint]["parameters"]
        data = [arguments.get(p["parameter_name"], p["parameter_default"]) for p in parameters]
        call = f"{self.url}gradio_api/call{endpoint}"
        asked = httpx.post(
            call,
            content=json.dumps({"data": data}),  # with NaN, too
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert asked.status_code == 200, asked.text
        answer = httpx.get(f"{call}/{asked.json()['event_id']}", timeout=60).text
        event, _, data = answer.strip().rpartition("event: ")[2].partition("\ndata: ")
        return event, json.loads(data)

    def assert_alive(self) -> None:
        """It still computes."""
        result = self.predict("/explore", operator="Convolution", side=32)
        assert all(check["passed"] for check in result["checks"])


def direct(photo: Path, side: int = FIRST_SIDE, **settings: Any) -> Exploration:
    """The core's own answer, with the page's first settings where none are named."""
    values = {f.name: getattr(FIRST, f.name) for f in fields(Settings)} | settings
    return explore(decode(photo, max_side=side).pixels, Settings(**values))
