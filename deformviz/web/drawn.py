"""What is asked for as the JSON that the page's viewer draws, links and comparisons included."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from plotly.io.json import to_json_plotly

from ..explore import explore
from ..images import decode
from ..viewer import ViewState
from .asked import Asked, five_ways, run
from .link import Link, to_query
from .numbers import SHELF, Kept, downloads_part, numbers_part
from .view import checks_part, view_part


def draw(asked: Asked, device: str, state: ViewState | None = None) -> str:
    """As `view_of`, as text."""
    text: str = to_json_plotly(view_of(asked, device, state))
    return text


def view_of(
    asked: Asked, device: str, state: ViewState | None = None, shown: ViewState | None = None
) -> dict[str, Any]:
    """Run, and say it in the viewer's words.

    Args:
        asked: what the controls say.
        device: where to run.
        state: what the viewer is to show; without one it keeps the state it has.
        shown: that state, as far as it is known: its position is drawn before the numbers come.
    """
    exploration, photo = run(asked, device)
    known = state or shown or ViewState()
    y, x = known.y, known.x
    view = view_part(exploration, photo, y, x)
    kept = Kept(exploration.sampling, photo.pixels, dict(view), partial(checks_part, exploration))
    view |= {"data": numbers_part(kept), "downloads": downloads_part(kept)}
    view["grounds"]["image"]["name"] = photo.name  # by which a page tells that it holds it already
    view["query"] = urlencode(to_query(asked))
    view["shifts"] = five_ways(asked, device) if asked.operator == "Spatial shift" else None
    if state is not None:
        view["state"] = state.json()
    return view


def draw_example(asked: Asked, device: str, state: ViewState) -> str:
    """As `draw`, for what every page opens on: its numbers are kept as long as the server runs."""
    # The first run of a process loads libraries, and its time would be told as the operator's.
    explore(decode(asked.path, max_side=64).pixels, asked.settings, device)
    text = draw(asked, device, state)
    exploration, _ = run(asked, device)
    SHELF.put(Kept(exploration.sampling), for_good=True)
    return text


def open_link(link: Link, device: str) -> str:
    """What a link asks for, the view kept beside it and what was refused included."""
    view = view_of(link.asked, device, link.state)
    if link.kept is not None:
        view["kept"] = view_of(link.kept.asked, device, link.kept.state)
    view["notes"] += link.problems
    text: str = to_json_plotly(view)
    return text
