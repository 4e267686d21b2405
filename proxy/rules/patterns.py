"""The values of conditions: wildcard patterns and regular expressions, both in linear time (alb.md 2.1, 2.2).

Whatever a client sends, matching one value costs time proportional to the subject. For wildcards, every star
but the last is an atomic group, which never gives back what it took: the leftmost place of each segment is
the best one, so nothing is lost. Regular expressions come from the table and may be anything, so an automaton
(RE2) runs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import re2

REGEX_MEMORY_BYTES = 1 << 20
"""What RE2 may use for one regular expression; beyond it, it slows down but stays linear."""

Match = Callable[[bytes], object]
"""Not None when the subject matches: the bound method of a compiled pattern, without a frame of its own."""

_VISIBLE = rb"[^\x00-\x1f\x7f]"
_TOKEN = re.compile(rb"[^*?]", re.DOTALL)
_TOKEN_WITH_ESCAPES = re.compile(rb"\\[*?]|[^*?]", re.DOTALL)


class PatternError(ValueError):
    """A value cannot be compiled; the message says why."""


class Wildcard:
    """One literal value, taken apart.

    Attributes:
        literal: The whole value when it has no wildcard, else None.
        prefix, suffix: What stands before its first and after its last wildcard.
        source: The equivalent regular expression, to be matched against the whole subject.
    """

    __slots__ = ("literal", "prefix", "source", "suffix")

    def __init__(self, literal: bytes | None, prefix: bytes, suffix: bytes, source: bytes) -> None:
        self.literal = literal
        self.prefix = prefix
        self.suffix = suffix
        self.source = source


class Values:
    """The values of one condition, ORed.

    Attributes:
        wildcards: For the index; empty when the values are regular expressions.
        match: Whether one of them matches a subject.
    """

    __slots__ = ("match", "wildcards")

    def __init__(self, wildcards: tuple[Wildcard, ...], match: Match) -> None:
        self.wildcards = wildcards
        self.match = match

    @property
    def are_literals(self) -> bool:
        """Whether equality alone decides, so that a dictionary can."""
        return bool(self.wildcards) and all(value.literal is not None for value in self.wildcards)


def compile_values(values: Sequence[str], regexes: Sequence[str], *, fold: bool = False) -> Values:
    """Compile the values of a condition; one of the two sequences is filled (alb.md 2.2).

    Args:
        fold: Compare without regard to case: wildcards are lowered, and the caller lowers the subject. A
            regular expression is taken as it is written.

    Raises:
        PatternError: One of the values cannot be compiled.
    """
    if regexes:
        return Values((), compile_regexes(regexes))
    return of_wildcards([parse_wildcard(value, fold=fold) for value in values])


def of_wildcards(wildcards: Sequence[Wildcard]) -> Values:
    """The values of one condition from wildcards already taken apart."""
    literals = [wildcard.literal for wildcard in wildcards if wildcard.literal is not None]
    if len(literals) == len(wildcards):
        return Values(tuple(wildcards), dict(zip(literals, literals, strict=True)).get)
    return Values(tuple(wildcards), re.compile(b"|".join(value.source for value in wildcards)).fullmatch)


def parse_wildcard(text: str, *, fold: bool = False, escapes: bool = False) -> Wildcard:
    """Take apart a value in which `*` is any run of characters and `?` exactly one (alb.md 2.1).

    Both take `/` and `.`. Neither takes a control byte: those are outside the language of the rules (alb.md
    1.3). Bytes of 0x80 and above count as characters, so that `/shop/*` takes a decoded UTF-8 path; `?` takes
    one byte.

    Args:
        fold: Lower the value, for fields that disregard case.
        escapes: Read `\\*` and `\\?` as the characters themselves; only `query-string` does (alb.md 2.7).
    """
    pattern = text.encode()
    if fold:
        pattern = pattern.lower()
    runs = [_segment(run, escapes) for run in _split_at_stars(pattern, escapes)]
    first, last = runs[0], runs[-1]
    if len(runs) == 1 and None not in first:
        literal = _literal(first)
        return Wildcard(literal, literal, literal, re.escape(literal))
    head = first[: first.index(None)] if None in first else first
    tail = last[len(last) - last[::-1].index(None) :] if None in last else last
    return Wildcard(None, _literal(head), _literal(tail), _source(runs))


def compile_regexes(patterns: Sequence[str]) -> Match:
    """Compile regular expressions of a table into one search.

    They are searched for, not matched in full: a regular expression without anchors holds anywhere in the
    subject. Every documented one is anchored, where both are the same (alb.md 14.4).

    Raises:
        PatternError: One is malformed, too large, or uses what a linear-time engine has not (alb.md 2.2).
    """
    for pattern in patterns:
        compile_regex(pattern.encode())
    search: Match = compile_regex(b"|".join(b"(?:" + pattern.encode() + b")" for pattern in patterns)).search
    return search


def compile_regex(pattern: bytes, *, captures: bool = False) -> Any:
    """Compile one regular expression over bytes; its groups are only found where `captures` asks for them.

    Raises:
        PatternError: As `compile_regexes`.
    """
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = REGEX_MEMORY_BYTES
    options.never_capture = not captures
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        detail = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"regex {pattern.decode()!r} cannot be used: {detail}") from None


_Segment = list[bytes | None]
"""What stands between two stars: characters, and None for each `?`."""


def _split_at_stars(pattern: bytes, escapes: bool) -> list[bytes]:
    return re.split(rb"(?<!\\)\*" if escapes else rb"\*", pattern)


def _segment(run: bytes, escapes: bool) -> _Segment:
    token = _TOKEN_WITH_ESCAPES if escapes else _TOKEN
    segment: _Segment = []
    position = 0
    while position < len(run):
        found = token.match(run, position)
        segment.append(found[0][-1:] if found else None)
        position = found.end() if found else position + 1
    return segment


def _literal(segment: _Segment) -> bytes:
    return b"".join(character for character in segment if character is not None)


def _source(runs: list[_Segment]) -> bytes:
    """The regular expression of a pattern split at its stars."""
    first, *rest = [b"".join(_VISIBLE if char is None else re.escape(char) for char in run) for run in runs]
    if not rest:
        return first
    *middle, last = rest
    inner = b"".join(b"(?>" + _VISIBLE + b"*?" + run + b")" for run in middle if run)
    return first + inner + (_VISIBLE + b"*" + last if last else _VISIBLE + b"*+")
