"""Which regular expressions a table may hold (alb.md 2.2, 4.1)."""

from __future__ import annotations

import re

from proxy.config.shapes import Fault

_CONSTRUCTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\(\?[=!]", "lookahead"),
        (r"\(\?<[=!]", "lookbehind"),
        (r"\(\?>", "an atomic group"),
        (r"\(\?P=|\\[1-9]|\\[kg]", "a backreference"),
        (r"\(\?(R|[+-]?\d|&|P>)", "recursion or a subroutine"),
        (r"\(\?\(", "a conditional group"),
        (r"\\[pP]", "a Unicode class"),
        (r"([*+?]|\{\d+(,\d*)?\})\+", "a possessive quantifier"),
    )
)
_PLAIN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""One step through a regex: an escape, a whole character class, or a character."""


def regex_fault(text: str) -> Fault | None:
    """Why the load balancer would refuse this regex; None when it would not.

    Its regexes run in linear time and so do these: they are compiled with RE2, which has no word for what
    the load balancer refuses either, except Unicode classes.
    """
    if construct := unsupported_construct(text):
        return Fault("unsupported-regex", f"uses {construct}, which the load balancer does not support")
    import re2  # only tables with a regex pay for loading it

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        return Fault("invalid-regex", f"is not a regular expression: {_words_of(error, text)}")
    return None


def group_count(text: str) -> int:
    """How many groups a good regex has."""
    import re2

    count: int = re2.compile(text).groups
    return count


def unsupported_construct(text: str) -> str | None:
    """The name of the first construct in `text` that the load balancer does not support."""
    position = 0
    while position < len(text):
        for pattern, name in _CONSTRUCTS:
            if pattern.match(text, position):
                return name
        step = _PLAIN.match(text, position)
        assert step is not None
        if step[0].startswith("[") and len(step[0]) > 1 and re.search(r"(?<!\\)(?:\\\\)*\\[pP]", step[0]):
            return "a Unicode class"
        position = step.end()
    return None


def _words_of(error: Exception, text: str) -> str:
    """RE2's reason without the piece of the regex behind it, which may come from the environment."""
    reason = error.args[0] if error.args else "it cannot be compiled"
    words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return words.partition(": ")[0]
