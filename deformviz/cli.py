"""The command line, also as `python -m deformviz`.

    deformviz net.onnx --image photo.jpg          opens the viewer
    deformviz check net.pth                       lists the layers and what is wrong with them
    deformviz compare before.pth after.pth        what changed
    deformviz series epoch_*.pth                  what changed from file to file

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inspection import Inspection, NetworkRun, Series
    from .viewer import Stack

CLEAN, FINDINGS, UNREADABLE = 0, 1, 2

_PACKAGE = Path(__file__).resolve().parent
_HELP = ("-h", "--help", "--version")
_COLUMNS = 140
"""Of a file or a pipe, which have no width of their own."""

_FILES = ".pt, .pth, .ckpt, .bin, .safetensors, .onnx; .pt2 with --image and --trust"
_RUN = """
By the weights alone, nothing in a file is executed, and it may come from anyone: what
is told is each layer's static pattern. With a photo the network runs, and what is told
is what its layers did:
  .onnx          runs by onnxruntime (pip install 'deformviz[onnx]'); it holds no code
  weights alone  run in your own model: --model package.module:factory is imported from
                 the current folder or the environment, and called without arguments.
                 That is your own code, and it runs
  .pt2           is a program of torch.export. Loading one may run any code that is in
                 it, so it takes --trust: for files that you exported yourself, or whose
                 author you trust, never for others
"""
_STATUS = "Exit status: 0 for a clean bill, 1 for findings, 2 for what cannot be read or run."
_LAST = (
    "Exit status: 0 where the last file has a clean bill, 1 where it has findings, 2 for\n"
    "what cannot be read or run."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status.

    Example:
        >>> main(["check", "no/such/file.pth", "--json"])  # doctest: +ELLIPSIS
        {"error": "Expected a checkpoint (...), but there is no such file. Check its name."}
        2
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = _parser()
    if not given:
        parser.print_help()
        return CLEAN
    # A file without a command: look at it.
    if given[0] not in commands and given[0] not in _HELP:
        given.insert(0, "view")
    options = parser.parse_args(given)
    try:
        status: int = options.run(options)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except (Exception, SystemExit) as error:
        return _refused(error, options)
    return status


# ------------------------------------------------------------------------------------ arguments


def _parser() -> tuple[argparse.ArgumentParser, set[str]]:
    """The parser, and the names of its commands."""
    parser = argparse.ArgumentParser(
        prog="deformviz",
        description="See where the deformable convolutions of a checkpoint read.",
        epilog=_after_first_line(__doc__),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(required=True, metavar="command")

    view = _command(commands, "view", _view, "open the viewer; also without the word", _RUN)
    view.add_argument("checkpoint", metavar="CKPT", help=_FILES)
    _add_run(view)
    view.add_argument("--save", metavar="FILE", help="write the page to a file, open no browser")

    check = _command(
        commands, "check", _check,
        "list a checkpoint's deformable layers, and what is wrong with them", _RUN + _STATUS,
    )  # fmt: skip
    check.add_argument("checkpoint", metavar="CKPT", help=_FILES)
    _add_run(check)
    _add_json(check)
    check.add_argument("--html", metavar="FILE", help="also write a page with the viewer")

    compare = _command(
        commands, "compare", _series, "what changed between checkpoints of one network, as given",
        _RUN + _LAST,
    )  # fmt: skip
    compare.add_argument("checkpoints", metavar="CKPT", nargs="+", help=f"two or more: {_FILES}")
    series = _command(
        commands, "series", _series,
        "what changed from file to file, in natural order: epoch_2 before epoch_10", _RUN + _LAST,
    )  # fmt: skip
    series.add_argument("checkpoints", metavar="CKPT", nargs="+", help=f"two or more: {_FILES}")
    compare.set_defaults(sorted=False)
    series.set_defaults(sorted=True)
    for command in (compare, series):
        _add_run(command)
        _add_json(command)
    return parser, set(commands.choices)


def _command(
    commands: Any,  # noqa: ANN401  (argparse has no public name for it)
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    """How to run the network."""
    parser.add_argument("--image", metavar="PHOTO", help="run the network on this photo")
    parser.add_argument("--model", metavar="MODULE:FACTORY", help="your own code, see below")
    parser.add_argument("--trust", action="store_true", help="let a .pt2 file run, see below")
    parser.add_argument(
        "--size", nargs=2, type=_side, metavar=("H", "W"),
        help="run at this size (default: what the file says, or the photo's, in multiples of 32)",
    )  # fmt: skip
    parser.add_argument(
        "--normalisation", choices=("unit", "signed", "imagenet"), default="unit",
        help="of the pixels: [0, 1] (default), [-1, 1], or ImageNet's mean and deviation",
    )  # fmt: skip


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _side(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 8192:
        raise argparse.ArgumentTypeError(f"expected pixels, 1 to 8192, got {text!r}")
    return int(text)


def _after_first_line(text: str | None) -> str:
    return (text or "").partition("\n")[2].strip("\n")


def _version() -> str:
    from . import __version__

    return __version__


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
    if options.sorted:
        paths = natural_order(paths)
    if options.image is None:
        series = series_of_checkpoints([_by_weights(path, options) for path in paths])
    else:
        series = series_of_runs([_by_run(path, options) for path in paths])
    _print(series, options)
    return FINDINGS if series.findings[-1] else CLEAN


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
        return run_checkpoint(
            path,
            options.image,
            model=options.model,
            trust=options.trust,
            size=None if options.size is None else tuple(options.size),
            normalisation=options.normalisation,
        )


def _page(found: Inspection | NetworkRun) -> Stack:
    """The viewer of all layers, each with what there is to say of it."""
    from .inspection import NetworkRun, told_of_run, told_of_weights
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
    return Stack(patterns, None, [told_of_weights(row) for row in rows], name)


# --------------------------------------------------------------------------------------- output


def _print(found: Inspection | NetworkRun | Series, options: argparse.Namespace) -> None:
    from .inspection import NetworkRun

    if options.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
    elif isinstance(found, NetworkRun):
        print(found.to_text(_width()))
    else:
        print(found.to_text())


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
