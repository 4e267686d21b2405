"""Path patterns against path templates: does a pattern cover `/orders/{id}`, and does it touch `/orders/new`?

A pattern is the load balancer's: `*` any run of characters, slashes too, `?` one (alb.md 2.1). A template's parameter
is a run of characters without a slash. A literal is told from a parameter in the same place: `/users/me` is not
taken for `/users/{id}`, as the names of transactions have it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

PARAMETER: Final = -1
ANY_ONE: Final = -2
ANY_RUN: Final = -3
"""Tokens besides bytes: of UTF-8, which is what patterns are compared with. In a pattern, `PARAMETER` is `[^/]+`."""

_PARAMETER = re.compile(r"\{[^{}/]*\}")
_ALLOWED = re.compile(r"""[A-Za-z0-9_.$/~"'@:+&-]""")
_NOT_LITERAL = re.compile(r"[*?{]|[^\x21-\x7e]")
_SLASH = ord("/")

Tokens = tuple[int, ...]


@lru_cache(maxsize=8192)
def template_tokens(path: str) -> Tokens:
    """Bytes and parameters of a templated path; parameters side by side are one."""
    tokens: list[int] = []
    position = 0
    for found in _PARAMETER.finditer(path):
        tokens += path[position : found.start()].encode()
        if not tokens or tokens[-1] != PARAMETER:
            tokens.append(PARAMETER)
        position = found.end()
    return (*tokens, *path[position:].encode())


@lru_cache(maxsize=8192)
def pattern_tokens(pattern: str) -> Tokens:
    """The tokens of a path pattern."""
    return tuple({"*": ANY_RUN, "?": ANY_ONE}.get(character, ord(character)) for character in pattern)


def without_parameter_names(path: str) -> str:
    """`/users/{}` for `/users/{id}` and for `/users/{name}`, which are the same paths."""
    return _PARAMETER.sub("{}", path)


def tightest_pattern(path: str) -> str:
    """The narrowest path pattern that covers a template; what a pattern cannot hold (alb.md 2.4) becomes `?`."""
    parts = []
    for token in template_tokens(path):
        character = "*" if token == PARAMETER else chr(token)
        parts.append(character if token == PARAMETER or _ALLOWED.fullmatch(character) else "?")
    return "".join(parts)


def regex_of(path: str) -> str:
    """A regular expression for the paths of a template; which byte beyond printable ASCII is where is left open."""
    parts = []
    for token in template_tokens(path):
        if token == PARAMETER:
            parts.append("[^/]+")
        else:
            parts.append(re.escape(chr(token)) if 0x20 < token < 0x7F else "[^!-~]")
    return f"^{''.join(parts)}$"


@lru_cache(maxsize=65_536)
def covers(pattern: str, path: str) -> bool:
    """Whether every path of the template satisfies the pattern, or the regular expression that `regex_of` made.

    A parameter is tried with one character and with many that no pattern names: only `*` takes both, and it takes
    anything else as well.
    """
    expression = _expression(pattern)
    subjects = (
        b"".join(stand_in if token == PARAMETER else bytes((token,)) for token in template_tokens(path))
        for stand_in in (b"\0", b"\0" * 200)
    )
    return all(expression.fullmatch(subject) is not None for subject in subjects)


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[bytes]:
    if pattern.startswith("^"):
        return re.compile(pattern.encode())
    parts = {"*": b"(?s:.*)", "?": b"(?s:.)"}
    return re.compile(b"".join(parts.get(character) or re.escape(character.encode()) for character in pattern))


def touches(pattern: str, path: str) -> bool:
    """Whether some path of the template satisfies the pattern."""
    first, second = literal_start(pattern), literal_start(path)
    if not (first.startswith(second) or second.startswith(first)):
        return False
    return meet(pattern_tokens(pattern), template_tokens(path))


@lru_cache(maxsize=65_536)
def literal_start(text: str) -> str:
    """What a pattern or a template begins with, up to anything that stands for something else."""
    return _NOT_LITERAL.split(text, maxsplit=1)[0]


@lru_cache(maxsize=65_536)
def meet(pattern: Tokens, template: Tokens) -> bool:
    """Whether a pattern and a template have a path in common, searched in the product of both automata.

    A parameter that is filled by literal characters of the pattern alone does not count: that value is a literal of
    its own.
    """
    # Places in pattern and template; whether inside a run of each; whether a wildcard filled some of the parameter.
    first = (0, 0, False, False, False)
    seen = {first}
    waiting = [first]

    def reach(state: tuple[int, int, bool, bool, bool]) -> None:
        if state not in seen:
            seen.add(state)
            waiting.append(state)

    while waiting:
        place, other, in_run, in_parameter, wild = waiting.pop()
        token = pattern[place] if place < len(pattern) else None
        wanted = template[other] if other < len(template) else None
        if token is None and wanted is None:
            return True
        if token == ANY_RUN or (token == PARAMETER and in_run):
            reach((place + 1, other, False, in_parameter, wild))
        if in_parameter and wild:
            reach((place, other + 1, in_run, False, False))
        if token is None or wanted is None:
            continue
        is_wild = token < 0
        if wanted == PARAMETER:
            if token == _SLASH:
                continue
        elif is_wild:
            if token == PARAMETER and wanted == _SLASH:
                continue
        elif token != wanted:
            continue
        stays = token in (ANY_RUN, PARAMETER)
        after = place if stays else place + 1
        if wanted == PARAMETER:
            reach((after, other, stays, True, wild or is_wild))
        else:
            reach((after, other + 1, stays, False, False))
    return False
