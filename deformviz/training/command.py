"""The command line of the trainings: `python -m deformviz.training TASK`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import TASKS, Moment, Trained, train
from .numbers import collect, read, table, write
from .task import Value
from .trained import versions

_BAR = 30
_HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status.

    Example:
        >>> main(["scale", "--knob", "kernel=4"])
        2
    """
    options = _parser().parse_args(arguments)
    if options.task == "numbers":
        return _numbers(options)
    origin = _origin(_command(options))  # before: the code that is loaded, not what comes after
    try:
        knobs = dict(_knob(options.task, text) for text in options.knob)
        moments = train(options.task, knobs, options.seed, device=options.device)
        trained = _watched(moments, options.task)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    out = options.out or f"{options.task}.safetensors"
    replace(trained, origin=origin).save(out, half=options.half)
    print(f"{out}: {_told(trained)}")
    return 0


def _command(options: argparse.Namespace) -> str:
    """The command that makes the same again."""
    knobs = "".join(f" --knob {text!r}" for text in options.knob)
    half = " --half" if options.half else ""
    return f"python -m deformviz.training {options.task} --seed {options.seed}{knobs}{half}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deformviz.training",
        description="Train small networks that learn their offsets, and keep their weights; or "
        "print what five seeds gave.",
    )
    parser.add_argument(
        "task", choices=[*TASKS, "numbers"], help="what is to be learned, or: numbers"
    )
    parser.add_argument("--seed", type=int, default=0, help="of first weights and data (0)")
    parser.add_argument("--out", metavar="FILE", help="where to (TASK.safetensors)")
    parser.add_argument("--half", action="store_true", help="round the weights to half precision")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    parser.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE",
        help="what is not to be as by default; several times for several",
    )  # fmt: skip
    parser.add_argument(
        "--measure", action="store_true", help="with numbers: train five seeds of all tasks anew"
    )
    return parser


def _knob(task: str, text: str) -> tuple[str, Value]:
    """A knob as typed: its value is of the kind that the knob's own are.

    >>> _knob("scale", "kernel=5")
    ('kernel', 5)
    """
    name, _, value = text.partition("=")
    if name not in TASKS[task].knobs:
        raise ValueError(f"{task} has no knob {name!r}: it has {', '.join(TASKS[task].knobs)}")
    allowed = {str(each): each for each in TASKS[task].knobs[name].values}
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    return name, allowed[value]


def _watched(moments: Any, title: str) -> Trained:  # noqa: ANN401
    """Run to the end, with a bar of how far it is."""
    last: Moment | None = None
    for last in moments:
        print(f"\r{_line(last, title)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    assert last is not None
    assert last.trained is not None
    return last.trained


def _line(moment: Moment, title: str) -> str:
    done = round(_BAR * moment.step / moment.steps)
    scores = ", ".join(f"{name} {100 * s.accuracy:.0f} %" for name, s in moment.scores.items())
    rest = f"{moment.remaining:.0f} s left" if moment.step else "first weights"
    bar = "█" * done + "·" * (_BAR - done)
    return f"{title} {bar} {moment.step}/{moment.steps}, {rest}; {scores}    "


def _told(trained: Trained) -> str:
    scores = trained.scores.items()
    told = ", ".join(f"{name} {100 * score['accuracy']:.1f} %" for name, score in scores)
    return f"{trained.step} steps; {told}"


def _origin(command: str) -> dict[str, str]:
    """By what something was made."""
    return {**versions(), "command": command, "commit": _commit()}


def _commit() -> str:
    """The commit that this file lies in, as far as git is there and knows it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=_HERE, capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _numbers(options: argparse.Namespace) -> int:
    if options.measure:
        origin = _origin("python -m deformviz.training numbers --measure")
        write(collect(told=lambda line: print(line, file=sys.stderr, flush=True)), origin)
    print(table(read()))
    return 0
