'''Lessons: what a teacher opens to explain the operators, as files of text and no code.

A lesson is one TOML file, whose name is its address: `my-lesson.toml` opens at
`/?lesson=my-lesson`, in Chinese at `/zh?lesson=my-lesson`. Copy one of those in this folder, put it
into a folder of your own, and start the app with `python app.py --lessons FOLDER`. A file that
makes no sense is refused with the step and the reason.

    title.en = "From offset to point"   # every text: in en, zh, or both; or one plain text
    title.zh = "从偏移到采样点"
    learn.en = "Which of 18 channels moves which tap, and where to."
    minutes = 6
    order = 20                          # its place in the list
    view = "operator=Deformable+Conv+v1&kernel=3x3"   # of all steps: what "copy link" gives

    [[step]]
    title.en = "One position"
    view = "y=30&x=40&pinned=on"        # what this step changes
    controls = ["strength"]             # Explore's controls to show beside the picture
    numbers = { cy = "point y 4", total = "sum" }
    text.en = """
    The [middle tap](light:tap=4) is read at row {cy}. **All** terms add up to `{total:3}`.
    """

    [[step.task]]
    ask.en = "Drag the middle tap two pixels to the right."
    done = { kind = "tap moved", tap = 4, dy = 0, dx = 2, within = 0.3 }
    hint.en = "Grip the dot in the picture or in the kernel."
    said.en = "Now the sum is another one."

**view** is a link of the Explore page or its query, see `deformviz.viewer.ViewState` for what the
viewer shows: `y`, `x`, `pinned`, `over`, `arrows`, `morph`, `zoom` and others. A step's values go
before the lesson's, and what neither names is as on the page's first example. `network = "sick"`
shows the layers of a made-up network instead; its view has only what the viewer shows, such as
`layer=2`.

**text** has paragraphs, with an empty line between them, lines that begin with `- ` for lists,
`**bold**`, backticks for code, `{name}` for a number and `{name:3}` for one with three digits after
the point, and words that light up a part of the page: `[words](light:TARGET)`. Targets are `image`,
`output`, `kernel`, `formula`, `histogram`, `findings`, `controls`, `tasks`, `more`, `tap=4`,
`overlay=mask`, `morph=0` or `1`, `control=morph` and the other controls of the viewer. All else is
shown as it is typed: a text cannot hold HTML.

**numbers** name quantities, which are computed from what the operator really gave, at the step's
position: see `deformviz.lessons.quantities.QUANTITIES`. Texts and conditions take them by name.

**done** is a condition; `deformviz.lessons.conditions.CONDITIONS` lists the kinds and their fields.
Numbers in it may be names of the step's numbers:

    { kind = "position", y = [20, 30], x = [50, 60] }            the pin lies in a box
    { kind = "tap", tap = 4 }                                    a tap is pointed at
    { kind = "tap moved", tap = 4, dy = 0, dx = 2, within = 0.3 }     from its regular place
    { kind = "tap at", tap = 4, y = 20, x = 31, within = 0.5 }   of the map
    { kind = "term", tap = 4, part = "mask", is = 0, within = 0.05 }  at the pin
    { kind = "sum", is = 0, within = 0.01 }                      of the formula
    { kind = "shows", name = "over", is = "mask" }               overlay, layer, morph, quantity, …
    { kind = "number", is = "total", within = 0.005 }            typed
    { kind = "choice", options = ["dy", "dx"], right = 1 }       counted from 0
    { kind = "control", name = "strength", is = 12, within = 1 } one of `controls`
'''

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
