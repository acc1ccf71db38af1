"""The words of the Lessons tab itself, for its script."""

from __future__ import annotations

from ..words import say


def words() -> dict[str, str]:
    """All of them in the language that is spoken, by the script's names for them.

    >>> words()["next"]
    'Next'
    """
    return {
        "list": say("Lessons"),
        "about": say(
            "Short lessons with something to do in each step. What you have done is kept in this "
            "browser alone."
        ),
        "minutes": say("{n} min"),
        "learned": say("done"),
        "progress": say("{n} of {m} tasks"),
        "forget": say("forget what I have done"),
        "all": say("all lessons"),
        "step": say("step {n} of {m}"),
        "back": say("Back"),
        "next": say("Next"),
        "end": say("Finish"),
        "tasks": say("Try it"),
        "hint": say("hint"),
        "check": say("check"),
        "wrong": say("Not yet. Try again, or look at the hint."),
        "nonumber": say("Type a number, such as 0.25."),
        "answer": say("your answer"),
        "taskdone": say("done"),
        "taskopen": say("to do"),
        "projector": say("projector"),
        "leave": say("leave projector mode"),
        "copy": say("copy link"),
        "copied": say("copied"),
        "again": say("as it was"),
        "explore": say("open in Explore"),
        "failed": say("This step could not be loaded: {n}"),
        "unknown": say("There is no lesson {n}. These are the lessons:"),
        "controls": say("controls of this step"),
        "keys": say("keys: ← → between steps, P for the projector"),
    }
