"""The routing actions: forward, redirect and fixed-response (alb.md 3).

An action is compiled once; `decide` then says what becomes of a request: a `Route` to a target group or a
`Reply` that the gateway gives itself. `Server`, `Date` and `Content-Length` are not decided here.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Protocol, Self

from proxy.config.model import ActionConfig, FixedResponseConfig, ForwardConfig, RedirectConfig
from proxy.errors import BadRequestError, NoTargetError, RedirectTooLongError
from proxy.http1.pages import page
from proxy.rules.request import RequestView, raw_path
from proxy.rules.stickiness import GroupStickiness

MAX_LOCATION_BYTES = 8 * 1024
"""Longest Location of a redirect (alb.md 1.4, 3.2)."""

DEFAULT_CONTENT_TYPE = "text/plain"
"""Content type of a fixed response that names none; the reference leaves it open (alb.md 14.17)."""


@dataclass(frozen=True, slots=True)
class Route:
    """The request goes to this target group."""

    target_group: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The gateway answers itself."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def location(self) -> bytes:
        """Where a redirect leads; empty for every other reply."""
        return next((value for name, value in self.headers if name == b"Location"), b"")


Decision = Route | Reply


class Action(Protocol):
    """What a rule does. `route` is the decision when it is the same `Route` for every request, else None.

    `decide` takes chance as an argument: `draw` returns a number from 0 up to, not including, 1.
    """

    name: ClassVar[str]

    @property
    def route(self) -> Route | None: ...

    def decide(self, view: RequestView, draw: Callable[[], float]) -> Decision: ...


class ActionType(Protocol):
    """What `ACTIONS` holds."""

    def compile(self, config: Any) -> Action: ...


@dataclass(frozen=True, slots=True)
class Forward:
    """`forward`: one of the target groups, in proportion to their weights (alb.md 3.1).

    A group of weight 0 gets nothing. The choice is made before anything is known of the targets: the share of
    a group without targets is not moved to the others. With `stickiness` a client that was here before goes where
    it went then: whoever calls `decide` asks its cookies first.
    """

    name: ClassVar[str] = "forward"
    routes: tuple[Route, ...]
    cumulative_weights: tuple[int, ...]
    route: Route | None
    stickiness: GroupStickiness | None = None

    @classmethod
    def compile(cls, config: ForwardConfig) -> Self:
        weights = [(Route(group), weight) for group, weight in config.weights if weight > 0]
        routes = tuple(route for route, _ in weights)
        stickiness = None
        if config.stickiness_seconds is not None:
            stickiness = GroupStickiness((group for group, _ in config.weights), config.stickiness_seconds)
        return cls(
            routes,
            tuple(accumulate(weight for _, weight in weights)),
            routes[0] if len(routes) == 1 and stickiness is None else None,
            stickiness,
        )

    def decide(self, view: RequestView, draw: Callable[[], float]) -> Route:
        """Choose by weight; the same as `choose`."""
        return self.choose(draw)

    def choose(self, draw: Callable[[], float]) -> Route:
        """Draw once, and only when there is a choice.

        Raises:
            NoTargetError: Every weight is 0, so no group can be chosen (alb.md 14.6).
        """
        if len(self.routes) == 1:
            return self.routes[0]
        if not self.routes:
            raise NoTargetError("every target group of the forward has weight 0")
        weights = self.cumulative_weights
        return self.routes[bisect(weights, draw() * weights[-1], hi=len(weights) - 1)]


@dataclass(frozen=True, slots=True)
class Template:
    """A part of a redirect: literal text and placeholders, filled in one pass: no value is expanded again."""

    parts: tuple[tuple[bytes, str | None], ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """Split at `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`."""
        pieces = re.split(r"#\{(protocol|host|port|path|query)\}", text)
        return cls(tuple((piece.encode(), None) if i % 2 == 0 else (b"", piece) for i, piece in enumerate(pieces)))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for _, name in self.parts if name is not None)

    def fill(self, values: Mapping[str, bytes]) -> bytes:
        return b"".join(literal if name is None else values[name] for literal, name in self.parts)


@dataclass(frozen=True, slots=True)
class Redirect:
    """`redirect`: a Location made from the request (alb.md 3.2).

    The port is always written; `#{port}` is the listener's. `#{path}` is the path as received, not decoded,
    without its first slash; an empty query leaves no `?`. The body is the small page of the status (alb.md
    14.11).
    """

    name: ClassVar[str] = "redirect"
    route: ClassVar[None] = None
    status: int
    protocol: Template
    host: Template
    port: Template
    path: Template
    query: Template
    needs_host: bool

    @classmethod
    def compile(cls, config: RedirectConfig) -> Self:
        host, path, query = Template.of(config.host), Template.of(config.path), Template.of(config.query)
        return cls(
            status=config.status_code,
            protocol=Template.of(config.protocol.lower()),
            host=host,
            port=Template.of(config.port),
            path=path,
            query=query,
            needs_host="host" in host.names | path.names | query.names,
        )

    def decide(self, view: RequestView, draw: Callable[[], float]) -> Reply:
        """Return the redirect.

        Raises:
            BadRequestError: `#{host}` is needed and the request has no Host, or one that is no host name.
            RedirectTooLongError: The Location is over 8 K.
        """
        location = self.location(view)
        headers = ((b"Location", location), (b"Content-Type", b"text/html"))
        return Reply(self.status, headers, page(self.status))

    def location(self, view: RequestView) -> bytes:
        """Return the Location of the redirect; raises as `decide` does.

        Every byte that a URI cannot hold is percent-encoded, so no request can end the header line.
        """
        if self.needs_host and _HOST.fullmatch(view.host) is None:
            raise BadRequestError("a redirect to the request's own host needs a Host header with a host name")
        values = {
            "protocol": view.scheme.encode(),
            "host": view.host,
            "port": str(view.port).encode(),
            "path": raw_path(view.target).removeprefix(b"/"),
            "query": view.query,
        }
        query = self.query.fill(values)
        location = b"%s://%s:%s%s%s" % (
            self.protocol.fill(values),
            self.host.fill(values),
            self.port.fill(values),
            self.path.fill(values),
            b"?" + query if query else b"",
        )
        location = _NOT_IN_URI.sub(_percent_encoded, location)
        if len(location) > MAX_LOCATION_BYTES:
            raise RedirectTooLongError(f"the Location has {len(location)} bytes, {MAX_LOCATION_BYTES} are allowed")
        return location


@dataclass(frozen=True, slots=True)
class FixedResponse:
    """`fixed-response`: always the same answer (alb.md 3.3).

    The body is UTF-8, and a text type says so when the body is not ASCII. A 204 or 205 has no body (RFC 9110
    15.3).
    """

    name: ClassVar[str] = "fixed-response"
    route: ClassVar[None] = None
    reply: Reply

    @classmethod
    def compile(cls, config: FixedResponseConfig) -> Self:
        content_type = config.content_type or DEFAULT_CONTENT_TYPE
        if content_type.startswith("text/") and not config.message_body.isascii():
            content_type += "; charset=utf-8"
        body = b"" if config.status_code in (204, 205) else config.message_body.encode()
        return cls(Reply(config.status_code, ((b"Content-Type", content_type.encode()),), body))

    def decide(self, view: RequestView, draw: Callable[[], float]) -> Reply:
        return self.reply


ACTIONS: dict[type[ActionConfig], ActionType] = {
    ForwardConfig: Forward,
    RedirectConfig: Redirect,
    FixedResponseConfig: FixedResponse,
}
"""Action types by the record that a table holds for them."""

_HOST = re.compile(rb"\[[0-9a-f:.]+\]|[a-z0-9\-._~%!$&'()*+,;=]+")
"""Reg-name or IP literal (RFC 3986 3.2.2), lower-cased."""

_NOT_IN_URI = re.compile(rb"[^\x21-\x7e]")


def _percent_encoded(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
