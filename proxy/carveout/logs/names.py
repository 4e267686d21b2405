"""Names for the requests of a log: learned on a sample, then given to all of them where they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

_ESCAPED: Final = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_VERBS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE")
UNMATCHED: Final = "{unmatched}"


class NameTemplate(Protocol):
    """A name and the requests that have it."""

    @property
    def method(self) -> str:
        """A verb, `OTHER` for an unknown one, or `*`."""

    @property
    def name(self) -> str: ...

    @property
    def regex(self) -> str:
        """Of the whole path."""


class Naming(Protocol):
    """What `proxy.carveout.naming.Namer` does, as far as it is needed here."""

    def name(self, method: bytes, path: bytes) -> str: ...

    def learn(self, method: bytes, path: bytes, status: int, client: int) -> None: ...

    def settle(self, *, at_leisure: bool = False) -> bool: ...

    def templates(self) -> Sequence[NameTemplate]: ...


def learn(naming: Naming, sample: Sequence[tuple[str, str, int, str]]) -> None:
    """Learn from (method, path, status, hash of the client), each as the log has it."""
    for method, path, status, client in sample:
        naming.learn(as_sent(method), as_sent(path), status, int(client, 16))
    naming.settle(at_leisure=True)


def as_sent(text: str) -> bytes:
    """The bytes that a client sent, from how a log shows them: `\\xHH`, Latin-1 (our JSON), or UTF-8."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    if b"\\x" in data:
        data = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), data)
    return data


def case_expression(templates: Sequence[NameTemplate]) -> str:
    """The names as one SQL expression over `method` and `path`, for engines that have no Python at hand.

    The first template that matches names a request, as in `Namer.name`.
    """
    verbs = ", ".join(map(_quote, _VERBS))
    by_method: dict[str, list[str]] = {method: [] for method in (*_VERBS, "OTHER")}
    for template in templates:
        when = f"WHEN regexp_matches(path, {_quote(f'^(?:{template.regex})$')}) THEN {_quote(template.name)}"
        for method in by_method if template.method == "*" else (template.method,):
            by_method[method].append(when)
    branches = " ".join(
        f"WHEN {f'method = {_quote(method)}' if method in _VERBS else f'method NOT IN ({verbs})'} "
        f"THEN CASE {' '.join(whens)} ELSE '{UNMATCHED}' END"
        for method, whens in by_method.items()
        if whens
    )
    return f"CASE {branches} ELSE '{UNMATCHED}' END" if branches else f"'{UNMATCHED}'"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
