"""The command line, also as `python -m deformviz`.

Exit status: 0 for a clean bill, 1 for findings, 2 for what cannot be read or run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import COMMANDS, parser

if TYPE_CHECKING:
    from .inspection import Inspection, NetworkRun, Series
    from .survey import Survey
    from .viewer import Stack

CLEAN, FINDINGS, UNREADABLE = 0, 1, 2
_INTERRUPTED = 130
"""As shells have it for Ctrl-C."""

_PACKAGE = Path(__file__).resolve().parent
_COLUMNS = 140
"""Of a file or a pipe, which have no width of their own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status.

    Example:
        >>> main(["check", "no/such/file.pth", "--json"])  # doctest: +ELLIPSIS
        {"error": "Expected a checkpoint (...), but there is no such file. Check its name."}
        2
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in app.py; torch is not loaded yet
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        parser().print_help()
        return CLEAN
    if given[0] not in (*COMMANDS, "-h", "--help", "--version"):
        given.insert(0, "view")  # a file: look at it
    options = parser().parse_args(given)
    run = {"view": _view, "check": _check, "compare": _series, "series": _series}
    run["survey"] = _survey
    try:
        return run[options.command](options)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except (Exception, SystemExit) as error:
        return _refused(error, options)


# ------------------------------------------------------------------------------------- commands


def _check(options: argparse.Namespace) -> int:
    found = _inspected(options.checkpoint, options)
    if options.html:
        _page(found).save(options.html)
    _print(found, options)
    return FINDINGS if found.to_dict()["findings"] else CLEAN


def _view(options: argparse.Namespace) -> int:
    page = _page(_inspected(options.checkpoint, options))
    if options.save:
        page.save(options.save)
        print(f"The viewer is in {options.save}")
    else:
        print(f"The viewer is in {page.open()}")
    return CLEAN


def _series(options: argparse.Namespace) -> int:
    from .inspection import natural_order, series_of_checkpoints, series_of_runs

    paths: list[str] = options.checkpoints
    if len(paths) < 2:
        raise ValueError(f"Expected two checkpoints or more, got {len(paths)}.")
    if options.command == "series":
        paths = natural_order(paths)
    if options.image is None:
        series = series_of_checkpoints([_by_weights(path, options) for path in paths])
    else:
        series = series_of_runs([_by_run(path, options) for path in paths])
    _print(series, options)
    return FINDINGS if series.findings[-1] else CLEAN


def _survey(options: argparse.Namespace) -> int:
    from .device import choose
    from .survey import survey
    from .survey.progress import Progress

    progress = Progress()
    try:
        # What the model's own code prints is not what was asked for.
        with contextlib.redirect_stdout(sys.stderr):
            found = survey(
                options.checkpoint,
                options.images,
                **_running(options),
                batch=options.batch,
                device=choose(options.device),
                state=options.state or Path.cwd(),
                save_every=options.save_every,
                ray=options.ray,
                advance=progress.advance,
            )
    except KeyboardInterrupt:
        progress.end()
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return _INTERRUPTED
    progress.end()
    _print(found, options)
    if options.state is None and found.state is not None:
        found.state.unlink(missing_ok=True)
    return FINDINGS if found.findings else CLEAN


def _running(options: argparse.Namespace) -> dict[str, Any]:
    """How the network is run, as arguments of `run_checkpoint` and `survey`."""
    return {
        "model": options.model,
        "strict": not options.loose,
        "trust": options.trust,
        "size": None if options.size is None else tuple(options.size),
        "normalisation": options.normalisation,
    }


def _inspected(path: str, options: argparse.Namespace) -> Inspection | NetworkRun:
    """A file by its weights, or, with a photo, by its run."""
    return _by_weights(path, options) if options.image is None else _by_run(path, options)


def _by_weights(path: str, options: argparse.Namespace) -> Inspection:
    from .inspection import inspect_checkpoint, is_program

    if options.model is not None:
        raise ValueError("A model runs on a photo: give --image PHOTO as well.")
    if is_program(path):
        raise ValueError(
            "A .pt2 file is a program, which is not read but run: give --image PHOTO, and "
            "--trust if you trust its author, as loading it may run any code that is in it."
        )
    return inspect_checkpoint(path)


def _by_run(path: str, options: argparse.Namespace) -> NetworkRun:
    from .inspection import run_checkpoint

    # What the model's own code prints is not what was asked for.
    with contextlib.redirect_stdout(sys.stderr):
        return run_checkpoint(path, options.image, **_running(options))


def _page(found: Inspection | NetworkRun) -> Stack:
    """The viewer of all layers, each with what there is to say of it."""
    from .inspection import MAP_SIZE, NetworkRun, squares, told_of_run, told_of_weights
    from .viewer import Stack

    if isinstance(found, NetworkRun):
        runs = found.layers
        return Stack(
            [row.sampling for row in runs], found.photo, [told_of_run(row) for row in runs],
            found.name,
        )  # fmt: skip
    rows = [row for row in found.layers if row.sampling is not None]
    patterns = [row.sampling for row in rows if row.sampling is not None]
    name = found.checkpoint.name
    if not rows:
        raise ValueError(f"There is nothing to show: {name} has no layer with a static pattern.")
    return Stack(patterns, squares(MAP_SIZE), [told_of_weights(row) for row in rows], name)


# --------------------------------------------------------------------------------------- output


def _print(found: Inspection | NetworkRun | Series | Survey, options: argparse.Namespace) -> None:
    from .inspection import Inspection, Series

    if options.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
    elif isinstance(found, Inspection | Series):
        print(found.to_text())
    else:
        print(found.to_text(_width()))


def _width() -> int:
    if not sys.stdout.isatty():
        return _COLUMNS
    return shutil.get_terminal_size().columns


def _refused(error: BaseException, options: argparse.Namespace) -> int:
    """One sentence, in the JSON where it was asked for, and the status."""
    sentence = _sentence(error)
    if getattr(options, "json", False):
        print(json.dumps({"error": sentence}))
    else:
        print(sentence, file=sys.stderr)
    return UNREADABLE


def _sentence(error: BaseException) -> str:
    """What went wrong; of an error in the model's own code, also where."""
    from .inspection.printable import printable

    text = " ".join(str(error).split())
    if isinstance(error, PermissionError) and error.errno is None:
        text += " On the command line, that is --trust."
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}"
    elif not _expected(error):
        text = f"The network failed: {type(error).__name__}: {text}{_place(error)}"
    return printable(text, most=600)


def _expected(error: BaseException) -> bool:
    """Whether an error is a message for a person: of the system, or of deformviz itself."""
    if isinstance(error, OSError | ImportError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, ValueError) and Path(frames[-1].filename).is_relative_to(_PACKAGE)


def _place(error: BaseException) -> str:
    """The last line of the model's own code that the error went through."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_file()
        and not Path(frame.filename).is_relative_to(_PACKAGE)
        and "site-packages" not in frame.filename
    ]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
