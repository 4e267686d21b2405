"""What can be told of a regular expression by reading it: a text that it takes, and how such texts begin.

The text is the shortest way through it: first alternatives and fewest repeats. The sampler knows the constructs that
tables are written with and gives None for the rest. What it gives has still to be matched, because anchors are only
skipped.
"""

from __future__ import annotations

import re

from proxy.rules.patterns import PatternError, compile_regexes

MAX_SAMPLE = 1024

_COUNT = re.compile(r"\{(\d+)(?:,\d*)?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?")
_FLAGS = re.compile(r"\(\?[a-zA-Z-]+\)")
_NOTHING = re.compile(r"\^|\$|\\[AzbB]")
_PREFIX = re.compile(r"\^((?:[A-Za-z0-9_/-]|\\[./-])*)(?![*?{+])")
_NO_LITERALS = re.compile(r"\\x(?:\{\w*\}|..)|\\.|\(\?P?<\w+>|\(\?:|" + _CLASS.pattern, re.DOTALL)
_OPTIONAL_GROUP = re.compile(r"\)[*?{]")
_UPPER_CASE = re.compile(r"[A-Z](?![*?{])")
_CHARACTERS = "x1aA/-_.:" + "".join(map(chr, range(0x20, 0x7F)))


class _UnknownConstructError(Exception):
    """The sampler has no word for it."""


def sample_of(regex: str) -> bytes | None:
    """Return a text that `regex` should match, or None."""
    try:
        sample, end = _alternatives(regex, 0)
    except _UnknownConstructError:
        return None
    return sample.encode() if end == len(regex) else None


def prefix_of(regex: str) -> str:
    """Return what every text that `regex` matches begins with, as far as it is plain to see."""
    found = _PREFIX.match(regex)
    return found[1].replace("\\", "") if found and "|" not in regex else ""


def needs_upper_case(regex: str) -> bool:
    """Whether it is plain to see that nothing without an upper-case letter matches `regex`.

    Where anything may be left out, repeated not at all or matched in any case, it is not.
    """
    plain = _NO_LITERALS.sub("", regex)
    if "|" in plain or "(?" in plain or _OPTIONAL_GROUP.search(plain):
        return False
    return _UPPER_CASE.search(plain) is not None


def _alternatives(regex: str, at: int) -> tuple[str, int]:
    first, at = _sequence(regex, at)
    while regex[at : at + 1] == "|":
        _, at = _sequence(regex, at + 1)
    return first, at


def _sequence(regex: str, at: int) -> tuple[str, int]:
    sample = ""
    while at < len(regex) and regex[at] not in "|)":
        atom, at = _atom(regex, at)
        count, at = _fewest(regex, at)
        if len(sample) + len(atom) * count > MAX_SAMPLE:
            raise _UnknownConstructError
        sample += atom * count
    return sample, at


def _atom(regex: str, at: int) -> tuple[str, int]:
    if nothing := _NOTHING.match(regex, at) or _FLAGS.match(regex, at):
        return "", nothing.end()
    if group := _GROUP.match(regex, at):
        sample, end = _alternatives(regex, group.end())
        if regex[end : end + 1] != ")":
            raise _UnknownConstructError
        return sample, end + 1
    if characters := _CLASS.match(regex, at):
        return _one_of(characters[0]), characters.end()
    if regex[at] == "\\":
        return _one_of(regex[at : at + 2]), at + 2
    return ("x" if regex[at] == "." else regex[at]), at + 1


def _one_of(characters: str) -> str:
    try:
        match = compile_regexes([f"^(?:{characters})$"])
    except PatternError:
        raise _UnknownConstructError from None
    for character in _CHARACTERS:
        if match(character.encode()):
            return character
    raise _UnknownConstructError


def _fewest(regex: str, at: int) -> tuple[int, int]:
    """How often at least, by the quantifier that stands here."""
    count = 1
    if regex[at : at + 1] in ("*", "?", "+"):
        count = 1 if regex[at] == "+" else 0
        at += 1
    elif counted := _COUNT.match(regex, at):
        count = int(counted[1])
        at = counted.end()
    else:
        return count, at
    return count, at + 1 if regex[at : at + 1] == "?" else at
