"""What `deformviz` may be asked on the command line, and its help."""

from __future__ import annotations

import argparse

from . import __version__

_EXAMPLES = """
    deformviz net.onnx --image photo.jpg      open the viewer: no command is needed
    deformviz check net.pth                   list the layers and what is wrong with them
    deformviz compare before.pth after.pth    what changed
    deformviz series epoch_*.pth              what changed from file to file
    deformviz survey net.onnx --images photos what the layers do on thousands of images

Exit status: 0 for a clean bill, 1 for findings, 2 for what cannot be read or run.
deformviz COMMAND --help says more of each.
"""
_RUNNING = """
By the weights alone, nothing in a file is executed, and it may come from anyone. What is
told is the static pattern of each layer. With a photo the network runs, and what is told
is what its layers did:

  .onnx          runs by onnxruntime (pip install onnxruntime); it holds no code.
  weights alone  run in your own model: --model package.module:factory is imported from
                 the current folder or the environment, and called without arguments.
                 This runs the code that it names.
  .pt2           is a program of torch.export. Loading one may run any code that is in
                 it, so it takes --trust: for files that you exported yourself or whose
                 author you trust, never for others.
"""
_STATUS = """
Exit status: 0 for a clean bill, 1 for findings, 2 for what cannot be read or run.
"""
_STATUS_OF_LAST = """
Exit status: 0 where the last file has a clean bill, 1 where it has findings, 2 for what
cannot be read or run.
"""
_FILE = ".pt, .pth, .ckpt, .bin, .safetensors or .onnx; .pt2 with --image and --trust"

_LARGEST_SIDE = 8192
_MOST = 100_000
"""Of images at once, workers and seconds."""

_SURVEY = """
Every image of the folder, and of the folders in it, is brought to --size, whatever its shape:
by default what the file says, and where that leaves it open 512 x 512. Nothing is sampled, and
memory does not grow with the number of images.

A run that was killed goes on where it was: its counts are in a small file in the current folder
until it ends, or in --state FILE, which is kept. --ray N shares the work among N workers, each
with its part of this machine's cores or one GPU (pip install 'deformviz[ray]'); RAY_ADDRESS in
the environment names the cluster, without it one is made of this machine alone. Checkpoint,
images and model code lie at the same paths on all of them.
"""

COMMANDS = ("view", "check", "compare", "series", "survey")


def parser() -> argparse.ArgumentParser:
    """The parser; `command` of what it returns is one of `COMMANDS`.

    Example:
        >>> options = parser().parse_args(["check", "net.onnx", "--size", "64", "96"])
        >>> options.command, options.checkpoint, options.size
        ('check', 'net.onnx', [64, 96])
    """
    whole = argparse.ArgumentParser(
        prog="deformviz",
        description="See where the deformable convolutions of a checkpoint read.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"deformviz {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, summary: str, status: str = "", many: bool = False
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=(_SURVEY if many else "") + _RUNNING + status,
            parents=[_running(many)],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        return added

    view = command("view", "open the viewer in the browser; what is done without a command")
    view.add_argument("checkpoint", metavar="CKPT", help=_FILE)
    view.add_argument("--save", metavar="FILE", help="write the page to a file, open no browser")

    check = command("check", "list the deformable layers, and what is wrong with them", _STATUS)
    check.add_argument("checkpoint", metavar="CKPT", help=_FILE)
    check.add_argument("--html", metavar="FILE", help="also write a page with the viewer")

    compare = command(
        "compare", "say what changed between checkpoints, in the order given", _STATUS_OF_LAST
    )
    series = command(
        "series",
        "say what changed from file to file, in natural order: epoch_2 before epoch_10",
        _STATUS_OF_LAST,
    )
    for several in (compare, series):
        several.add_argument("checkpoints", metavar="CKPT", nargs="+", help=f"two or more: {_FILE}")
    survey = command(
        "survey", "sum up what the layers do on a folder of images", _STATUS, many=True
    )
    survey.add_argument("checkpoint", metavar="CKPT", help=_FILE.replace("--image and ", ""))
    _surveying(survey)
    for one in (check, compare, series, survey):
        one.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return whole


def _surveying(options: argparse.ArgumentParser) -> None:
    """What only a run over many images has."""
    options.add_argument(
        "--batch", type=_count, default=8, metavar="N", help="images at once; 8 by default"
    )
    options.add_argument(
        "--device", default="cpu", help="where a --model runs: cpu (default), cuda, mps"
    )
    options.add_argument(
        "--state", metavar="FILE", help="keep the counts here, and go on from them"
    )
    options.add_argument(
        "--save-every", type=_seconds, default=30.0, metavar="SECONDS",
        help="between two writings of the state; 30 by default",
    )  # fmt: skip
    options.add_argument(
        "--ray", type=_count, metavar="N", help="share the work among N workers of a Ray cluster"
    )


def _running(many: bool) -> argparse.ArgumentParser:
    """The options that every command has: how the network is run, on a photo or on many."""
    options = argparse.ArgumentParser(add_help=False)
    if many:
        options.add_argument(
            "--images", metavar="FOLDER", required=True, help="run the network on all in it"
        )
    else:
        options.add_argument("--image", metavar="PHOTO", help="run the network on this photo")
    options.add_argument("--model", metavar="MODULE:FACTORY", help="your own code, see below")
    options.add_argument(
        "--loose", action="store_true",
        help="with --model: weights may be missing in the file, or left over",
    )  # fmt: skip
    options.add_argument("--trust", action="store_true", help="let a .pt2 file run, see below")
    options.add_argument(
        "--size", nargs=2, type=_side, metavar=("H", "W"),
        help="run at this size; by default what the file says, or "
        + ("512 x 512" if many else "the photo's in multiples of 32"),
    )  # fmt: skip
    options.add_argument(
        "--normalisation", choices=("unit", "signed", "imagenet"), default="unit",
        help="of the pixels: to [0, 1] (default), to [-1, 1], or by ImageNet's mean and deviation",
    )  # fmt: skip
    return options


def _side(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text[:8]) <= _LARGEST_SIDE):
        raise argparse.ArgumentTypeError(f"expected 1 to {_LARGEST_SIDE} pixels, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text[:8]) <= _MOST):
        raise argparse.ArgumentTypeError(f"expected 1 to {_MOST}, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST:
        raise argparse.ArgumentTypeError(f"expected 0 to {_MOST} seconds, got {text!r}")
    return value
