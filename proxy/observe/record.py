"""The record of one request: filled in while it lives, read once by metrics and logs when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.rules.request import RequestView
from proxy.tls import TlsSession

USER_AGENT_LIMIT: Final = 8192
"""How much of a user agent the logs show (alb.md 9.1, field 14)."""

METHOD_LIMIT: Final = 64
"""Room for any registered method; the logs cut a longer one."""


class RequestRecord:
    """What happened to one request, also when it failed.

    The gateway's exchange is a subclass, so that a request costs no second object. Every moment except
    `started_at` is in seconds of `time.perf_counter()`; 0.0 means that it never happened.

    Attributes:
        started_at: When the request was received, in seconds since the epoch.
        received_at: When its head was complete.
        sent_at: When the last byte of it went to the target. A target may answer before that.
        head_at: When the target's response head was complete.
        ended_at: When the last byte of the response went to the client, or the exchange failed.
        overhead: Seconds that the gateway itself added, without waiting for either side.
        listener: Name of the listener; empty only when there is none.
        rule: Name of the rule that took the request, `default` for the default rule. Empty when the request
            never reached the rules (malformed, too long, TRACE).
        priority: The rule's priority; None for the default rule and without a rule.
        target_group: Name of the chosen target group; empty for redirects, fixed responses and refusals.
        target_id: `address:port` of the target asked last; empty when none was.
        view: The request as the rules saw it; None when it could not be taken apart.
        client: The client's IP address as text, for records without a view.
        client_port: The client's port; 0 when unknown.
        method: As received, of any length and case.
        protocol: The version in the request line, such as `HTTP/1.1`; empty when it could not be read.
        status: What the client got; 460 when it left before the response began; 0 when nothing is known.
        target_status: What the target answered; 0 without a complete response head.
        request_bytes, response_bytes: On the client's side, heads included (alb.md 9.1).
        reason: Empty, or the `reason` of the GatewayError that ended the request.
        trace_id: The value of X-Amzn-Trace-Id that the target got.
        tunnel: The connection became a tunnel (101).

        action: Name of the rule's action, unless it always forwards to one target group.
        authenticated: An authentication action had to do with it.
        redirect_url: The Location of a redirect.
        classification, classification_reason: By desync mitigation, in the words of alb.md 6.8; empty for compliant.
        transformed_host, transformed_uri, request_transform_status: What the rule's transforms made (alb.md 9.1).
        target_request: Which of the target's requests it was, from 1; 0 without a target.
        target_ended: How many of them had ended when this one did, itself included.
        in_flight: Requests that the target had in flight when it got this one, itself included; 0 without a target.
        client_was_slow: The response had to wait for the client.
        is_stream: The target sends events as they come, so its time says nothing.
        response_fields: The target's response headers, names in lower case; None without a complete response head.
        hint: The name that the target gave the request; empty for none.
        head: What came instead of a request, for records without a view.
        port: The listener's port, for records without a view.
    """

    __slots__ = (
        "action",
        "authenticated",
        "classification",
        "classification_reason",
        "client",
        "client_port",
        "client_was_slow",
        "ended_at",
        "head",
        "head_at",
        "hint",
        "in_flight",
        "is_stream",
        "listener",
        "method",
        "overhead",
        "port",
        "priority",
        "protocol",
        "reason",
        "received_at",
        "redirect_url",
        "request_bytes",
        "request_transform_status",
        "response_bytes",
        "response_fields",
        "rule",
        "sent_at",
        "started_at",
        "status",
        "target_ended",
        "target_group",
        "target_id",
        "target_request",
        "target_status",
        "trace_id",
        "transformed_host",
        "transformed_uri",
        "tunnel",
        "view",
    )

    def __init__(self) -> None:
        self.started_at = 0.0
        self.received_at = 0.0
        self.sent_at = 0.0
        self.head_at = 0.0
        self.ended_at = 0.0
        self.overhead = 0.0
        self.listener = ""
        self.rule = ""
        self.priority: int | None = None
        self.target_group = ""
        self.target_id = ""
        self.view: RequestView | None = None
        self.client = ""
        self.client_port = 0
        self.method = b""
        self.protocol = b""
        self.status = 0
        self.target_status = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.reason = ""
        self.trace_id = b""
        self.tunnel = False
        self.action = ""
        self.authenticated = False
        self.redirect_url = b""
        self.classification = ""
        self.classification_reason = ""
        self.transformed_host = b""
        self.transformed_uri = b""
        self.request_transform_status = ""
        self.target_request = 0
        self.target_ended = 0
        self.in_flight = 0
        self.client_was_slow = False
        self.is_stream = False
        self.response_fields: Mapping[bytes, bytes] | None = None
        self.hint = ""
        self.head = b""
        self.port = 0

    @property
    def conn_trace_id(self) -> str:
        """`TID_` and 32 hex digits, the same for all requests of a client connection; empty when it is unknown."""
        return ""

    @property
    def tls(self) -> TlsSession | None:
        """The client's TLS connection; None without TLS."""
        return None

    @property
    def remark(self) -> str:
        """A reason of alb.md 9.3 that did not end the request; empty for none."""
        return ""


class RefusedRequest(RequestRecord):
    """The record of what came instead of a request."""

    __slots__ = ("conn_trace_id", "tls")

    conn_trace_id: str

    def __init__(self) -> None:
        super().__init__()
        self.tls: TlsSession | None = None


def request_processing_seconds(record: RequestRecord) -> float | None:
    """From the request until it was sent to the target; None when it was not (alb.md 9.1, field 6)."""
    if not record.sent_at:
        return None
    return max(record.sent_at - record.received_at, 0.0)


def target_processing_seconds(record: RequestRecord) -> float | None:
    """From the request sent until the response head; None without one (alb.md 9.1, field 7).

    0.0 when the target answered before it had the whole request.
    """
    if not record.head_at:
        return None
    return record.head_at - record.sent_at if 0.0 < record.sent_at < record.head_at else 0.0


def response_processing_seconds(record: RequestRecord) -> float | None:
    """From the target's response head until the end; None without a head (alb.md 9.1, field 8)."""
    if not record.head_at:
        return None
    return max(record.ended_at - record.head_at, 0.0)


def total_seconds(record: RequestRecord) -> float:
    """From the request until the end of the response, a tunnel's life included."""
    return max(record.ended_at - record.received_at, 0.0)
