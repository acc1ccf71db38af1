"""What the Checkpoint tab does: from what a person did to the new values of its components.

Each job is given what its event hands over, and returns values by the names of the components.
"""

from __future__ import annotations

import secrets
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from ..checkpoints.pictures import Normalisation
from ..inspection import LayerInspection
from ..viewer import ViewState
from ..words import say
from .guard import accept_photo
from .layer_table import elided, table_html
from .layer_view import draw_layer
from .layer_words import words_html
from .made_up_epochs import write_epochs
from .made_up_network import MadeUpNetwork, write_network
from .opened import OPENINGS, Opened
from .opening import OnPhoto, Tell, open_files, open_network, read_otherwise, run_again
from .timeline import measures, timeline

Told = dict[str, Any]
"""New values of components, by their names."""

READINGS = ("family", "order", "mask_activation", "outside", "offset_groups")
"""What of a layer's reading can be overridden, by the names of `Layer`."""

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
NO_MASK = "none"
_MEASURE = "static"


@lru_cache(maxsize=1)
def example_opened() -> Opened:
    """The made-up network, which ran on a photo, at its deepest layer that learned something."""
    folder = Path(tempfile.mkdtemp(prefix="deformviz-example-"))
    return open_network(write_network(folder), MadeUpNetwork(), OnPhoto(), layer=2)


@lru_cache(maxsize=1)
def epochs_opened() -> Opened:
    """The made-up checkpoints of a training."""
    folder = Path(tempfile.mkdtemp(prefix="deformviz-example-"))
    return open_files([str(path) for path in write_epochs(folder)], OnPhoto())


def opened_by(session: str | None) -> Opened:
    """What a visitor has open; a new one has the example."""
    return example_opened() if session is None else OPENINGS.get(session)


# Jobs


def open_job(
    paths: list[str],
    session: str | None,
    measure: str | None,
    photo: str | None,
    example: str,
    side: float | None,
    normalisation: Normalisation,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Told:
    """Open what was uploaded; a photo among it is what an .onnx runs on."""
    photos = [path for path in paths if Path(path).suffix.lower() in PHOTO_SUFFIXES]
    files = [path for path in paths if path not in photos]
    if not files:
        raise ValueError("expected a checkpoint, got a photo: drop an .onnx file with it")
    photo = accept_photo(photos[-1]) if photos else photo
    on = OnPhoto(photo, example, side, normalisation)
    opened = open_files(files, on, _told_by(progress))
    OPENINGS.drop(session)
    return {**_kept(opened, None, measure, fresh=True), "photo": photo}


def delete_job(
    paths: list[str] | None,
    session: str | None,
    measure: str | None,
    photo: str | None,
    example: str,
    side: float | None,
    normalisation: Normalisation,
    event: gr.DeletedFileData,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Told:
    """Go on without one of the files, which may be among the paths still."""
    paths = [path for path in paths or [] if path != event.file.path]
    if not paths:
        return example_job(session, measure)
    return open_job(paths, session, measure, photo, example, side, normalisation, progress)


def example_job(session: str | None, measure: str | None) -> Told:
    """Close what is open, and go back to the example."""
    OPENINGS.drop(session)
    told = shown(example_opened(), measure, fresh=True)
    return {**told, "session": None, "file": None, "photo": None, "example": OnPhoto.example}


def epochs_job(session: str | None, measure: str | None) -> Told:
    """Open the made-up checkpoints."""
    OPENINGS.drop(session)
    return {**_kept(epochs_opened(), None, measure, fresh=True), "file": None}


def look_job(session: str | None, measure: str | None, event: gr.EventData) -> Told:
    """Look at another layer: a row of the table, which shows already that it is chosen."""
    index = event._data.get("index") if isinstance(event._data, dict) else None
    if not isinstance(index, int) or isinstance(index, bool):
        raise ValueError("choose a layer of the table")
    told = _kept(opened_by(session).at_layer(index), session, measure)
    return {**told, "table": gr.skip()}


def file_job(session: str | None, measure: str | None, index: int | None) -> Told:
    """Look at another file, at the same layer."""
    if index is None:
        raise ValueError("choose a file")
    return _kept(opened_by(session).at_file(index), session, measure)


def compare_job(session: str | None, measure: str | None) -> Told:
    """Put the same layer of the file before beside it, as B."""
    opened = opened_by(session)
    beside = opened.at_file(_file_beside(opened))
    view = draw_layer(opened, beside=beside, ask=secrets.token_hex(4))
    if view is None:
        raise ValueError("this layer has no static pattern to compare")
    return {"view": view}


def measure_job(session: str | None, measure: str | None) -> Told:
    """Draw another number of the layers over the files."""
    return _timeline(opened_by(session), measure)


def override_job(session: str | None, measure: str | None, *values: Any) -> Told:  # noqa: ANN401
    """Read the layer as a person knows better."""
    opened = opened_by(session)
    row = opened.shown.rows[opened.layer]
    if not isinstance(row, LayerInspection):
        raise ValueError("the graph of an .onnx file says how its layers are read")
    wanted = dict(zip(READINGS, values, strict=True))
    if wanted["mask_activation"] == NO_MASK:
        wanted["mask_activation"] = None
    groups = wanted["offset_groups"]
    wanted["offset_groups"] = None if groups is None else int(groups)
    changes = {name: value for name, value in wanted.items() if value != getattr(row.layer, name)}
    if "family" in changes:  # the others are that family's own, until they are changed in turn
        changes = {"family": changes["family"]}
    return _kept(read_otherwise(opened, row.layer.override(**changes)), session, measure)


def photo_job(
    session: str | None,
    measure: str | None,
    photo: str | None,
    example: str,
    side: float | None,
    normalisation: Normalisation,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Told:
    """Run the networks on another photo, or in another way."""
    photo = None if photo is None else accept_photo(photo)
    on = OnPhoto(photo, example, side, normalisation)
    opened = run_again(opened_by(session), on, _told_by(progress))
    return {**_kept(opened, session, measure), "photo": photo}


def example_photo_job(
    session: str | None,
    measure: str | None,
    photo: str | None,
    example: str,
    side: float | None,
    normalisation: Normalisation,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Told:
    """Run the networks on one of the examples."""
    return photo_job(session, measure, None, example, side, normalisation, progress)


def _told_by(progress: gr.Progress) -> Tell:
    return lambda part, words: progress(part, desc=say(words))


def _kept(opened: Opened, session: str | None, measure: str | None, *, fresh: bool = False) -> Told:
    """Show it, and keep it for what comes next."""
    told = shown(opened, measure, fresh=fresh)
    return {**told, "session": OPENINGS.put(opened, session)}


# What is shown


def shown(opened: Opened, measure: str | None = None, *, fresh: bool = False) -> Told:
    """Everything on the tab, for what is open.

    Args:
        opened: at the layer that is looked at.
        measure: what the timeline shows.
        fresh: whether the viewer begins anew, instead of keeping its pin, zoom and layers.
    """
    view = draw_layer(opened, state=ViewState() if fresh else None)
    several = len(opened.files) > 1
    names = [(elided(file.name, 30), i) for i, file in enumerate(opened.files)]
    beside = opened.files[_file_beside(opened)].name
    return {
        "files": gr.update(choices=names, value=opened.file, visible=several),
        "compare": gr.update(
            value=say("compare with {file}", file=elided(beside, 30)), visible=several
        ),
        "table": table_html(opened.shown, opened.layer),
        "words": words_html(opened),
        "view": gr.skip() if view is None else view,
        "photo_box": gr.update(visible=any(file.run is not None for file in opened.files)),
        **_timeline(opened, measure),
        **_readings(opened),
    }


def _file_beside(opened: Opened) -> int:
    """The file before the one that is looked at, or behind the first."""
    return opened.file - 1 if opened.file else min(1, len(opened.files) - 1)


def _timeline(opened: Opened, measure: str | None) -> Told:
    series = opened.series
    if series is None or not series.layers:
        return {
            "timeline_box": gr.update(visible=False),
            "measure": gr.update(choices=[], value=None),
            "timeline": "",
        }
    choices = measures(series)
    known = [name for _, name in choices]
    measure = measure if measure in known else _MEASURE if _MEASURE in known else known[0]
    layer = opened.shown.names[opened.layer]
    return {
        "timeline_box": gr.update(visible=True),
        "measure": gr.update(choices=choices, value=measure),
        "timeline": timeline(series, layer, measure),
    }


def _readings(opened: Opened) -> Told:
    row = opened.shown.rows[opened.layer]
    if not isinstance(row, LayerInspection):
        return {"reading_box": gr.update(visible=False), **dict.fromkeys(READINGS, gr.skip())}
    values = {name: getattr(row.layer, name) for name in READINGS}
    values["mask_activation"] = values["mask_activation"] or NO_MASK
    return {
        "reading_box": gr.update(visible=True),
        **{name: gr.update(value=value) for name, value in values.items()},
    }
