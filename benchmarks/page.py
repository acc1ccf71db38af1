"""What `suite.py` found as a page of Markdown: a table for each benchmark."""

from __future__ import annotations

from typing import Any

INTRODUCTION = """# Speed

What is fast here is measured against what one would use instead, in the same minutes and by turns,
and so most rows are ratios: what each is of, and how it is measured, is at the top of the files in
[`benchmarks`](../benchmarks). This page is written by `make bench ARGS="--page docs/speed.md"`.
"""


def markdown(whole: dict[str, Any], about: dict[str, str]) -> str:
    """The page.

    Args:
        whole: what `suite.py` writes as JSON.
        about: what each benchmark measures.
    """
    parts = [INTRODUCTION, _machine(whole["machine"], quick=whole["quick"])]
    for name, told in whole["benchmarks"].items():
        parts.append(f"## {name.capitalize()}\n\nMeasured: {about[name]}.")
        parts += [f"Not measured: {told[kind]}." for kind in ("skipped", "failed") if kind in told]
        if told.get("rows"):
            parts.append(_table(told["rows"]))
            parts += _reasons(told["rows"])
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _machine(told: dict[str, Any], *, quick: bool) -> str:
    how = "in a quick run" if quick else "in one run"
    return (
        f"Measured {how} on {told['system']}, {told['cores']} cores ({told['processor']}), Python "
        f"{told['python']}, torch {told['torch']}; the system's load was {told['load']} before it."
    )


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| | value | spread | target | |", "|---|---|---|---|---|"]
    for row in rows:
        unit = f" {row['unit']}".rstrip()
        spread = f"{row['low']:.2f} to {row['high']:.2f}"
        sign = "≤" if row["better"] == "less" else "≥"
        target = "" if row["target"] is None else f"{sign} {row['target']:.2f}"
        missed = f"**missed by {100 * row['missed_by']:.0f} %**"
        verdict = {None: "", True: "met", False: missed}[row["met"]]
        lines.append(
            f"| {row['name']} | {row['value']:.2f}{unit} | {spread} | {target} | {verdict} |"
        )
    return "\n".join(lines)


def _reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Why targets are missed, each with the rows that it stands for."""
    found = [f"- {row['name']}: {row['why']}" for row in rows if row["met"] is False and row["why"]]
    return ["What is in the way:\n\n" + "\n".join(found)] if found else []
