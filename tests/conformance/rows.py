"""The shapes of a conformance row: one sentence of the reference, and what shows that it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Door = Literal["listener", "asgi", "http2"]
BOTH: tuple[Door, ...] = ("listener", "asgi")
RAW: tuple[Door, ...] = ("listener",)
"""Of the listener door alone: what only raw bytes, tunnels and TLS show is the server's in front of the ASGI door."""
ANY_PORT: tuple[Door, ...] = ("asgi",)
"""Of the ASGI door alone, which can be told the listener's port: a test does not get port 80."""
HTTP2: tuple[Door, ...] = ("http2",)
"""The listener door in HTTP/2: the bytes of the row become fields, its Host `:authority`."""

MATCHED = 299
"""The fixed response of the rule under test in a `Matching` row; the target's answer is 200."""

Expected = tuple[tuple[str, tuple[bytes, ...]], ...]

Behaviour = Literal[
    "answers",
    "answers over TLS",
    "closes as it accepts",
    "closes after the request",
    "resets after the request",
    "says nothing",
    "answers, then says nothing",
    "refuses connections",
    "accepts no connection",
    "says nothing in its TLS handshake",
    "knows no TLS",
    "echoes over a WebSocket",
]
"""What the target does with each connection; `answers` and what ends with it sends the row's `response`."""


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
    """One request through a gateway with one target.

    Attributes:
        send: The bytes.
        status: What the client gets; 0 when it gets nothing.
        attributes, listener, rules: YAML flow mappings and list, as in routes.yaml.
        default: The default rule.
        first_line: The request line that the target gets.
        gets: Headers of the request at the target, name to values.
        answers: Headers of the response at the client, name to values.
        response: What the target answers.
        port: The listener's port; by default that of the test.
        closes: Whether the client's connection is closed afterwards, where that is part of the rule.
        body: The response's body.
        peer: The client's address instead, by the ASGI door.
        group: YAML flow mapping of the target group's attributes.
        target: What the target does instead.
        protocol_version: Of the target group.
        later: Seconds after which the gateway looks at the clock, once request or silence are there.
        leaves: The client closes when the target has its request, or as much of it as was sent.
        then: Further requests on the client's connection, and the status of each.
        connections: How many the target has accepted in the end.
        names: Header names that the target gets, in these letters.
        log: Fields of the load balancer's access-log line, name to regular expression.
        counts: Metrics of section 10 that are one more afterwards.
    """

    send: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    status: int = 200
    attributes: str = "{}"
    listener: str = "{}"
    rules: str = "[]"
    default: str = "{forward: targets}"
    first_line: bytes = b""
    gets: Expected = ()
    answers: Expected = ()
    response: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port: int = 0
    closes: bool | None = None
    body: bytes | None = None
    peer: str = ""
    group: str = "{}"
    target: Behaviour = "answers"
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC"] = "HTTP1"
    later: int = 0
    leaves: bool = False
    then: tuple[tuple[bytes, int], ...] = ()
    connections: int = 0
    names: tuple[bytes, ...] = ()
    log: tuple[tuple[str, str], ...] = ()
    counts: tuple[str, ...] = ()
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
    doors: tuple[Door, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Checked(Row):
    """A table, and what `strangler check` says of it.

    Attributes:
        rule: The YAML flow mapping of one rule.
        code: Of the only error; empty when the table is good.
        warning: Of the only warning that matters, if there is one.
        group: The YAML flow mapping of target group `targets`, besides its targets.
        more: YAML lines at the end of the table: further target groups.
        listener: The YAML flow mapping of the listener's attributes.
        entry: Further keys of the listener, as `protocol: HTTPS, ...`.
        port: Of the listener.
        table: The whole table instead.
    """

    rule: str = ""
    code: str = ""
    default: str = "{forward: targets}"
    attributes: str = "{}"
    group: str = "{}"
    more: str = ""
    listener: str = "{}"
    entry: str = ""
    port: str = "80"
    table: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Story(Row):
    """Several clients, targets and moments; each step says what happens, and after `->` what is seen.

        GET / -> A B A            three requests of a new client each, and who answers: a target's letter or a status
        ann GET / -> A A          of one client that keeps cookies
        ann GET / sets AWSALB     the names of the cookies that the answer sets
        hold A                    a request that target A keeps; `held -> A` lets it answer, `held -> 502` does not
        socket -> A               a WebSocket, opened by the first such step, and who answers a message
        A answers 500             from now on
        A passes 1, A fails 2     health checks
        A is healthy              its state, and then its reason if it has one; `anomalous`, `in slow start`
        A goes away               it refuses connections, and closes those it has
        A leaves, D joins         the table says so
        weights 0 1               of the forward action
        61 s pass                 on every clock
        ann forgets AWSALB        and `ann spoils AWSALB`, `ann encodes AWSALB`
        60 times GET /            requests whose answers do not matter; `6 times -> A 2 B 4`: who answers how many
        logs FIELD VALUE          of the load balancer's last access-log line
        counts NAME 2             a metric

    Attributes:
        groups: YAML flow mapping of names to groups; targets are letters.
        forward, stickiness: Of the default rule.
        chance: What the draws of weights and of `weighted_random` give, one after the other.
    """

    steps: tuple[str, ...] = ()
    groups: str = "{targets: {targets: [A, B]}}"
    forward: str = "targets"
    stickiness: str = ""
    chance: tuple[float, ...] = (0.0,)
    doors: tuple[Door, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Probed(Row):
    """Health checks of one target over real sockets, and the state that they lead to.

    Attributes:
        check: YAML flow mapping of `health_check`.
        answers: What the target sends to each check in turn; empty bytes for a connection that is closed at once,
            None for silence until the timeout.
        state, reason: In the API's words, after the last of them.
        request: Lines that the target got.
        grpc_status: What the target answers to each check in turn instead, in a group of protocol version GRPC.
    """

    check: str = "{}"
    answers: tuple[bytes | None, ...] = (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",)
    state: str = "healthy"
    reason: str = ""
    request: tuple[bytes, ...] = ()
    grpc_status: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Secured(Row):
    """One TLS connection, by the listener door: `section_tls.LISTENERS` has the listeners.

    Attributes:
        listener: Its name.
        lines: Header lines of the request.
        server_name: SNI.
        offers: ALPN.
        version: The only one that the client takes; any if empty.
        ciphers: Those that the client takes, in OpenSSL's words.
        resumes: The client has been there before.
        certificate: Of the client.
        presented: The first name in the listener's certificate.
        chosen: What ALPN chose.
        status: 0 when there is no connection.
        gets, answers: As in an `Exchange`.
        log, connection_log: Fields of the two lines.
    """

    listener: str = "web"
    lines: tuple[str, ...] = ()
    server_name: str | None = "a.example.com"
    offers: tuple[str, ...] = ()
    version: str = ""
    ciphers: str = ""
    resumes: bool = False
    certificate: str = ""
    presented: str = ""
    chosen: str | None = None
    status: int = 200
    gets: Expected = ()
    answers: Expected = ()
    log: tuple[tuple[str, str], ...] = ()
    connection_log: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Http2Connection(Row):
    """What an HTTP/2 connection of a client shows besides its streams.

    Attributes:
        setting: One of the gateway's SETTINGS, by RFC 9113 6.5.2, and its value.
        limit: A name in `proxy.listen.http2` and its value; the test makes it 3 and sends 4 requests.
        later: Seconds after which the gateway looks at the clock.
        pings: A PING is sent and answered before.
    """

    setting: tuple[int, int] | None = None
    limit: tuple[str, int] | None = None
    later: int = 0
    pings: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an endpoint of the provider answers instead; text as it is, anything else as JSON. `silent`: nothing."""

    status: int = 200
    body: Any = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Login(Row):
    """Requests through a rule with authenticate-oidc or jwt-validation, at a provider of the tests' own.

        GET /a -> 302         a path, and the status of the answer; `with a token`, `as root`, `without Host`
        log in /a -> 302      ask, log in at the provider, come back: the answer to the callback
        begin /a              the first two of these; then `come back -> 401`, `come back without state -> 401`
        have a session        from a log-in while the action still said `authenticate`
        61 s pass             on the gateway's clock
        spoil NAME            a character of this cookie; `encode NAME`, `lose NAME`

    Attributes:
        steps: See above.
        action: Changes to the action, by attribute of `LoginConfig` or `JwtValidationConfig`.
        provider: What the provider does otherwise, by attribute of `OidcProvider`, or by path an `Endpoint`.
        kind: The action.
        token: Changes to the claims of the token.
        header: Changes to its header; `by` is the name of the key that signs it.
        gets, answers: Headers of the last request at the target, and of the last response.
        log: Fields of the last access-log line.
        asks: How often the provider was asked for a path.
        cookies: Names that the browser has in the end.
    """

    steps: tuple[str, ...] = ()
    action: dict[str, Any] = field(default_factory=dict)
    provider: dict[str, Any] = field(default_factory=dict)
    kind: Literal["authenticate-oidc", "jwt-validation"] = "authenticate-oidc"
    token: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    gets: Expected = ()
    answers: Expected = ()
    log: tuple[tuple[str, str], ...] = ()
    asks: tuple[tuple[str, int], ...] = ()
    cookies: tuple[str, ...] | None = None
    doors: tuple[Door, ...] = BOTH


def has(**headers: bytes | tuple[bytes, ...] | None) -> Expected:
    """Headers by name with `_` for `-`: one value, several, or None for a header that must not be there."""
    return tuple(
        (name.replace("_", "-"), () if value is None else value if isinstance(value, tuple) else (value,))
        for name, value in headers.items()
    )


def logs(**fields: str) -> tuple[tuple[str, str], ...]:
    """Fields of a log line by name."""
    return tuple(fields.items())


def get(target: str = "/", *lines: str, host: str | None = "x", method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    headers = ([f"Host: {host}"] if host is not None else []) + list(lines)
    return "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/{version}", *headers, "")).encode("latin-1")
