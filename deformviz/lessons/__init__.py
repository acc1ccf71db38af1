"""Lessons: what a teacher opens to explain the operators, as files of text and no code.

file.toml  ──▶  read_lesson()  ──▶  Lesson: steps with texts, numbers, tasks and their conditions

A lesson is one TOML file, whose name is its address: `my-lesson.toml` opens at
`/?lesson=my-lesson`, in Chinese at `/zh?lesson=my-lesson`. How one is written, with all fields,
numbers, lights and conditions, is in `docs/lessons.md`; those of the app lie in this folder. What
makes no sense is refused with the file, the step and the reason.

Example:
    >>> first = read_lessons([BUILT_IN])[0]
    >>> first.name, first.steps[0].tasks[0].done["kind"]
    ('why-move-the-taps', 'position')
"""

from .conditions import with_numbers
from .markup import blocks, fill
from .quantities import Place, quantity
from .reading import BUILT_IN, Lesson, LessonError, Step, Task, read_lesson, read_lessons, said

__all__ = [
    "BUILT_IN",
    "Lesson",
    "LessonError",
    "Place",
    "Step",
    "Task",
    "blocks",
    "fill",
    "quantity",
    "read_lesson",
    "read_lessons",
    "said",
    "with_numbers",
]
