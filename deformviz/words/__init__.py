"""What the page says, in the language of the page: English, or Chinese from `static/zh.toml`.

English is the key, so that code reads as before. To add words:

1. write them in English: `say("working size")` in Python, `t('working size')` in the viewer's
   JavaScript. What varies is a named placeholder, never an f-string:
   `say("compare with {file}", file=name)`, `t('tap {tap}', { tap: 3 })`. Choices of a dropdown keep
   their English values: `choices=[(say(name), name) for name in FIELDS]`;
2. add a line to `[words]` in `static/zh.toml`: `"compare with {file}" = "与 {file} 对比"`. A test
   fails where one is missing, where the placeholders differ, and where a line is used nowhere.

The language is not handed down from function to function. Whatever is built inside
`with speaking("zh"):` speaks Chinese, and so do the event handlers that are wrapped there by
`deformviz.web.guard.clear_errors`.

The core (operators, analysis, checkpoints) knows nothing of this and speaks English; what it made
is told by `say(sentence)` where it reaches the page. A line of `[sentences]` with placeholders is
a pattern: `"In group {group}, {SENTENCE}"` stands for every such sentence. A placeholder in
capitals is itself told in the page's language, any other is kept as it is. What no line stands for
stays in English.
"""

from .catalogue import LANGUAGES, Language, catalogue, patterns
from .saying import say, speaking, spoken

__all__ = ["LANGUAGES", "Language", "catalogue", "patterns", "say", "speaking", "spoken"]
