"""The command line of the trainings: `python -m deformviz.training TASK`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from . import MOMENTS, TASKS, Moment, Trained, train
from .numbers import collect, read, table, write
from .origin import origin_of
from .recorded import record
from .task import Value

_BAR = 30
_RECORDED = 10
"""So often a training that is recorded is looked at, beside the first moment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status.

    Example:
        >>> main(["scale", "--knob", "kernel=4"])
        2
    """
    options = _parser().parse_args(arguments)
    if options.task == "numbers":
        return _numbers(options)
    origin = origin_of(_command(options))
    out = options.out or f"{options.task}.safetensors"
    try:
        moments = [*_watched(_moments(options), options.task)]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    trained = moments[-1].trained
    assert trained is not None
    if options.record:
        record(moments, out, origin)
    else:
        replace(trained, origin=origin).save(out, half=options.half)
    print(f"{out}: {_told(trained)}")
    return 0


def _moments(options: argparse.Namespace) -> Iterator[Moment]:
    knobs = dict(_knob(options.task, text) for text in options.knob)
    looked = _RECORDED if options.record else MOMENTS
    return train(
        options.task, knobs, options.seed, device=options.device, moments=looked,
        weights=options.record,
    )  # fmt: skip


def _command(options: argparse.Namespace) -> str:
    """The command that makes the same again."""
    knobs = "".join(f" --knob {text!r}" for text in options.knob)
    kind = " --record" if options.record else " --half" if options.half else ""
    return f"python -m deformviz.training {options.task} --seed {options.seed}{knobs}{kind}"


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
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--half", action="store_true", help="round the weights to half precision")
    kinds.add_argument(
        "--record", action="store_true",
        help="keep the first network's weights at eleven moments, as the Train tab opens on them",
    )  # fmt: skip
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


def _watched(moments: Iterable[Moment], title: str) -> Iterator[Moment]:
    """The same, with a bar of how far they are."""
    for moment in moments:
        print(f"\r{_line(moment, title)}", end="", file=sys.stderr, flush=True)
        yield moment
    print(file=sys.stderr)


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


def _numbers(options: argparse.Namespace) -> int:
    if options.measure:
        origin = origin_of("python -m deformviz.training numbers --measure")
        write(collect(told=lambda line: print(line, file=sys.stderr, flush=True)), origin)
    print(table(read()))
    return 0
