"""The command line: `deformviz check net.pth`, also as `python -m deformviz`.

Exit status: 0 for a clean bill, 1 for findings, 2 for a file that cannot be read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from .checkpoints import Layer
from .inspection import Inspection, inspect_checkpoint

CLEAN, FINDINGS, UNREADABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status.

    Example:
        >>> main(["check", "no/such/file.pth", "--json"])  # doctest: +ELLIPSIS
        {"error": "Expected a checkpoint (...), but there is no such file. Check its name."}
        2
    """
    parser = argparse.ArgumentParser(prog="deformviz", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    check = commands.add_parser(
        "check", help="list a checkpoint's deformable layers, and what is wrong with them"
    )
    check.add_argument("checkpoint", help=".pt, .pth, .ckpt, .bin, .safetensors or .onnx")
    check.add_argument("--json", action="store_true", help="print JSON instead of a table")
    check.set_defaults(run=_check)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


def _check(options: argparse.Namespace) -> int:
    try:
        inspection = inspect_checkpoint(options.checkpoint)
    except ValueError as error:
        print(json.dumps({"error": str(error)}) if options.json else str(error))
        return UNREADABLE
    print(json.dumps(inspection.to_dict()) if options.json else as_text(inspection))
    return FINDINGS if any(row.findings for row in inspection.layers) else CLEAN


_COLUMNS: dict[str, str] = {
    "layer": "name",
    "family": "family",
    "kernel": "kernel_size",
    "groups": "offset_groups",
    "order": "order",
    "mask": "mask_activation",
    "outside": "outside",
}


def as_text(inspection: Inspection) -> str:
    """A table of the layers, in which "?" marks what is assumed, and a line for each finding."""
    checkpoint = inspection.checkpoint
    lines = [", ".join([printable(checkpoint.name), checkpoint.kind, *checkpoint.notes])]
    if not inspection.layers:
        return f"{lines[0]}\nNo deformable layer of a known code base was found."
    table = [list(_COLUMNS), *(_cells(row.layer) for row in inspection.layers)]
    widths = [max(len(row[i]) for row in table) for i in range(len(_COLUMNS))]
    lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    if any(row.layer.assumed for row in inspection.layers):
        lines.append("? assumed: neither names nor shapes settle it")
    lines += [""] + [
        f"{found.severity} {printable(row.layer.name)}: {found.kind}. {found.sentence}"
        for row in inspection.layers
        for found in row.findings
    ]
    return "\n".join(lines).rstrip()


def _cells(layer: Layer) -> list[str]:
    """The layer in the table's columns."""
    return [
        _text(getattr(layer, name)) + ("?" if name in layer.assumed else "")
        for name in _COLUMNS.values()
    ]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    return "none" if value is None else printable(str(value))


def printable(name: str) -> str:
    r"""A name out of a file without what a terminal would obey, and not too long.

    >>> printable("conv\x1b[2J")
    'conv\\x1b[2J'
    """
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return safe if len(safe) <= 80 else f"{safe[:40]}…{safe[-39:]}"
