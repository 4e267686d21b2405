"""The shape of a conformance row: one sentence of the reference, and what shows that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Door = Literal["listener", "asgi"]
BOTH: tuple[Door, ...] = ("listener", "asgi")
RAW: tuple[Door, ...] = ("listener",)
"""Of the listener door alone: what only raw bytes show is the server's in front of the ASGI door."""
ANY_PORT: tuple[Door, ...] = ("asgi",)
"""Of the ASGI door alone, which can be told the listener's port: a test does not get port 80."""

MATCHED = 299
"""The fixed response of the rule under test in a `Matching` row; the target's answer is 200."""


@dataclass(frozen=True, slots=True)
class Row:
    """Attributes:
    id: Unique; it reads like the rule.
    section: Of alb.md, such as `6.1`.
    """

    id: str
    section: str


@dataclass(frozen=True, slots=True)
class Exchange(Row):
    """One request through a gateway with one target that answers 200.

    Attributes:
        send: The bytes.
        status: What the client gets.
        attributes, listener, rules: YAML flow mappings and list, as in routes.yaml.
        default: The default rule.
        first_line: The request line that the target gets.
        gets: Headers of the request at the target, name to values.
        answers: Headers of the response at the client, name to values.
        response: What the target answers.
        port: The listener's port; by default that of the test.
        closes: Whether the client's connection is closed afterwards, where that is part of the rule.
        body: The response's body.
    """

    send: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    status: int = 200
    attributes: str = "{}"
    listener: str = "{}"
    rules: str = "[]"
    default: str = "{forward: targets}"
    first_line: bytes = b""
    gets: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    answers: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    response: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port: int = 0
    closes: bool | None = None
    body: bytes | None = None
    doors: tuple[Door, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Invoked(Row):
    """One request through a gateway whose only target is a function.

    Attributes:
        send: The bytes; `multi_value` sets `lambda.multi_value_headers.enabled`.
        returns: What the function returns, as JSON; None when `invoke` answers.
        invoke: Status and error type of the Invoke API where it refuses.
        status, body, answers: What the client gets.
        event: Members of the event, by their path with dots; None for one that must not be there.
        reason: The access log's error_reason.
    """

    send: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    returns: str | None = '{"statusCode": 200, "body": "ok"}'
    invoke: tuple[int, str] = (200, "")
    multi_value: bool = False
    status: int = 200
    body: bytes | None = None
    answers: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    event: tuple[tuple[str, Any], ...] = ()
    reason: str = "-"
    doors: tuple[Door, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Matching(Row):
    """Conditions of one rule, and requests that it takes and does not take.

    Attributes:
        conditions: A YAML list.
        takes, leaves: `METHOD target` with an optional `| Name: value` for each header; Host is `x.example.com`
            unless given.
    """

    conditions: str = ""
    takes: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked(Row):
    """A table, and what `strangler check` says of it.

    Attributes:
        rule: The YAML flow mapping of one rule.
        code: Of the only problem; empty when the table is good.
        group: The YAML flow mapping of a further target group, `extra`.
    """

    rule: str = ""
    code: str = ""
    default: str = "{forward: targets}"
    attributes: str = "{}"
    group: str = ""


def has(**headers: bytes | tuple[bytes, ...] | None) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
    """Headers by name with `_` for `-`: one value, several, or None for a header that must not be there."""
    return tuple(
        (name.replace("_", "-"), () if value is None else value if isinstance(value, tuple) else (value,))
        for name, value in headers.items()
    )


def get(target: str = "/", *lines: str, host: str | None = "x", method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    headers = ([f"Host: {host}"] if host is not None else []) + list(lines)
    return "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/{version}", *headers, "")).encode("latin-1")
