"""What `deformviz` may be asked on the command line, and its help."""

from __future__ import annotations

import argparse

from . import __version__

_EXAMPLES = """
    deformviz net.onnx --image photo.jpg      open the viewer: no command is needed
    deformviz check net.pth                   list the layers and what is wrong with them
    deformviz compare before.pth after.pth    what changed
    deformviz series epoch_*.pth              what changed from file to file

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

COMMANDS = ("view", "check", "compare", "series")


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

    def command(name: str, summary: str, status: str = "") -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=_RUNNING + status,
            parents=[_running()],
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
    for one in (check, compare, series):
        one.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return whole


def _running() -> argparse.ArgumentParser:
    """The options that every command has: how the network is run."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--image", metavar="PHOTO", help="run the network on this photo")
    options.add_argument("--model", metavar="MODULE:FACTORY", help="your own code, see below")
    options.add_argument(
        "--loose", action="store_true",
        help="with --model: weights may be missing in the file, or left over",
    )  # fmt: skip
    options.add_argument("--trust", action="store_true", help="let a .pt2 file run, see below")
    options.add_argument(
        "--size", nargs=2, type=_side, metavar=("H", "W"),
        help="run at this size; by default what the file says, or the photo's in multiples of 32",
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
