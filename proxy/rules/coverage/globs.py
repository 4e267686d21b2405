"""Wildcard patterns as automata: is there a subject that one pattern takes and others do not?

A pattern with n characters and `?` is an automaton with the positions 0 to n; a star lets it stay where it is. The
positions that it may be in are the bits of one integer, so a move is a mask, a shift and an or. Only the last star
reached counts, because whatever an earlier one can still lead to goes through the later one, which keeps everything:
positions before it are dropped. Between two stars, n positions give n sets at most, times 2 for each `?` behind the
first; with the six wildcards and five values of a rule (alb.md 1.4) the sets stay few.

`difference` builds the product of these automata breadth first, and only as far as it is reachable. It is exact; its
steps are counted by a `Work`, which ends it when they are too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from proxy.rules.coverage.work import Work

_ANY_ONE = -1
_ANY_RUN = -2
_EQUALS = ord("=")

_PLAIN = b"xyzwvutsrqponmlkjihgfedcba0123456789-_" + bytes(range(0x80, 0x100))
"""Bytes to stand for all those that no pattern names; patterns are ASCII, so the last ones are always free."""


@dataclass(frozen=True, slots=True, eq=False)
class Glob:
    """One pattern.

    Attributes:
        tokens: Its bytes, `_ANY_ONE` and `_ANY_RUN`.
        takes: For each byte, the positions that it moves on.
        wild: The positions that any byte moves on.
        stays: The positions at a star.
        in_key: The positions in the key of a `key=value` pattern, whose wildcards do not take `=`.
        end: The position at which everything has been taken.
    """

    tokens: tuple[int, ...]
    takes: dict[int, int]
    wild: int
    stays: int
    in_key: int
    end: int

    @property
    def is_literal(self) -> bool:
        return not self.wild and not self.stays

    def start(self) -> int:
        return 1

    def move(self, positions: int, byte: int) -> int:
        """The positions after one more byte; 0 when the pattern cannot take the subject any more."""
        wild, stays = self.wild, self.stays
        if byte == _EQUALS:
            wild &= ~self.in_key
            stays &= ~self.in_key
        after = (positions & (self.takes.get(byte, 0) | wild)) << 1 | (positions & stays)
        stars = after & self.stays
        return after & -(1 << (stars.bit_length() - 1)) if stars else after

    def matches(self, subject: bytes) -> bool:
        positions = 1
        for byte in subject:
            positions = self.move(positions, byte)
            if not positions:
                return False
        return bool(positions & self.end)

    def filled(self, filler: bytes) -> bytes:
        """A subject: `filler` for each star, its first byte for each `?`."""
        parts = {_ANY_RUN: filler, _ANY_ONE: filler[:1] or b"x"}
        return b"".join(parts[token] if token < 0 else bytes((token,)) for token in self.tokens)


@lru_cache(maxsize=4096)
def glob_of(text: str, *, fold: bool) -> Glob:
    """The automaton of a value; `fold` lowers it."""
    return _glob(_tokens(text, fold=fold, escapes=False), 0)


@lru_cache(maxsize=4096)
def pair_glob_of(key: str | None, value: str) -> Glob | None:
    """The automaton of one `query-string` value, over subjects `key=value`; None when no query can hold it.

    A key ends at its first `=` and a pair at `&` (alb.md 2.7).
    """
    key_tokens = (_ANY_RUN,) if key is None else _tokens(key, fold=True, escapes=True)
    value_tokens = _tokens(value, fold=True, escapes=True)
    if _EQUALS in key_tokens or {ord("&"), ord("#"), ord(" ")} & {*key_tokens, *value_tokens}:
        return None
    key_positions = sum(token != _ANY_RUN for token in key_tokens) + 1
    return _glob((*key_tokens, _EQUALS, *value_tokens), (1 << key_positions) - 1)


def _tokens(text: str, *, fold: bool, escapes: bool) -> tuple[int, ...]:
    pattern = text.encode()
    if fold:
        pattern = pattern.lower()
    tokens = []
    at = 0
    while at < len(pattern):
        if escapes and pattern[at : at + 2] in (b"\\*", b"\\?"):
            at += 1
            tokens.append(pattern[at])
        else:
            tokens.append({ord("*"): _ANY_RUN, ord("?"): _ANY_ONE}.get(pattern[at], pattern[at]))
        at += 1
    return tuple(tokens)


def _glob(tokens: tuple[int, ...], in_key: int) -> Glob:
    takes: dict[int, int] = {}
    wild = stays = 0
    position = 1
    for token in tokens:
        if token == _ANY_RUN:
            stays |= position
            continue
        if token == _ANY_ONE:
            wild |= position
        else:
            takes[token] = takes.get(token, 0) | position
        position <<= 1
    return Glob(tokens, takes, wild, stays, in_key, position)


@dataclass(frozen=True, slots=True)
class Universe:
    """What the subjects of a field can look like at all: a small automaton.

    Attributes:
        letters: Bytes that it tells apart.
        follow: From a state (0 at the start) by a byte to the next state, or None where no subject goes on like that.
        ends: States in which a subject may end.
    """

    letters: bytes
    follow: Callable[[int, int], int | None]
    ends: frozenset[int]

    def holds(self, subject: bytes) -> bool:
        state = 0
        for byte in subject:
            followed = self.follow(state, byte) if is_visible(byte) else None
            if followed is None:
                return False
            state = followed
        return state in self.ends


def is_visible(byte: int) -> bool:
    """Whether the language of the rules knows this byte (alb.md 1.3)."""
    return byte >= 0x20 and byte != 0x7F


def _follow_path(state: int, byte: int) -> int | None:
    return 1 if state or byte == ord("/") else None


def _follow_header(state: int, byte: int) -> int | None:
    """State 1 after a byte, 2 after a space; the white space around a value is no part of it (RFC 9112 5)."""
    if byte == ord(" "):
        return 2 if state else None
    return 1


def _follow_pair(state: int, byte: int) -> int | None:
    """State 1 in a key, 2 and 3 in the value of an empty key and of any other: `=` alone is no pair."""
    if byte in b"&# ":
        return None
    if state < 2 and byte == _EQUALS:
        return 3 if state else 2
    return {0: 1, 1: 1, 2: 3, 3: 3}[state]


PATHS = Universe(b"/", _follow_path, frozenset({1}))
"""Paths begin with `/`. `OPTIONS *` asks for no path, and control bytes are outside the rules (alb.md 1.3)."""
HOSTS = Universe(b"", lambda state, byte: 1, frozenset({1}))
"""A host is not empty (alb.md 2.3)."""
HEADER_VALUES = Universe(b" ", _follow_header, frozenset({0, 1}))
QUERY_PAIRS = Universe(b"=", _follow_pair, frozenset({3}))

ANY_PATH = glob_of("/*", fold=False)


def difference(subject: Glob, others: Sequence[Glob], universe: Universe, work: Work) -> bytes | None:
    """Return the shortest subject of `universe` that `subject` takes and none of `others` does; None if none is.

    Raises:
        UndecidedError, ExhaustedError: `work` ended it.
    """
    named = {*universe.letters, *subject.takes}.union(*(other.takes for other in others))
    plain = next(byte for byte in _PLAIN if byte not in named)
    alphabet = (plain, *sorted(named))
    open_positions = subject.wild | subject.stays
    starts = (1, 0, tuple(other.start() for other in others))
    seen = {starts}
    queue = deque([(b"", starts)])
    while queue:
        taken, (positions, state, of_others) = queue.popleft()
        taken_by_others = any(mine & other.end for mine, other in zip(of_others, others, strict=True))
        if positions & subject.end and state in universe.ends and not taken_by_others:
            return taken
        letters = alphabet
        if not positions & open_positions:
            letters = tuple(byte for byte, moves in subject.takes.items() if moves & positions)
        work.spend(len(letters) * (1 + len(others)))
        for byte in letters:
            followed = universe.follow(state, byte)
            moved = subject.move(positions, byte)
            if followed is None or not moved:
                continue
            others_moved = tuple(
                other.move(mine, byte) if mine else 0 for mine, other in zip(of_others, others, strict=True)
            )
            if any(mine & other.stays & other.end for mine, other in zip(others_moved, others, strict=True)):
                continue  # this one is past its last star and takes whatever comes
            after = (moved, followed, others_moved)
            if after not in seen:
                seen.add(after)
                queue.append((taken + bytes((byte,)), after))
    return None
