"""The nearest known name, for messages about an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_LIST = 12
"""Up to so many known names are listed when none is near; more would bury the message."""

MOST_SUGGESTIONS = 100
"""Comparing takes time; whoever reports more problems than this is not helped by further suggestions."""

LONGEST_WORD = 128
"""Longer words are not compared: difflib takes quadratic time and nothing known is that long."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like `word`, case and `-`/`_` being alike; None when none is near."""
    if len(word) > LONGEST_WORD:
        return None
    by_fold = {_fold(name): name for name in known}
    found = get_close_matches(_fold(word), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def advice(word: str, known: Iterable[str]) -> str:
    """A half sentence to end a message with: `did you mean X?` or `known: X, Y`; empty when nothing helps."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near}?"
    if names and len(names) <= LONGEST_LIST:
        return f"known: {', '.join(names)}"
    return ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
